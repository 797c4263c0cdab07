//! A signed repository of a folder of packages: copied to their hashes, indexed, signed with the node's own key and
//! published as one state, like what is mirrored.
//!
//! The folder is only read. What its packages say comes from the caller, who can open them.

use super::Mirrors;
use super::config::{FolderUpstream, MirrorConfig, Part, Pin, Trust, Upstream};
use super::error::MirrorError;
use super::fill::Fetched;
use super::folder::{self, File as Made, Words};
use super::layout::Home;
use super::list::{Entry, Kind, ListReader, ListWriter};
use super::record::{Refs, Root, State};
use super::sync::{self, Synced};
use super::work::{Job, Work};
use crate::guard;
use crate::sign::OwnKey;
use crate::source;
use crate::transport::Stop;
use crate::verify::{FileCheckError, verify_file};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::guard::Share;
use vzpkg_metadata::{Arch, Digest, Family, MirrorName};

/// What the certificate is called, beside the configuration and in the repository.
const CERTIFICATE: &str = "key.asc";

/// One package of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderPackage {
    /// The file.
    pub path: PathBuf,
    /// Where it will lie below the repository.
    pub location: String,
    /// Of its bytes.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// Name, version and architecture.
    pub package: [String; 3],
    /// What the indexes say of it: a paragraph of `Packages`, or its elements in `primary`, `filelists` and `other`.
    pub texts: Vec<String>,
}

impl Mirrors {
    /// Publishes a repository of these packages of `folder`, in place of what it had before. A mirror of that name is
    /// made where there is none; the node's key where there is none.
    ///
    /// # Errors
    /// [`MirrorError::Exists`] where the name is that of a mirror of something else; [`MirrorError::Sign`];
    /// [`MirrorError::Copied`] where a file changed meanwhile. What is published stays then.
    pub fn import(
        &self,
        name: &MirrorName,
        folder: &Path,
        family: Family,
        packages: &[FolderPackage],
    ) -> Result<Synced, MirrorError> {
        let key = self.own_key()?;
        let config = config(folder, family, &key)?;
        let known = self.layout.home(name).config().is_file();
        if !known {
            let certificate = (CERTIFICATE.to_owned(), key.certificate()?);
            self.add(name, &config, &[certificate])?;
        }
        let home = self.home(name)?;
        let known = MirrorConfig::read(&home)?;
        if !known.is_folder(family) {
            return Err(MirrorError::Exists(name.clone()));
        }
        let stop = &Stop::new(&self.context.options.cancel);
        let _shared = self.guard(Share::Shared)?;
        let _guard = guard::lock(&self.context, stop, &home.directory)?;
        if known != config {
            config.write(&home)?;
        }
        let work = self.work(&home, stop);
        publish(&work, &config, name, family, packages, &key)
    }

    /// The folder of a mirror that was made of one, and the family of its packages.
    ///
    /// # Errors
    /// [`MirrorError::Unknown`]; [`MirrorError::Damaged`].
    pub fn folder_of(&self, name: &MirrorName) -> Result<Option<(PathBuf, Family)>, MirrorError> {
        let config = MirrorConfig::read(&self.home(name)?)?;
        let mut parts = config.parts.iter();
        Ok(parts.find_map(|part| match &part.upstream {
            Upstream::Folder(folder) => Some((PathBuf::from(&folder.path), folder.family)),
            Upstream::Apt(_) | Upstream::Yum(_) => None,
        }))
    }

    fn own_key(&self) -> Result<OwnKey, MirrorError> {
        durable::create_directories(&self.layout.mirrors, 0o755)?;
        let _exclusive = self.guard(Share::Exclusive)?;
        let now = self.context.options.now;
        Ok(OwnKey::load_or_make(&self.layout.own_key(), now)?)
    }
}

fn config(folder: &Path, family: Family, key: &OwnKey) -> Result<MirrorConfig, MirrorError> {
    let path = folder.to_str().ok_or_else(|| {
        let problem = format!("`{}` is no text", folder.display());
        MirrorError::Config(problem)
    })?;
    MirrorConfig::new(vec![Part {
        directory: String::new(),
        upstream: Upstream::Folder(FolderUpstream {
            path: path.to_owned(),
            family,
        }),
        keys: vec![Pin {
            fingerprint: key.fingerprint()?,
            places: vec![CERTIFICATE.to_owned()],
        }],
        trust: Trust::default(),
    }])
}

fn publish(
    work: &Work<'_>,
    config: &MirrorConfig,
    name: &MirrorName,
    family: Family,
    packages: &[FolderPackage],
    key: &OwnKey,
) -> Result<Synced, MirrorError> {
    let mut refs = Refs::read(work.home)?;
    sync::remove_leftovers(work)?;
    let words: Vec<Words<'_>> = packages
        .iter()
        .map(|package| Words {
            arch: &package.package[2],
            texts: &package.texts,
        })
        .collect();
    let host = std::env::consts::ARCH.parse::<Arch>();
    let host = host.map_or_else(
        |_| "amd64".into(),
        |arch| arch.in_family(family).to_string(),
    );
    let mut indexes = folder::indexes(family, &words, &host)?;
    indexes.push((CERTIFICATE.to_owned(), key.certificate()?));
    if let Some(newest) = refs.newest
        && holds(work.home, &newest, &indexes)?
    {
        let published = sync::publish_newest(work, &mut refs, newest)?;
        return Ok(Synced {
            state: State::read(work.home, &newest)?,
            changed: false,
            published,
            fetched: Fetched::default(),
        });
    }
    let fetched = copy(work, family, packages)?;
    let date = date(work, &refs)?;
    let root = folder::root(family, name, &indexes, date, key)?;
    let part = config.parts.first();
    let part = part.ok_or_else(|| MirrorError::Config("no folder".to_owned()))?;
    let digest = root.first().map(|(_, bytes)| Digest::of(bytes));
    let digest = digest.unwrap_or_else(|| Digest::of(b""));
    let mut list = ListWriter::new(&work.home.states())?;
    for (path, bytes) in root.iter().chain(&indexes) {
        Job { work, part }.keep(path, bytes, &mut list)?;
    }
    for (_, bytes) in &root {
        let path = work.layout.file(Kind::Metadata, &Digest::of(bytes));
        set_time(&path, date).map_err(FileError::on("change the time of", &path))?;
    }
    let kind = kind(family);
    for package in packages {
        list.add(&Entry {
            digest: package.digest,
            size: package.size,
            kind,
            path: source::checked_location(&package.location)?,
            package: Some(package.package.clone()),
            brought: true,
        })?;
    }
    let summary = list.finish(|id| work.home.list(id))?;
    let state = State {
        id: summary.id,
        judged: work.context.options.now,
        files: summary.files,
        packages: summary.packages,
        bytes: summary.bytes,
        roots: vec![Root {
            part: String::new(),
            suite: String::new(),
            digest,
            date,
            valid_until: None,
            signers: vec![key.fingerprint()?],
        }],
    };
    let state = sync::commit(work, &mut refs, &state, &[])?;
    let published = sync::publish_newest(work, &mut refs, state.id)?;
    Ok(Synced {
        state,
        changed: true,
        published,
        fetched,
    })
}

/// Web servers tell states apart by the time of the signed file, in seconds: two of one second must differ.
fn set_time(path: &Path, date: i64) -> std::io::Result<()> {
    let seconds = Duration::from_secs(u64::try_from(date).unwrap_or_default());
    let time = SystemTime::UNIX_EPOCH.checked_add(seconds);
    File::open(path)?.set_modified(time.unwrap_or(SystemTime::UNIX_EPOCH))
}

const fn kind(family: Family) -> Kind {
    match family {
        Family::Deb => Kind::Deb,
        Family::Rpm => Kind::Rpm,
    }
}

/// Whether a state has exactly these indexes, and so these packages.
fn holds(home: &Home, state: &Digest, indexes: &[Made]) -> Result<bool, MirrorError> {
    let wanted = indexes.iter();
    let mut wanted: BTreeMap<&[u8], Digest> = wanted
        .map(|(path, bytes)| (path.as_bytes(), Digest::of(bytes)))
        .collect();
    for entry in ListReader::open(&home.list(state))? {
        let entry = entry?;
        if entry.kind == Kind::Metadata && wanted.get(entry.path.as_bytes()) == Some(&entry.digest)
        {
            wanted.remove(entry.path.as_bytes());
        }
    }
    Ok(wanted.is_empty())
}

/// Dates only grow, so that no client takes a new state for an old one.
fn date(work: &Work<'_>, refs: &Refs) -> Result<i64, MirrorError> {
    let now = work.context.options.now;
    let Some(newest) = refs.newest else {
        return Ok(now);
    };
    let before = State::read(work.home, &newest)?.roots;
    let before = before.iter().map(|root| root.date.saturating_add(1));
    Ok(before.max().unwrap_or(now).max(now))
}

/// Copies what is not here to its hash; a copy that has another one is not kept.
fn copy(
    work: &Work<'_>,
    family: Family,
    packages: &[FolderPackage],
) -> Result<Fetched, MirrorError> {
    durable::create_directories(work.layout.packages(), 0o755)?;
    let mut fetched = Fetched::default();
    for package in packages {
        let target = work.layout.file(kind(family), &package.digest);
        if verify_file(&target, &package.digest, package.size).is_ok() {
            continue;
        }
        let (staging, mut to) = durable::stage(&target, 0o444)?;
        let from = &package.path;
        let copied = File::open(from).and_then(|mut from| std::io::copy(&mut from, &mut to));
        let copied = copied.map_err(FileError::on("copy", from)).map(drop);
        let checked = copied.map_err(FileCheckError::from);
        let checked = checked.and_then(|()| verify_file(&staging, &package.digest, package.size));
        if let Err(source) = checked {
            drop(fs::remove_file(&staging));
            let path = from.clone();
            return Err(MirrorError::Copied { path, source });
        }
        durable::put_in_place_unsynced(&staging, &target)?;
        fetched.files = fetched.files.saturating_add(1);
        fetched.bytes = fetched.bytes.saturating_add(package.size);
    }
    Ok(fetched)
}

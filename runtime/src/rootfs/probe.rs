//! Finds out by trying what the kernel can do with a directory. Kernel versions are never asked: distributions carry
//! features back, and the file system below matters as much.

use super::{IdMap, Lower, MountError, MountSpec, Tier, assemble, write_stubs};
use crate::findings::Finding;
use rustix::fs::{AtFlags, Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use vzpkg_metadata::durable;
use vzpkg_metadata::tree::{Node, Tree};
use vzpkg_metadata::{Digest, RelPath, Timestamp};

/// An image of one directory with one file, `file`, whose content is the object of [`CONTENT`]; made from what
/// [`write_stubs`] makes of the same tree: `mkfs.erofs -T0 --all-root -U 00000000-0000-0000-0000-000000000000`.
const IMAGE: &[u8] = include_bytes!("probe.erofs");

const CONTENT: &[u8] = b"vzpkg probe\n";

/// Any range will do: nothing keeps it.
const RANGE: IdMap = IdMap {
    first: 100_000,
    count: 65_536,
};

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// Whether one tier works on a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierFinding {
    /// The tier.
    pub tier: Tier,
    /// Why it does not work; nothing where it does.
    pub obstacle: Option<String>,
}

/// What the kernel can do with a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// One finding for each tier, best first.
    pub tiers: Vec<TierFinding>,
    /// Why mounts in the best tier cannot be shifted for user namespaces; nothing where they can.
    pub id_mapped_obstacle: Option<String>,
}

impl Probe {
    /// The best tier that works.
    pub fn best(&self) -> Tier {
        self.tiers
            .iter()
            .find(|finding| finding.obstacle.is_none())
            .map_or(Tier::Directory, |finding| finding.tier)
    }
}

/// Finds by trying which tiers work in `directory` (the store's file system), leaving nothing there. About 5 ms.
///
/// # Errors
/// [`MountError`] where not even a scratch directory can be made.
pub fn probe(directory: &Path) -> Result<Probe, MountError> {
    let scratch = Scratch::new(directory)?;
    let tiers = [Tier::Image, Tier::Stacked, Tier::Stubs, Tier::Directory];
    let mut found = Probe {
        tiers: tiers
            .into_iter()
            .map(|tier| TierFinding {
                tier,
                obstacle: scratch.try_tier(tier, None),
            })
            .collect(),
        id_mapped_obstacle: None,
    };
    found.id_mapped_obstacle = scratch.try_tier(found.best(), Some(RANGE));
    Ok(found)
}

/// [`probe`], or what it found in `directory` since the machine was started, kept in the directory `memory`.
///
/// # Errors
/// As [`probe`].
pub fn probe_once(directory: &Path, memory: &Path) -> Result<Probe, MountError> {
    let finding = finding(directory, memory);
    if let Some(known) = finding.recall() {
        return Ok(known);
    }
    let found = probe(directory)?;
    finding.keep(&found);
    Ok(found)
}

/// Lets the next [`probe_once`] try again: for whoever could not mount as the last one said.
pub fn forget_probe(directory: &Path, memory: &Path) {
    finding(directory, memory).forget();
}

/// The finding about one directory: another one mounted or made in its place is another directory.
fn finding(directory: &Path, memory: &Path) -> Finding {
    use std::os::unix::fs::MetadataExt as _;
    let place = directory.as_os_str().as_encoded_bytes();
    let file = memory.join(format!("tiers.{}", Digest::of(place).short()));
    let which = fs::metadata(directory).map(|found| (found.dev(), found.ino()));
    Finding::new(file, &which.ok())
}

/// A version of one file, in all forms, removed at the end.
struct Scratch {
    directory: PathBuf,
    lower: Lower,
}

impl Scratch {
    fn new(directory: &Path) -> Result<Self, MountError> {
        let name = format!("probe.{}", SERIAL.fetch_add(1, Ordering::Relaxed));
        let failed = |source| MountError::on("make a probe in", directory)(source);
        let directory =
            durable::own_place(directory, &name).map_err(|error| failed(error.source))?;
        let lower = Lower {
            digest: Digest::of(CONTENT),
            image: directory.join("image"),
            objects: directory.join("objects"),
            stubs: Some(directory.join("stubs")),
            materialized: Some(directory.join("plain")),
        };
        let scratch = Self { directory, lower };
        scratch
            .fill()
            .map_err(MountError::on("make a probe in", &scratch.directory))?;
        Ok(scratch)
    }

    fn fill(&self) -> io::Result<()> {
        let digest = Digest::of(CONTENT).to_string();
        let (shard, rest) = digest.split_at(2);
        let shard = self.lower.objects.join(shard);
        fs::create_dir_all(&shard)?;
        fs::write(shard.join(rest), CONTENT)?;
        fs::write(&self.lower.image, IMAGE)?;
        let plain = self.directory.join("plain");
        fs::create_dir(&plain)?;
        fs::write(plain.join("file"), CONTENT)?;
        let stubs = self.directory.join("stubs");
        fs::create_dir(&stubs)?;
        // If this does not work the kernel will say so when it is tried.
        write_stubs(&tree(), &stubs).ok();
        Ok(())
    }

    /// Why a tier does not work: everything a container does with it is tried once.
    fn try_tier(&self, tier: Tier, id_map: Option<IdMap>) -> Option<String> {
        let mut spec = MountSpec::new(tier, self.lower.clone());
        spec.id_map = id_map;
        let shift = id_map.map_or(0, |map| map.first);
        let name = format!("{tier:?}.{shift}");
        let spec = spec.with_upper(
            self.directory.join(format!("{name}.upper")),
            self.directory.join(format!("{name}.work")),
        );
        match self.use_it(&spec, shift) {
            Ok(()) => None,
            Err(error) => {
                let mut text = error.to_string();
                let mut cause = error.source();
                while let Some(error) = cause {
                    text = format!("{text}: {error}");
                    cause = error.source();
                }
                let place = self.directory.display().to_string();
                Some(text.replace(&place, "."))
            }
        }
    }

    fn use_it(&self, spec: &MountSpec, shift: u32) -> Result<(), Box<dyn Error>> {
        let upper = spec.upper.as_ref().ok_or("no upper")?;
        fs::create_dir(&upper.upper)?;
        fs::create_dir(&upper.work)?;
        let mount = assemble(spec)?;
        if read(&mount)? != CONTENT {
            return Err("a file has the wrong content".into());
        }
        let found = rustix::fs::statat(&mount, "file", AtFlags::SYMLINK_NOFOLLOW)?;
        if found.st_uid != shift + owner(&self.directory)? {
            return Err("owners are not shifted".into());
        }
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::chmodat(&mount, "file", mode, AtFlags::empty())?;
        if fs::read(upper.upper.join("file"))? != CONTENT {
            return Err("a private copy is not whole".into());
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed carries our name and is found by whoever cleans the directory.
        fs::remove_dir_all(&self.directory).ok();
    }
}

/// 0, or who makes files there if that is not root: plain files of the scratch belong to him.
fn owner(directory: &Path) -> io::Result<u32> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(fs::metadata(directory)?.uid())
}

fn read(mount: &OwnedFd) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(mount, "file", flags, Mode::empty())?;
    let mut bytes = Vec::new();
    File::from(file).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn tree() -> Tree {
    let time = Timestamp::from_seconds(0);
    let mut tree = Tree::new();
    tree.insert(RelPath::root(), Node::directory(0o755, time));
    if let Ok(path) = RelPath::parse(b"file") {
        tree.insert(path, Node::file(0o644, time, CONTENT));
    }
    tree
}

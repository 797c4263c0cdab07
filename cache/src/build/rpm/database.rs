//! rpm's database after a run: install times become the epoch, its content is held against the lock, and what was left
//! to chance is taken out, so that the same lock gives the same bytes.
//!
//! rpm has no way to be told the time (until 4.19). So, once the transaction is done, the file that holds the headers is
//! copied out of the target, its times are set, it is copied back, and rpm itself builds the database anew from it;
//! every index is then rpm's own work. What still differs is Berkeley DB's own ([`super::berkeley`]).

use super::berkeley;
use super::form::{Form, PACKAGES};
use super::headers::{Header, INSTALL_TID, INSTALL_TIME};
use super::transaction::{rpm, rpm_run};
use super::{EXCHANGE, TARGET};
use crate::build::run::failure;
use crate::build::{Assembly, BuildError, Plan, Session};
use crate::store::Store;
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::tree::{Entry, Node, NodeKind, Tree};
use vzpkg_metadata::{Digest, RelPath};
use vzpkg_runtime::sandbox::{Bind, RunCommand};

/// Where the database can be; the first that is there counts. Fedora 36 and later have it below `/usr`.
const DIRECTORIES: [&str; 2] = ["usr/lib/sysimage/rpm", "var/lib/rpm"];

/// What it is called while it is outside.
const COPY: &str = "headers";

/// The file that says where the database was found.
const WHERE: &str = "where";

/// Files that only a running rpm needs.
const VOLATILE: [&str; 3] = [".rpm.lock", ".dbenv.lock", "rpmdb.sqlite-shm"];

/// Where SQLite keeps what is not yet in the database; empty once rpm has ended.
const LOG: &str = "rpmdb.sqlite-wal";

/// The largest database that is read: ten times that of a full desktop.
const DATABASE_BYTES: u64 = 1 << 30;

/// The name of a key that an administrator imported; it is in the database, but no package.
pub(super) const KEY: &str = "gpg-pubkey";

/// The directory through which the database goes out of the sandbox and back.
pub(super) fn exchange(staging: &Path) -> Result<Bind, FileError> {
    let directory = staging.join("database");
    fs::create_dir(&directory).map_err(FileError::on("create directory", &directory))?;
    Ok(Bind {
        source: directory,
        at: EXCHANGE.into(),
        writable: true,
    })
}

/// Sets the install times of everything that came to the epoch and lets rpm build its database anew.
pub(super) fn settle_times(
    plan: &Plan<'_>,
    session: &mut Session<'_>,
    assembly: &Assembly,
) -> Result<(), BuildError> {
    let names = PACKAGES.map(|(name, _)| name);
    let find = format!(
        "cd {TARGET}; for d in {}; do for f in {}; do if [ -e $d/$f ] && [ ! -s $d/{LOG} ]; then \
         echo $d/$f >{EXCHANGE}/{WHERE}; exec cp $d/$f {EXCHANGE}/{COPY}; fi; done; done",
        DIRECTORIES.join(" "),
        names.join(" ")
    );
    let outcome = session.run(&RunCommand::new(["sh", "-c", &find]))?;
    if !outcome.success() {
        return Err(failure(None, "cp", &outcome));
    }
    let exchange = assembly
        .binds
        .iter()
        .find(|bind| bind.at == Path::new(EXCHANGE));
    let Some(exchange) = exchange.map(|bind| &bind.source) else {
        return Ok(());
    };
    let Some(mut found) = open_own(&exchange.join(WHERE))? else {
        return Err(no_database());
    };
    let found = read(&mut found, &exchange.join(WHERE))?;
    let known = DIRECTORIES.iter().find_map(|directory| {
        let name = found.trim_ascii().strip_prefix(directory.as_bytes())?;
        let name = name.strip_prefix(b"/")?;
        let known = PACKAGES.iter().find(|(known, _)| known.as_bytes() == name);
        known.map(|(name, form)| (*directory, *name, *form))
    });
    let Some((found, name, form)) = known else {
        return Err(no_database());
    };
    let place = exchange.join(COPY);
    let content = |problem| BuildError::Content {
        path: format!("{found}/{name}"),
        problem,
    };
    let mut file = open_own(&place)?.ok_or_else(|| content("it cannot be copied"))?;
    let mut bytes = read(&mut file, &place)?;
    set_times(plan, form, &mut bytes).map_err(content)?;
    file.rewind()
        .and_then(|()| file.set_len(0))
        .and_then(|()| file.write_all(&bytes))
        .map_err(FileError::on("write", &place))?;
    // A newer rpm puts the new database in place by renaming its directory, which an overlay refuses for one of the base.
    let empty = match form {
        Form::Berkeley => "rm -f *".to_owned(),
        Form::Sqlite | Form::Ndb => {
            format!(
                "cd / && rm -rf {TARGET}/{found} && mkdir -m 755 {TARGET}/{found} && cd {TARGET}/{found}"
            )
        }
    };
    let put = format!("cd {TARGET}/{found} && {empty} && cp {EXCHANGE}/{COPY} {name}");
    let outcome = session.run(&RunCommand::new(["sh", "-c", &put]))?;
    if !outcome.success() {
        return Err(failure(None, "cp", &outcome));
    }
    rpm_run(plan, session, rpm(&["--rebuilddb"]))
}

fn no_database() -> BuildError {
    BuildError::Content {
        path: DIRECTORIES.join(" or "),
        problem: "rpm left no database there that can be read",
    }
}

/// Opens a file of the exchange directory, into which a scriptlet that left its chroot could have put anything: a link
/// or a device in its place is refused. Nobody of the sandbox runs meanwhile.
fn open_own(path: &Path) -> Result<Option<File>, FileError> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(FileError::on("open", path)(error.into())),
    };
    let metadata = file.metadata().map_err(FileError::on("read", path))?;
    if metadata.is_file() && metadata.nlink() == 1 {
        Ok(Some(file))
    } else {
        Err(FileError::on("open", path)(
            io::ErrorKind::InvalidData.into(),
        ))
    }
}

fn read(file: &mut File, path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let failed = |error| FileError::on("read", path)(error);
    let read = file.take(DATABASE_BYTES + 1).read_to_end(&mut bytes);
    if read.map_err(failed)? as u64 > DATABASE_BYTES {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(bytes)
}

fn set_times(plan: &Plan<'_>, form: Form, bytes: &mut Vec<u8>) -> Result<(), berkeley::Problem> {
    let incoming: BTreeSet<(&str, &str, &str)> = plan
        .incoming
        .iter()
        .map(|package| {
            let (name, version) = (package.name.as_str(), package.version.as_str());
            (name, version, package.arch.as_str())
        })
        .collect();
    let epoch = u32::try_from(plan.lock.epoch).unwrap_or(u32::MAX);
    form.change_each_header(bytes, &mut |header| {
        let identity = Header(header).identity();
        let (name, version, arch) = identity.ok_or("a header has no name")?;
        if !incoming.contains(&(name.as_str(), version.as_str(), arch.as_str())) {
            return Ok(());
        }
        for tag in [INSTALL_TIME, INSTALL_TID] {
            if let Some((start, _)) = Header(header).place(tag) {
                let place = header.get_mut(start..start + 4);
                place
                    .ok_or("a header is cut off")?
                    .copy_from_slice(&epoch.to_be_bytes());
            }
        }
        Ok(())
    })
}

/// Holds the database of a built tree against the lock and cleans its files.
pub(super) fn finish(plan: &Plan<'_>, tree: &mut Tree) -> Result<(), BuildError> {
    for directory in DIRECTORIES {
        let directory = RelPath::parse(directory.as_bytes())?;
        let is_directory = |entry: &Entry| entry.as_node().is_some_and(Node::is_directory);
        if !tree.get(&directory).is_some_and(is_directory) {
            continue;
        }
        remove_volatile(tree, &directory)?;
        let files: Vec<RelPath> = tree
            .below(&directory)
            .filter(|(_, entry)| entry.as_node().is_some_and(Node::is_file))
            .map(|(path, _)| path.clone())
            .collect();
        for path in files {
            clean(plan, tree, &path)?;
        }
    }
    Ok(())
}

fn remove_volatile(tree: &mut Tree, directory: &RelPath) -> Result<(), BuildError> {
    let mut names: Vec<RelPath> = tree
        .below(directory)
        .filter(|(path, _)| path.file_name().starts_with(b"__db."))
        .map(|(path, _)| path.clone())
        .collect();
    for name in VOLATILE {
        names.push(directory.join(name.as_bytes())?);
    }
    let log = directory.join(LOG.as_bytes())?;
    let is_empty = |node: &Node| matches!(node.kind, NodeKind::File { size: 0, .. });
    if tree.node(&log).is_some_and(is_empty) {
        names.push(log);
    }
    for name in names {
        tree.remove_subtree(&name);
    }
    Ok(())
}

/// Name, version and architecture of every package that rpm has installed.
pub(in crate::build) fn installed(
    store: &Store,
    tree: &Tree,
) -> Result<Vec<(String, String, String)>, BuildError> {
    let mut found = Vec::new();
    for directory in DIRECTORIES {
        let directory = RelPath::parse(directory.as_bytes())?;
        let log = directory.join(LOG.as_bytes())?;
        if matches!(tree.node(&log).map(|node| &node.kind), Some(NodeKind::File { size, .. }) if *size > 0)
        {
            return Err(BuildError::Content {
                path: log.to_string(),
                problem: "rpm had not ended",
            });
        }
        for (name, form) in PACKAGES {
            let path = directory.join(name.as_bytes())?;
            let Some(NodeKind::File { digest, .. }) = tree.node(&path).map(|node| &node.kind)
            else {
                continue;
            };
            let mut bytes = store.objects.read(digest, DATABASE_BYTES)?;
            let read = form.for_each_header(&mut bytes, &mut |header| {
                found.push(Header(header).identity().ok_or("a header has no name")?);
                Ok(())
            });
            read.map_err(|problem| BuildError::Content {
                path: path.to_string(),
                problem,
            })?;
        }
    }
    found.retain(|(name, ..)| name != KEY);
    Ok(found)
}

fn clean(plan: &Plan<'_>, tree: &mut Tree, path: &RelPath) -> Result<(), BuildError> {
    let objects = &plan.request.store.objects;
    let Some(NodeKind::File { digest, .. }) = tree.node(path).map(|node| &node.kind) else {
        return Ok(());
    };
    let mut bytes = objects.read(digest, DATABASE_BYTES)?;
    let content = |problem| BuildError::Content {
        path: path.to_string(),
        problem,
    };
    if let Some(form) = Form::of(path.file_name()) {
        let mut installed = Vec::new();
        let read = form.for_each_header(&mut bytes, &mut |header| {
            installed.push(Header(header).identity().ok_or("a header has no name")?);
            Ok(())
        });
        read.map_err(content)?;
        compare(plan, installed)?;
    }
    if !berkeley::Database::is_one(&bytes) {
        return Ok(());
    }
    let mut database = berkeley::Database::open(&mut bytes).map_err(content)?;
    // Any value will do, as long as no two files that are open together share it.
    let identity = Digest::of(path.as_bytes());
    database.clean(identity.as_bytes()).map_err(content)?;
    let digest = objects.put_bytes(&bytes)?;
    if let Some(node) = tree.node_mut(path) {
        let size = bytes.len() as u64;
        node.kind = NodeKind::File { digest, size };
    }
    Ok(())
}

/// Checks that exactly the packages of the lock are installed.
fn compare(plan: &Plan<'_>, installed: Vec<(String, String, String)>) -> Result<(), BuildError> {
    let mut wanted: BTreeSet<(String, String, String)> = plan
        .lock
        .packages
        .iter()
        .map(|package| {
            let name = package.name.to_string();
            (name, package.version.clone(), package.arch.to_string())
        })
        .collect();
    for identity in installed {
        if identity.0 == KEY || wanted.remove(&identity) {
            continue;
        }
        let (package, version, _) = identity;
        let expected = plan
            .lock
            .packages
            .iter()
            .find(|locked| locked.name.as_str() == package);
        return Err(BuildError::Outcome {
            package,
            found: version,
            expected: expected
                .map_or_else(|| "not there".to_owned(), |locked| locked.version.clone()),
        });
    }
    match wanted.into_iter().next() {
        None => Ok(()),
        Some((package, expected, _)) => Err(BuildError::Outcome {
            package,
            found: "not there".to_owned(),
            expected,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn evil_links_in_the_place_of_the_database_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        fs::write(place("host"), "the host's").unwrap();
        symlink(place("host"), place("symlink")).unwrap();
        fs::hard_link(place("host"), place("hard")).unwrap();
        fs::create_dir(place("directory")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            place("fifo"),
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        for name in ["symlink", "hard", "directory", "fifo"] {
            assert!(open_own(&place(name)).is_err(), "{name}");
        }
        assert!(open_own(&place("none")).unwrap().is_none());
        fs::write(place("own"), "own").unwrap();
        let mut file = open_own(&place("own")).unwrap().unwrap();
        assert_eq!(read(&mut file, &place("own")).unwrap(), b"own");
    }
}

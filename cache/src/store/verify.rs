//! Verification: reads everything again and says what is not what its name says. Repairs nothing.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the path of a method of Session is not general enough in its lifetime"
)]

use super::Store;
use super::db::DatabaseError;
use super::gc::InUse;
use super::object::ObjectError;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::tree::Tree;
use vzpkg_metadata::{Digest, VersionName};

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// An object that a tree or manifest names is not there.
    ObjectMissing(Digest),
    /// An object holds other bytes.
    ObjectDamaged {
        /// Its name.
        digest: Digest,
        /// The hash of what it holds.
        found: Digest,
    },
    /// An object holds the bytes of its name, but a tree says that they are fewer or more.
    ObjectSize {
        /// Its name.
        digest: Digest,
        /// What the tree says.
        named: u64,
        /// How many there are.
        found: u64,
    },
    /// An object cannot be read, for example for a fault of the disk.
    ObjectUnreadable {
        /// Its name.
        digest: Digest,
        /// What the system says.
        problem: String,
    },
    /// An image cannot be read, or holds another tree.
    Image {
        /// The tree it should hold.
        digest: Digest,
        /// What is wrong.
        problem: String,
    },
    /// A manifest cannot be read.
    Manifest {
        /// SHA-256 of the package file.
        package: Digest,
        /// What is wrong.
        problem: String,
    },
    /// A version's record is missing, cannot be read or contradicts the database.
    Version {
        /// Which version.
        version: VersionName,
        /// What is wrong.
        problem: String,
    },
    /// SQLite's own check of the database failed.
    Database {
        /// What it says.
        problem: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ObjectMissing(digest) => write!(f, "object {digest} is missing"),
            Self::ObjectDamaged { digest, found } => {
                write!(f, "object {digest} is damaged: its bytes hash to {found}")
            }
            Self::ObjectSize {
                digest,
                named,
                found,
            } => write!(
                f,
                "object {digest} has {found} bytes, but a tree says {named}"
            ),
            Self::ObjectUnreadable { problem, .. }
            | Self::Image { problem, .. }
            | Self::Manifest { problem, .. } => f.write_str(problem),
            Self::Version { version, problem } => write!(f, "version {version}: {problem}"),
            Self::Database { problem } => write!(f, "the database is damaged: {problem}"),
        }
    }
}

/// Is told about progress. All methods do nothing by default; they are called from many threads.
pub trait VerifyReporter: Sync {
    /// Called once, when the work is known.
    fn begin(&self, objects: u64, bytes: u64) {
        let _ = (objects, bytes);
    }

    /// Called after each object.
    fn object(&self, digest: &Digest, bytes: u64) {
        let _ = (digest, bytes);
    }
}

/// Why verification could not go on. What is wrong with the store is a [`Finding`], not an error.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A directory cannot be listed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database cannot be read at all.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Store {
    /// Reads images and records again, hashes every object that the trees name, and compares all with what the database
    /// says. `trees` limits this to some trees; empty means those of all versions, containers and cached trees, and
    /// manifests. Findings are sorted; an image or object that nothing names is none, for a power loss leaves such half
    /// written. About 1.3 GB/s per thread from memory.
    ///
    /// # Errors
    /// [`VerifyError`] if the store cannot be read as a store.
    pub fn verify(
        &self,
        trees: &[Digest],
        threads: usize,
        reporter: &dyn VerifyReporter,
    ) -> Result<Vec<Finding>, VerifyError> {
        let named = self.survey(trees)?;
        let mut findings = named.findings;
        findings.extend(self.verify_objects(&named.objects, threads, reporter));
        if !findings.is_empty() {
            // What a collection has taken meanwhile was nobody's any more.
            let still = self.survey(trees)?;
            findings.retain(|finding| match finding {
                Finding::ObjectMissing(digest)
                | Finding::ObjectDamaged { digest, .. }
                | Finding::ObjectSize { digest, .. }
                | Finding::ObjectUnreadable { digest, .. } => still.objects.contains_key(digest),
                other => still.findings.contains(other),
            });
        }
        findings.sort_unstable();
        findings.dedup();
        Ok(findings)
    }

    /// What trees, manifests and versions name, and what is wrong with themselves.
    fn survey(&self, trees: &[Digest]) -> Result<Check<'_>, VerifyError> {
        let mut check = Check {
            store: self,
            objects: BTreeMap::new(),
            findings: Vec::new(),
        };
        if trees.is_empty() {
            check.database()?;
            check.manifests()?;
        }
        check.versions(trees)?;
        check.trees(trees)?;
        Ok(check)
    }

    fn verify_objects(
        &self,
        objects: &BTreeMap<Digest, u64>,
        threads: usize,
        reporter: &dyn VerifyReporter,
    ) -> Vec<Finding> {
        reporter.begin(objects.len() as u64, objects.values().sum());
        let work: Vec<(&Digest, &u64)> = objects.iter().collect();
        let next = AtomicUsize::new(0);
        let worker = || {
            let mut findings = Vec::new();
            while let Some((digest, size)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                findings.extend(self.verify_object(digest, **size));
                reporter.object(digest, **size);
            }
            findings
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(worker)).collect();
            let joined = workers.into_iter().map(|worker| match worker.join() {
                Ok(findings) => findings,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            joined.flatten().collect()
        })
    }

    fn verify_object(&self, digest: &Digest, size: u64) -> Option<Finding> {
        let digest = *digest;
        match self.objects.hash(&digest) {
            Ok((_, found)) if found != digest => Some(Finding::ObjectDamaged { digest, found }),
            Ok((found, _)) if found != size => Some(Finding::ObjectSize {
                digest,
                named: size,
                found,
            }),
            Ok(_) => None,
            Err(ObjectError::Missing(_)) => Some(Finding::ObjectMissing(digest)),
            Err(error) => Some(Finding::ObjectUnreadable {
                digest,
                problem: chain(&error),
            }),
        }
    }
}

/// An error and its causes in one line: a finding is shown, not handled.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A verification that is under way.
struct Check<'a> {
    store: &'a Store,
    /// What must be there, and how long it must be.
    objects: BTreeMap<Digest, u64>,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn database(&mut self) -> Result<(), VerifyError> {
        let problems = self.store.db.check()?;
        let findings = problems
            .into_iter()
            .map(|problem| Finding::Database { problem });
        self.findings.extend(findings);
        Ok(())
    }

    fn manifests(&mut self) -> Result<(), VerifyError> {
        for package in self.store.packages.list()? {
            match self.store.packages.peek(&package) {
                Ok(Some(manifest)) => self.expect(&manifest.tree),
                // gc took it meanwhile.
                Ok(None) => {}
                Err(error) => self.findings.push(Finding::Manifest {
                    package,
                    problem: chain(&error),
                }),
            }
        }
        Ok(())
    }

    /// Records against rows.
    fn versions(&mut self, trees: &[Digest]) -> Result<(), VerifyError> {
        let db = &self.store.db;
        let rows = db.read("list versions", |session| session.all_versions())?;
        for row in rows {
            if !trees.is_empty() && !trees.contains(&row.digest) {
                continue;
            }
            let read = self.store.versions.read(&row.name.template, &row.digest);
            let problem = match read {
                Ok(record) if record.number == row.name.number => continue,
                Ok(record) => format!("its record says that it is {}", record.name()),
                Err(error) => chain(&error),
            };
            let version = row.name;
            self.findings.push(Finding::Version { version, problem });
        }
        Ok(())
    }

    fn trees(&mut self, trees: &[Digest]) -> Result<(), VerifyError> {
        let mut all: BTreeSet<Digest> = trees.iter().copied().collect();
        if trees.is_empty() {
            all.extend(self.named()?);
        }
        for digest in all {
            match self.store.images.peek(&digest) {
                Ok(tree) => self.expect(&tree),
                Err(error) => self.findings.push(Finding::Image {
                    digest,
                    problem: chain(&error),
                }),
            }
        }
        Ok(())
    }

    /// The trees that must be there: what nothing names is for a build to write anew or for gc to take.
    fn named(&self) -> Result<BTreeSet<Digest>, VerifyError> {
        let in_use = InUse::read(self.store)?;
        let mut trees: BTreeSet<Digest> = in_use.versions.iter().map(|row| row.digest).collect();
        trees.extend(in_use.named);
        // What gc holds on to besides, as far as it has an image: it must be able to read it.
        let held = in_use.held.into_iter();
        trees.extend(held.filter(|tree| self.store.images.contains(tree)));
        Ok(trees)
    }

    fn expect(&mut self, tree: &Tree) {
        // The empty file needs no object.
        let objects = tree.objects().filter(|(_, size)| *size > 0);
        self.objects.extend(objects);
    }
}

//! Removing what is not marked, each directory under its exclusive guard.

use super::mark::{Roots, on_threads};
use super::{Collection, GcError, GcMode, GcReport, RemovedTree};
use crate::store::agreement::{lock_directory, time_of};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::guard::{FileGuard, Share};
use vzpkg_metadata::{ByteSize, Digest, VersionName};

impl Collection<'_> {
    pub(super) fn sweep_builds(&mut self, dead: &[PathBuf]) -> Result<(), FileError> {
        for path in dead {
            self.report.dead_builds += 1;
            if self.mode == GcMode::DryRun {
                continue;
            }
            let removed = match fs::symlink_metadata(path) {
                Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
                Ok(_) => fs::remove_file(path),
                Err(error) => Err(error),
            };
            ignore_missing(removed).map_err(FileError::on("remove", path))?;
        }
        if self.mode == GcMode::Remove {
            // Objects, manifests and images are staged with their builds; records beside their place.
            durable::sweep(&self.store.layout.versions())?;
        }
        Ok(())
    }

    pub(super) fn sweep_manifests(&mut self, roots: &Roots) -> Result<(), GcError> {
        let mut spared = Vec::new();
        {
            let _exclusive = self.lock(&self.store.layout.manifests())?;
            for package in self.store.packages.list()? {
                if roots.packages.contains(&package) {
                    continue;
                }
                match self.take(&self.store.packages.path(&package))? {
                    Taken::Gone(bytes) => {
                        self.report.manifests += 1;
                        self.report.manifest_bytes.0 += bytes;
                    }
                    Taken::Spared => spared.push(package),
                }
            }
        }
        for package in spared {
            // One that is damaged is not used by anybody: reading it fails for them too.
            if let Ok(Some(manifest)) = self.store.packages.peek(&package) {
                let objects = manifest.tree.objects();
                self.marked.add(objects.map(|(digest, _)| digest));
            }
        }
        Ok(())
    }

    pub(super) fn sweep_images(
        &mut self,
        roots: &Roots,
        expired: &BTreeMap<VersionName, Digest>,
    ) -> Result<(), GcError> {
        let images = &self.store.images;
        // What goes is read before it goes, so that its bytes can be told apart from those of the others.
        let mut going = images.list()?;
        going.retain(|digest| !roots.has_tree(digest));
        let read = |digest: &Digest| (*digest, images.objects_of(digest).unwrap_or_default());
        let parts = on_threads(usize::MAX, &going, &|part| {
            part.map(read).collect::<Vec<_>>()
        });
        let mut going: Vec<(Digest, Vec<Digest>)> = parts.into_iter().flatten().collect();
        going.sort_unstable_by_key(|(digest, _)| *digest);
        let mut spared = Vec::new();
        {
            let _exclusive = self.lock(&self.store.layout.images())?;
            for (digest, objects) in going {
                match self.take(&images.path(&digest))? {
                    Taken::Gone(bytes) => self.note_tree(digest, bytes, objects, expired),
                    Taken::Spared => spared.extend(objects),
                }
            }
        }
        self.marked.add(spared);
        self.sweep_materialized(roots)
    }

    fn note_tree(
        &mut self,
        digest: Digest,
        bytes: u64,
        objects: Vec<Digest>,
        expired: &BTreeMap<VersionName, Digest>,
    ) {
        let index = self.report.trees.len();
        for object in objects {
            self.owners.entry(object).or_insert(index);
        }
        let versions = expired.iter().filter(|(_, tree)| **tree == digest);
        self.report.image_bytes.0 += bytes;
        self.report.trees.push(RemovedTree {
            digest,
            versions: versions.map(|(name, _)| name.clone()).collect(),
            bytes: ByteSize(bytes),
        });
    }

    /// Plain directories of trees whose image is gone.
    fn sweep_materialized(&mut self, roots: &Roots) -> Result<(), GcError> {
        let directory = self.store.layout.materialized_trees();
        for entry in fs::read_dir(&directory).map_err(FileError::on("list", &directory))? {
            let entry = entry.map_err(FileError::on("list", &directory))?;
            let name = entry.file_name();
            let digest = name.to_str().map(|name| name.trim_end_matches(".stubs"));
            let digest = digest.and_then(|name| name.parse::<Digest>().ok());
            let used = digest.is_some_and(|digest| {
                roots.has_tree(&digest) || self.store.images.contains(&digest)
            });
            if used || self.mode == GcMode::DryRun {
                continue;
            }
            let path = entry.path();
            let metadata = entry.metadata().map_err(FileError::on("read", &path))?;
            if time_of(&metadata) < self.threshold {
                ignore_missing(fs::remove_dir_all(&path)).map_err(FileError::on("remove", path))?;
            }
        }
        Ok(())
    }

    /// Sweeps the shards with a few threads: each is a directory of its own.
    pub(super) fn sweep_objects(&mut self) -> Result<(), GcError> {
        let shards: Vec<u8> = (0..=u8::MAX).collect();
        let this = &*self;
        let parts = on_threads(4, &shards, &|part| this.sweep_shards(part));
        for part in parts {
            part?.add_to(&mut self.report);
        }
        Ok(())
    }

    fn sweep_shards(&self, shards: &mut dyn Iterator<Item = &u8>) -> Result<Swept, FileError> {
        let mut swept = Swept::default();
        for &shard in shards {
            let path = self.store.layout.shard(shard);
            match self.lock(&path) {
                Ok(_exclusive) => self.sweep_shard(shard, &path, &mut swept)?,
                Err(error) if error.source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(swept)
    }

    fn sweep_shard(&self, shard: u8, path: &Path, swept: &mut Swept) -> Result<(), FileError> {
        for entry in fs::read_dir(path).map_err(FileError::on("list", path))? {
            let name = entry.map_err(FileError::on("list", path))?.file_name();
            let digest = name.to_str().map(|name| format!("{shard:02x}{name}"));
            let Some(digest) = digest.and_then(|digest| digest.parse::<Digest>().ok()) else {
                continue;
            };
            if self.marked.contains(&digest) {
                swept.kept += 1;
                continue;
            }
            match self.take(&path.join(&name))? {
                Taken::Gone(bytes) => {
                    swept.objects += 1;
                    swept.bytes += bytes;
                    if let Some(owner) = self.owners.get(&digest) {
                        *swept.by_tree.entry(*owner).or_default() += bytes;
                    }
                }
                Taken::Spared => swept.kept += 1,
            }
        }
        Ok(())
    }

    fn lock(&self, directory: &Path) -> Result<FileGuard, FileError> {
        let share = match self.mode {
            GcMode::Remove => Share::Exclusive,
            GcMode::DryRun => Share::Shared,
        };
        lock_directory(directory, share)
    }

    /// Removes a file that was not touched since the threshold. Its directory is locked.
    fn take(&self, path: &Path) -> Result<Taken, FileError> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Taken::Spared),
            Err(error) => return Err(FileError::on("read", path)(error)),
        };
        if time_of(&metadata) >= self.threshold {
            return Ok(Taken::Spared);
        }
        if self.mode == GcMode::Remove {
            fs::remove_file(path).map_err(FileError::on("remove", path))?;
        }
        Ok(Taken::Gone(metadata.len()))
    }
}

enum Taken {
    Gone(u64),
    Spared,
}

#[derive(Default)]
struct Swept {
    kept: u64,
    objects: u64,
    bytes: u64,
    by_tree: BTreeMap<usize, u64>,
}

impl Swept {
    fn add_to(self, report: &mut GcReport) {
        report.kept_objects += self.kept;
        report.objects += self.objects;
        report.object_bytes.0 += self.bytes;
        for (tree, bytes) in self.by_tree {
            if let Some(tree) = report.trees.get_mut(tree) {
                tree.bytes.0 += bytes;
            }
        }
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

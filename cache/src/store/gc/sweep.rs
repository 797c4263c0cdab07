//! Removing what is not marked, each directory under its exclusive guard.

use super::mark::on_threads;
use super::{Collection, GcError, GcMode, GcReport, RemovedTree};
use crate::store::agreement::{lock_directory, time_of};
use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::guard::{FileGuard, Share};
use vzpkg_metadata::{ByteSize, Digest};

impl Collection<'_> {
    pub(super) fn sweep_builds(&mut self) -> Result<(), FileError> {
        for path in &self.dead {
            self.report.dead_builds += 1;
            if self.mode == GcMode::DryRun {
                continue;
            }
            remove_whole(path)?;
        }
        if self.mode == GcMode::Remove {
            // Objects, manifests and images are staged with their builds; records beside their place.
            durable::sweep(&self.store.layout.versions())?;
        }
        Ok(())
    }

    pub(super) fn sweep_manifests(&mut self) -> Result<(), GcError> {
        let mut spared = Vec::new();
        {
            let _exclusive = self.lock(&self.store.layout.manifests())?;
            for package in self.store.packages.list()? {
                if self.roots.packages.contains(&package) {
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

    pub(super) fn sweep_images(&mut self) -> Result<(), GcError> {
        let images = &self.store.images;
        // What goes is read before it goes, so that its bytes can be told apart from those of the others.
        let mut going = images.list()?;
        going.retain(|digest| !self.roots.has_tree(digest));
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
                    Taken::Gone(bytes) => self.note_tree(digest, bytes, objects),
                    Taken::Spared => spared.extend(objects),
                }
            }
        }
        self.marked.add(spared);
        Ok(())
    }

    fn note_tree(&mut self, digest: Digest, bytes: u64, objects: Vec<Digest>) {
        let index = self.report.trees.len();
        for object in objects {
            self.owners.entry(object).or_insert(index);
        }
        let versions = self.expired.iter().filter(|(_, tree)| **tree == digest);
        self.report.image_bytes.0 += bytes;
        self.report.trees.push(RemovedTree {
            digest,
            versions: versions.map(|(name, _)| name.clone()).collect(),
            bytes: ByteSize(bytes),
        });
    }

    /// Plain directories of trees whose image is gone. A tree that has its name is complete, so it loses the name before
    /// anything of it goes; and under the lock, for a build that needs it writes its image first, under the shared side.
    pub(super) fn sweep_materialized(&self) -> Result<(), GcError> {
        let Some(own) = &self.own else {
            return Ok(());
        };
        let directory = self.store.layout.materialized_trees();
        let mut going = Vec::new();
        {
            let _exclusive = self.lock(&self.store.layout.images())?;
            for entry in fs::read_dir(&directory).map_err(FileError::on("list", &directory))? {
                let entry = entry.map_err(FileError::on("list", &directory))?;
                if self.is_used(&entry)? {
                    continue;
                }
                let place = own.fresh_path();
                durable::put_in_place_unsynced(&entry.path(), &place)?;
                going.push(place);
            }
        }
        if !going.is_empty() {
            // A power loss brings no name back to what is half removed.
            durable::sync_parent(&directory.join("any"))?;
        }
        for place in going {
            remove_whole(&place)?;
        }
        Ok(())
    }

    /// Whether a plain directory stays.
    fn is_used(&self, entry: &DirEntry) -> Result<bool, FileError> {
        let name = entry.file_name();
        let digest = name.to_str().map(|name| name.trim_end_matches(".stubs"));
        let digest = digest.and_then(|name| name.parse::<Digest>().ok());
        let named = digest.is_some_and(|digest| {
            self.roots.has_tree(&digest) || self.store.images.contains(&digest)
        });
        if named {
            return Ok(true);
        }
        let metadata = entry
            .metadata()
            .map_err(FileError::on("read", entry.path()))?;
        Ok(time_of(&metadata) >= self.threshold)
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

/// Removes a file or a directory with all that is in it, if it is there.
fn remove_whole(path: &Path) -> Result<(), FileError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::on("remove", path)(error))
        }
        _ => Ok(()),
    }
}

//! How much disk a container's private area may have: on file systems with project quotas each private area is a project
//! of its own, from the moment it is made; a limit is a number that the kernel keeps for the project.
//!
//! A file belongs to the project of the directory it is made in, and the kernel renames nothing into another project's
//! directory. So an area becomes a project while it is empty, or never.

use super::{ContainerError, ContainerPaths};
use crate::oci::LimitError;
use crate::sys::quota;
use std::fs::File;
use std::io;
use std::path::Path;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::{ByteSize, Digest};

/// Why a private area cannot be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoQuota {
    /// The file system keeps no quotas of projects, or none as it is mounted.
    Off,
    /// The area was made before they were on.
    Older,
}

/// Makes the new, empty directory of a private area a project of its own, where there are quotas of projects. `place` is
/// where the area will lie.
pub(super) fn adopt(area: &Path, place: &Path) -> Result<(), FileError> {
    let directory = File::open(area).map_err(FileError::on("open", area))?;
    // Nobody has asked for a limit yet.
    if obstacle(&directory).is_some() {
        return Ok(());
    }
    let project = free_project(place, |project| quota::project_use(&directory, project))
        .map_err(FileError::on("look for a free project for", area))?;
    quota::limit_project(&directory, project, 0)
        .and_then(|()| quota::set_project(&directory, project))
        .map_err(FileError::on("make a project of", area))
}

/// Gives a private area this limit, or none.
pub(super) fn limit(
    area: &Path,
    paths: &ContainerPaths,
    most: Option<ByteSize>,
) -> Result<(), ContainerError> {
    let refused = |source| ContainerError::Limit {
        container: paths.id.clone(),
        source,
    };
    let directory = File::open(area).map_err(FileError::on("open", area))?;
    let project = quota::project(&directory).unwrap_or(0);
    let why = obstacle(&directory).or((project == 0).then_some(NoQuota::Older));
    match (why, most) {
        (Some(_), None) => return Ok(()),
        (Some(why), Some(_)) => {
            let path = area.to_owned();
            return Err(refused(LimitError::NoQuota { path, why }));
        }
        (None, _) => {}
    }
    let failed = |error| {
        refused(LimitError::Refused {
            what: "disk space",
            source: FileError::on("limit the project of", area)(error),
        })
    };
    let used = quota::project_use(&directory, project).map_err(failed)?;
    let most = most.unwrap_or(ByteSize(0));
    if used.limit == most.0.div_ceil(1024) * 1024 {
        return Ok(());
    }
    if most.0 != 0 && used.bytes > most.0 {
        let used = ByteSize(used.bytes);
        return Err(refused(LimitError::Full { used }));
    }
    quota::limit_project(&directory, project, most.0).map_err(failed)
}

/// What keeps the file system of a directory from limiting projects.
fn obstacle(directory: &File) -> Option<NoQuota> {
    let on = quota::project_quotas_are_on(directory).unwrap_or(false);
    (!on).then_some(NoQuota::Off)
}

/// The first project, beginning at one that the place tells, that nothing belongs to.
fn free_project(
    place: &Path,
    used: impl Fn(u32) -> io::Result<quota::ProjectUse>,
) -> io::Result<u32> {
    // Above what people give by hand.
    const FIRST: u32 = 1 << 24;
    const COUNT: u32 = 1 << 24;
    const TRIES: u32 = 1000;
    let digest = Digest::of(place.as_os_str().as_encoded_bytes());
    let begin = digest
        .as_bytes()
        .iter()
        .take(3)
        .fold(0, |number, byte| number << 8 | u32::from(*byte));
    for further in 0..TRIES {
        let project = FIRST + (begin + further) % COUNT;
        let used = used(project)?;
        if used.inodes == 0 && used.bytes == 0 {
            return Ok(project);
        }
    }
    Err(io::Error::other("a thousand projects in a row are in use"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::quota::ProjectUse;

    #[test]
    fn a_project_is_taken_that_nothing_belongs_to_and_the_same_for_a_place() {
        let uses = |inodes| ProjectUse {
            bytes: 0,
            inodes,
            limit: 4096,
        };
        let place = Path::new("/vz/private/web");
        let first = free_project(place, |_| Ok(uses(0))).unwrap();
        assert_eq!(first, free_project(place, |_| Ok(uses(0))).unwrap());
        let other = free_project(Path::new("/vz/private/db"), |_| Ok(uses(0))).unwrap();
        assert_ne!(first, other);
        let next = free_project(place, |project| Ok(uses(u64::from(project == first))));
        assert!(next.unwrap() != first);
        assert!(free_project(place, |_| Ok(uses(1))).is_err());
    }
}

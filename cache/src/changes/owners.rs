//! Which package has which path: the version's packages with their conffiles, and those that the container has of its
//! own. Known where dpkg keeps lists; of an rpm database nothing is read.

use super::ChangesInput;
use crate::merge::{
    MergeError, RECORD_BYTES, STATUS, conffiles, field, listed, paragraphs, read_record,
};
use std::collections::{BTreeMap, BTreeSet};
use vzpkg_metadata::{Family, RelPath};
use vzpkg_runtime::container::UpperKind;

const INFO: &str = "var/lib/dpkg/info";

/// Who has what.
#[derive(Debug, Default)]
pub(super) struct Owners {
    /// Of all packages, those of the container included.
    packages: BTreeMap<RelPath, String>,
    /// Of the version's packages.
    conffiles: BTreeSet<RelPath>,
    /// Of packages that the container installed or has in another version.
    own: BTreeSet<RelPath>,
}

/// Versions of packages by name and architecture.
type Versions = BTreeMap<(Vec<u8>, Vec<u8>), Vec<u8>>;

impl Owners {
    pub(super) fn read(input: &ChangesInput<'_>) -> Result<Self, MergeError> {
        let mut owners = Self::default();
        let (Family::Deb, Ok(status)) = (input.family, STATUS.parse()) else {
            return Ok(owners);
        };
        let template = read_record(input.objects, &status, input.tree.node(&status))?;
        for paragraph in paragraphs(&template) {
            owners.conffiles.extend(conffiles(paragraph));
        }
        let private = of_upper(input, &status)?.unwrap_or_else(|| template.clone());
        let (before, now) = (versions(&template), versions(&private));
        let own: BTreeSet<&[u8]> = now
            .iter()
            .filter(|(key, version)| before.get(*key) != Some(version))
            .map(|((name, _), _)| name.as_slice())
            .collect();
        owners.read_lists(input, &own)?;
        Ok(owners)
    }

    /// Reads the list of every package; those in `own` are the container's.
    fn read_lists(
        &mut self,
        input: &ChangesInput<'_>,
        own: &BTreeSet<&[u8]>,
    ) -> Result<(), MergeError> {
        let Ok(info) = INFO.parse() else {
            return Ok(());
        };
        let shared = input.tree.below(&info).map(|(path, _)| path);
        let private = input.upper.below(&info).map(|(path, _)| path);
        let lists: BTreeSet<&RelPath> = shared.chain(private).collect();
        for list in lists {
            let Some(stem) = list.file_name().strip_suffix(b".list") else {
                continue;
            };
            let name = stem.split(|&byte| byte == b':').next().unwrap_or_default();
            let bytes = match of_upper(input, list)? {
                Some(bytes) => bytes,
                None => read_record(input.objects, list, input.tree.node(list))?,
            };
            let paths = listed(input.tree, &bytes);
            if own.contains(name) {
                self.own.extend(paths.iter().cloned());
            }
            let name = String::from_utf8_lossy(name).into_owned();
            for path in paths {
                // The first of several packages that share a directory.
                self.packages.entry(path).or_insert_with(|| name.clone());
            }
        }
        Ok(())
    }

    /// The package that has `path`.
    pub(super) fn of(&self, path: &RelPath) -> Option<&str> {
        self.packages.get(path).map(String::as_str)
    }

    pub(super) fn is_conffile(&self, path: &RelPath) -> bool {
        self.conffiles.contains(path)
    }

    pub(super) fn is_own(&self, path: &RelPath) -> bool {
        self.own.contains(path)
    }
}

fn versions(status: &[u8]) -> Versions {
    let value = |paragraph, name| field(paragraph, name).unwrap_or_default().to_vec();
    paragraphs(status)
        .map(|paragraph| {
            let key = (
                value(paragraph, "Package"),
                value(paragraph, "Architecture"),
            );
            (key, value(paragraph, "Version"))
        })
        .collect()
}

/// The bytes of a private file; `None` where the version's shows.
fn of_upper(input: &ChangesInput<'_>, path: &RelPath) -> Result<Option<Vec<u8>>, MergeError> {
    match input.upper.get(path).map(|entry| &entry.kind) {
        None => return Ok(None),
        Some(UpperKind::File { .. }) => {}
        Some(_) => return Ok(Some(Vec::new())),
    }
    let bytes = input.private.read(path, RECORD_BYTES);
    bytes.map(Some).map_err(|source| MergeError::Private {
        path: path.clone(),
        source,
    })
}

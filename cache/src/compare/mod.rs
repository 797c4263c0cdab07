//! What differs between two versions, told as somebody wants it who has to answer for an update: packages, then what
//! changes the risk (rights of programs, services, accounts, what listens), then sizes, then every name.
//!
//! Each kind of risk is a map of [`Facts`] read from one tree; two maps give [`Changes`]. What is read comes from packages
//! and is foreign: files are bounded, what is not understood is no fact. Not a scanner: it knows where distributions
//! write such things down, and looks nowhere else.

mod accounts;
mod changelog;
mod listening;
mod packages;
mod privileges;
mod services;
mod sizes;
mod view;

pub use changelog::Changelog;
pub use packages::{PackageChange, PackageMove};
pub use sizes::{Sizes, TreeSize};

use crate::store::{ImageError, ManifestError, ObjectError, Store, VersionRecord};
use crate::tree::diff::{Difference, diff};
use std::collections::BTreeMap;
use view::View;

/// One kind of thing in one tree: what it is called, and what is to be known of it.
type Facts = BTreeMap<String, String>;

/// Something that one version has and the other has not.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fact {
    /// What it is called: a path, a unit, a user.
    pub name: String,
    /// What is to be known of it.
    pub what: String,
}

/// Something that both versions have, but not alike.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Changed {
    /// What it is called.
    pub name: String,
    /// What was to be known of it in the first version.
    pub from: String,
    /// What is in the second.
    pub to: String,
}

/// How one kind of thing differs; each list is sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Changes {
    /// What only the second version has.
    pub added: Vec<Fact>,
    /// What only the first version has.
    pub removed: Vec<Fact>,
    /// What both have, but not alike.
    pub changed: Vec<Changed>,
}

impl Changes {
    fn between(mut before: Facts, after: Facts) -> Self {
        let mut changes = Self::default();
        for (name, what) in after {
            match before.remove(&name) {
                None => changes.added.push(Fact { name, what }),
                Some(same) if same == what => {}
                Some(from) => changes.changed.push(Changed {
                    name,
                    from,
                    to: what,
                }),
            }
        }
        let gone = before.into_iter();
        changes.removed = gone.map(|(name, what)| Fact { name, what }).collect();
        changes
    }

    /// Whether nothing differs.
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Everything that differs between two versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Packages that are not the same, by name.
    pub packages: Vec<PackageChange>,
    /// Programs that run with the rights of another user or group, or with capabilities.
    pub privileges: Changes,
    /// Units of systemd and init scripts, and whether they start by themselves.
    pub services: Changes,
    /// Users and groups; `None` if this user may not read the contents of files.
    pub accounts: Option<Changes>,
    /// What is configured to listen; `None` if this user may not read the contents of files.
    pub listening: Option<Changes>,
    /// How much there is.
    pub sizes: Sizes,
    /// Every name that is not the same, by path.
    pub files: Vec<Difference>,
    /// What the packages say of their own changes; empty unless it was asked for.
    pub changelogs: Vec<Changelog>,
}

/// Whether to read changelogs, which costs a read and an inflate for each package that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changelogs {
    /// Leave them out.
    Skip,
    /// Read what is new in them.
    Read,
}

/// Why two versions cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The tree of one cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The manifest of a package cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file of one cannot be read.
    #[error(transparent)]
    Object(#[from] ObjectError),
}

/// Compares two versions of a store. Linear in the names of both trees.
///
/// # Errors
/// [`CompareError`] for what is missing or damaged; not being allowed to read the contents of files is none.
pub fn compare(
    store: &Store,
    from: &VersionRecord,
    to: &VersionRecord,
    changelogs: Changelogs,
) -> Result<Comparison, CompareError> {
    let trees = (
        store.images.read(&from.digest)?,
        store.images.read(&to.digest)?,
    );
    let before = View::new(&trees.0, &store.objects);
    let after = View::new(&trees.1, &store.objects);
    let packages = packages::changes(&from.lock, &to.lock);
    let contents = before.may_read_contents() && after.may_read_contents();
    let (accounts, listening) = if contents {
        let accounts = Changes::between(accounts::facts(&before)?, accounts::facts(&after)?);
        let listening = Changes::between(listening::facts(&before)?, listening::facts(&after)?);
        (Some(accounts), Some(listening))
    } else {
        (None, None)
    };
    let changelogs = match changelogs {
        Changelogs::Read if contents => changelog::read(store, &after, &to.lock, &packages)?,
        _ => Vec::new(),
    };
    Ok(Comparison {
        privileges: Changes::between(privileges::facts(&before), privileges::facts(&after)),
        services: Changes::between(services::facts(&before), services::facts(&after)),
        accounts,
        listening,
        sizes: Sizes::of(&trees.0, &trees.1),
        files: diff(&trees.0, &trees.1),
        packages,
        changelogs,
    })
}

#[cfg(test)]
mod tests;

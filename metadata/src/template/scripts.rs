//! The scripts of a template: their kinds, where each runs, and which template a missing one is taken from.
//!
//! When they run is decided by the builder (VZPKG-REFERENCE §2.5); here they are values. A file that is not executable
//! is no script, as in the original.

use std::collections::BTreeMap;
use std::fmt;

/// Every script name a template directory may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScriptKind {
    /// Host: the root is prepared, nothing installed. `$1` is the root.
    PreCache,
    /// Container: after stages 0 and 1, dpkg only.
    MidPreInstall,
    /// Container: after [`ScriptKind::MidPreInstall`], before the last stage, dpkg only.
    MidPostInstall,
    /// Host: after all packages. `$1` is the root.
    PostCache,
    /// Host: application, before [`ScriptKind::PreInstall`]. `$1` is the root.
    PreInstallHn,
    /// Container: application, before its packages.
    PreInstall,
    /// Host: application, after its packages, before [`ScriptKind::PostInstall`]. `$1` is the root.
    PostInstallHn,
    /// Container: OS after [`ScriptKind::PostCache`]; application after its packages.
    PostInstall,
    /// Container: before an update.
    PreUpdate,
    /// Container: after an update.
    PostUpdate,
    /// Container: application, before its packages go.
    PreRemove,
    /// Container: application, after its packages went.
    PostRemove,
    /// Container: of the target, before a release upgrade.
    PreUpgrade,
    /// Container: of the target, after a release upgrade.
    PostUpgrade,
}

impl ScriptKind {
    /// Every kind, in the order they can run.
    pub const ALL: [Self; 14] = [
        Self::PreCache,
        Self::MidPreInstall,
        Self::MidPostInstall,
        Self::PostCache,
        Self::PreInstallHn,
        Self::PreInstall,
        Self::PostInstallHn,
        Self::PostInstall,
        Self::PreUpdate,
        Self::PostUpdate,
        Self::PreRemove,
        Self::PostRemove,
        Self::PreUpgrade,
        Self::PostUpgrade,
    ];

    /// The name of the file.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::PreCache => "pre-cache",
            Self::MidPreInstall => "mid-pre-install",
            Self::MidPostInstall => "mid-post-install",
            Self::PostCache => "post-cache",
            Self::PostInstall => "post-install",
            Self::PreInstallHn => "pre-install-hn",
            Self::PreInstall => "pre-install",
            Self::PostInstallHn => "post-install-hn",
            Self::PreUpdate => "pre-update",
            Self::PostUpdate => "post-update",
            Self::PreRemove => "pre-remove",
            Self::PostRemove => "post-remove",
            Self::PreUpgrade => "pre-upgrade",
            Self::PostUpgrade => "post-upgrade",
        }
    }

    /// Whether it runs with the host's programs and gets the root as `$1`, rather than inside the tree.
    pub const fn runs_on_host(self) -> bool {
        matches!(
            self,
            Self::PreCache | Self::PostCache | Self::PreInstallHn | Self::PostInstallHn
        )
    }
}

impl fmt::Display for ScriptKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.file_name())
    }
}

/// One script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Which one it is.
    pub kind: ScriptKind,
    /// The file, byte by byte. The original ignores its interpreter line and always runs it with bash.
    pub content: Vec<u8>,
}

/// The scripts of one template after inheritance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scripts(BTreeMap<ScriptKind, Script>);

impl Scripts {
    /// The script of this kind, if the template has one.
    pub fn get(&self, kind: ScriptKind) -> Option<&Script> {
        self.0.get(&kind)
    }

    /// All scripts, in the order of [`ScriptKind::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = &Script> {
        self.0.values()
    }

    /// Adds a script, or replaces the one of its kind.
    pub fn insert(&mut self, script: Script) {
        self.0.insert(script.kind, script);
    }

    /// Takes from `base` every script that is missing here.
    pub(super) fn inherit(&mut self, base: Self) {
        for (kind, script) in base.0 {
            self.0.entry(kind).or_insert(script);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_script_comes_from_the_base_and_an_own_one_stays() {
        let script = |kind, text: &str| Script {
            kind,
            content: text.into(),
        };
        let mut own = Scripts::default();
        own.insert(script(ScriptKind::PostCache, "own"));
        let mut base = Scripts::default();
        base.insert(script(ScriptKind::PostCache, "base"));
        base.insert(script(ScriptKind::PreCache, "base"));
        own.inherit(base);
        let found: Vec<_> = own
            .iter()
            .map(|s| (s.kind.file_name(), s.content.as_slice()))
            .collect();
        assert_eq!(
            found,
            [("pre-cache", &b"base"[..]), ("post-cache", &b"own"[..])]
        );
    }

    #[test]
    fn every_kind_has_its_own_file_name() {
        let names: std::collections::BTreeSet<_> =
            ScriptKind::ALL.iter().map(|k| k.file_name()).collect();
        assert_eq!(names.len(), ScriptKind::ALL.len());
    }
}

//! What differs between package families, as one trait. Everything around it is the same for both.

use super::{Assembly, BuildError, Plan, Session};
use std::path::Path;
use vzpkg_metadata::tree::Tree;

/// What a template does between the two halves of a transaction.
pub(super) type Middle<'a> = dyn FnMut(&mut Session<'_>) -> Result<(), BuildError> + 'a;

/// Carries out transactions of one family with the distribution's own package manager.
pub trait Backend: Sync {
    /// Says what the sandbox starts from. `staging` is an empty directory of this build, for files that the sandbox
    /// is to see (package files, a private index).
    ///
    /// # Errors
    /// [`BuildError`] for manifests or a base that cannot be used.
    fn assemble(&self, plan: &Plan<'_>, staging: &Path) -> Result<Assembly, BuildError>;

    /// Carries out the transaction in a running session. `middle`, if the template has anything to do there, is called
    /// once, when what the distribution cannot live without is configured and nothing else.
    ///
    /// # Errors
    /// [`BuildError::Script`] names what failed.
    fn run(
        &self,
        plan: &Plan<'_>,
        assembly: &Assembly,
        session: &mut Session<'_>,
        middle: Option<&mut Middle<'_>>,
    ) -> Result<(), BuildError>;

    /// Checks that the package database says what the lock says, and writes files of the package manager that only
    /// the lock knows.
    ///
    /// # Errors
    /// [`BuildError::Outcome`] where they disagree.
    fn finish(&self, plan: &Plan<'_>, tree: &mut Tree) -> Result<(), BuildError>;
}

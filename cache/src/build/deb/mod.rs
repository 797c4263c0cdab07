//! The backend for Debian packages.
//!
//! From nothing it takes the fast way: every package laid into the tree at once and dpkg's database written in the
//! state *unpacked*, so that only scripts remain to be run ([`bootstrap`]). What that way cannot do exactly, dpkg does.
//! On a base the tree's own apt carries out the transaction from a private index ([`transaction`]).

mod bootstrap;
mod closure;
mod database;
mod outcome;
pub mod paragraph;
mod perl;
mod report;
mod shortcuts;
mod stubs;
mod transaction;

pub(super) use outcome::installed;

use super::backend::Middle;
use super::{Assembly, Backend, BuildError, Plan, Session};
use std::path::Path;
use vzpkg_metadata::tree::Tree;

/// Builds trees of `.deb` packages.
#[derive(Debug, Clone, Copy)]
pub struct DebBackend;

/// The variables of everything that maintainer scripts may be run by.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
    ("DEBCONF_NOWARNINGS", "yes"),
    // As debootstrap and mmdebstrap have it. Scripts that set it themselves set this.
    ("LC_ALL", "C"),
];

/// Where package files are seen in the sandbox.
const PACKAGES: &str = "/run/vzpkg/packages";

impl Backend for DebBackend {
    fn assemble(&self, plan: &Plan<'_>, staging: &Path) -> Result<Assembly, BuildError> {
        let mut assembly = match &plan.base {
            None => bootstrap::assemble(plan, staging)?,
            Some(base) => transaction::assemble(plan, base, staging)?,
        };
        let variables = ENVIRONMENT.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assembly.environment.extend(variables);
        stubs::add(plan, &mut assembly, staging)?;
        Ok(assembly)
    }

    fn run(
        &self,
        plan: &Plan<'_>,
        assembly: &Assembly,
        session: &mut Session<'_>,
        middle: Option<&mut Middle<'_>>,
    ) -> Result<(), BuildError> {
        match &plan.base {
            None => bootstrap::run(plan, assembly, session, middle),
            Some(base) => transaction::run(plan, base, session),
        }
    }

    fn finish(&self, plan: &Plan<'_>, tree: &mut Tree) -> Result<(), BuildError> {
        outcome::check(plan, tree)?;
        outcome::finish_apt(plan, tree)?;
        bootstrap::remove_staged_scripts(tree);
        Ok(())
    }
}

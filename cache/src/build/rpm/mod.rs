//! The backend for rpm packages: the distribution's own rpm, in a tree made of its own packages, carries out one
//! transaction on the target. Database format, scriptlets, Lua, triggers and order are then the distribution's own.
//!
//! ```text
//! tools     bootstrap: all packages of the transaction laid over each other, no script run; else the base   tools
//! offer     the packages that come, unpacked already: headers as they came, contents from the store          offer, stored
//! accounts  what makes users and groups knows the ids of the template                                      accounts
//! run       removals, then everything that comes, each in one rpm run on the target                        transaction
//! times     install times in the database become the epoch, then rpm itself builds the database anew       database
//! finish    database held against the lock; what Berkeley DB left to chance is zeroed                      database
//!           forms of it: Berkeley DB up to rpm 4.15, SQLite, SUSE's own                     berkeley, sqlite, ndb
//! ```

mod accounts;
mod berkeley;
mod culprit;
mod database;
mod form;
mod headers;
pub(crate) mod keys;
mod ndb;
mod offer;
mod sqlite;
mod stored;
mod tools;
mod transaction;

pub(super) use database::installed;

use super::backend::Middle;
use super::{Assembly, Backend, BuildError, Plan, Session};
use std::path::Path;
use vzpkg_metadata::template::ScriptKind;
use vzpkg_metadata::tree::Tree;

/// Builds trees of `.rpm` packages.
#[derive(Debug, Clone, Copy)]
pub struct RpmBackend;

/// Where the target is, seen from the tools.
const TARGET: &str = "/run/vzpkg/target";

/// Where package files are, seen from the tools.
const PACKAGES: &str = "/run/vzpkg/packages";

/// Where the database is handed to us and back, seen from the tools.
const EXCHANGE: &str = "/run/vzpkg/database";

/// Where the commands that know the template's ids are, seen from the target.
const COMMANDS: &str = "/run/vzpkg/bin";

impl Backend for RpmBackend {
    fn assemble(&self, plan: &Plan<'_>, staging: &Path) -> Result<Assembly, BuildError> {
        let scripts = &plan.request.template.scripts;
        let middle = [ScriptKind::MidPreInstall, ScriptKind::MidPostInstall];
        if let Some(kind) = middle.into_iter().find(|kind| scripts.get(*kind).is_some()) {
            return Err(BuildError::DebScript(kind));
        }
        let (tree, tools) = match &plan.base {
            None => (tools::empty_target(plan)?, tools::from_packages(plan)?),
            Some(base) => (base.clone(), tools::from_base(base)?),
        };
        let mut binds = vec![offer::packages(plan, staging)?];
        binds.push(database::exchange(staging)?);
        binds.extend(accounts::commands(plan, staging)?);
        let mut assembly = Assembly {
            tree,
            binds,
            tools: Some(tools),
            ..Assembly::default()
        };
        // Old distributions have no C.UTF-8, and bash complains about it in every scriptlet.
        assembly.environment.insert("LC_ALL".into(), "C".into());
        Ok(assembly)
    }

    fn run(
        &self,
        plan: &Plan<'_>,
        assembly: &Assembly,
        session: &mut Session<'_>,
        _middle: Option<&mut Middle<'_>>,
    ) -> Result<(), BuildError> {
        transaction::run(plan, session)?;
        database::settle_times(plan, session, assembly)
    }

    fn finish(&self, plan: &Plan<'_>, tree: &mut Tree) -> Result<(), BuildError> {
        database::finish(plan, tree)
    }
}

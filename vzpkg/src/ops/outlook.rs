//! What an update of a template would bring, without doing anything: for whoever decides whether to run it.

use super::build_version::{self, Files};
use super::decide::{self, Decision, Wish};
use super::plan::Question;
use super::{names, node, refresh_index, rolled_back, security};
use crate::commands::Context;
use crate::error::CommandResult;
use vzpkg_cache::store::{GuardName, Holder, Store, VersionRow};
use vzpkg_metadata::ByteSize;
use vzpkg_metadata::template::{TemplateArea, TemplateLocation};
use vzpkg_repo_client::Client;
use vzpkg_resolver::Target;

/// What is known of one template.
#[derive(Debug)]
pub(crate) struct Outlook {
    /// Its newest version.
    pub(crate) head: VersionRow,
    /// What an update would do, and what is held.
    pub(crate) decision: Decision,
    /// The version that it would only make again, and that was rolled back.
    pub(crate) rolled_back: Option<VersionRow>,
    /// Packages of the head that have security updates, held or not; `None` where no repository says what is about
    /// security.
    pub(crate) security: Option<Vec<Target>>,
    /// What an update would fetch.
    pub(crate) download: ByteSize,
    /// Who works on this template right now.
    pub(crate) busy: Option<Holder>,
}

impl Outlook {
    /// Whether an update would change something.
    pub(crate) fn changes(&self) -> bool {
        !self.decision.transaction.is_empty() && self.rolled_back.is_none()
    }

    /// Whether a package has a security update.
    pub(crate) fn is_security(&self, package: &str) -> bool {
        let mut targets = self.security.iter().flatten();
        targets.any(|target| target.name == package)
    }
}

/// Looks at one template.
///
/// # Errors
/// As an update of it would, short of building.
pub(crate) fn of(
    context: &Context,
    store: &Store,
    area: &TemplateArea,
    location: &TemplateLocation,
    client: &Client,
) -> CommandResult<Outlook> {
    let template = node::load(area, location)?;
    let head = names::head(store, &template.name)?;
    let base = store.versions.read(&template.name, &head.digest)?;
    let repositories = refresh_index::load(client, &template)?;
    let question = Question {
        context,
        store: Some(store),
        template: &template,
        repositories: &repositories,
    };
    let decision = decide::decide(&question, store, &base, &Wish::Everything)?;
    let transaction = &decision.transaction;
    let rolled_back = if transaction.is_empty() {
        None
    } else {
        let result = rolled_back::lock_after(&template, Some(&base), transaction);
        rolled_back::find(store, &template, &result)?
    };
    let security = if security::is_known(&repositories) {
        Some(security::updates(&base.lock, &repositories)?)
    } else {
        None
    };
    Ok(Outlook {
        rolled_back,
        security,
        download: build_version::to_download(store, transaction, Files::All),
        busy: store.guard_holder(&GuardName::Template(template.name))?,
        head,
        decision,
    })
}

//! What templates need of a state that a mirror is about to publish: the resolver is asked as a build would ask it.

use super::mirror_lines::{self, Mirror};
use super::plan::{Goal, Question};
use super::{node, refresh_index};
use crate::commands::Context;
use crate::error::CommandResult;
use crate::output::progress::Progress;
use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use vzpkg_metadata::transaction::Transaction;
use vzpkg_metadata::{Digest, MirrorName, TemplateName};
use vzpkg_repo_client::mirror::{Chooser, MirrorConfig};

/// Where the state that is asked about keeps what was read of it.
const MEMORY: &str = ".index";

/// Asks with the settings of one command.
pub(crate) struct Resolver {
    pub(crate) context: Context,
}

impl Chooser for Resolver {
    fn choose(
        &self,
        mirror: &MirrorName,
        config: &MirrorConfig,
        templates: &[TemplateName],
        directory: &Path,
    ) -> Result<BTreeSet<Digest>, Box<dyn Error + Send + Sync>> {
        let layout = node::layout(&self.context);
        let published = layout.mirrors().join(mirror.as_str()).join("published");
        let published = &published;
        let mut needed = BTreeSet::new();
        for name in templates {
            let chosen = self.needed(name, Mirror { config, published }, directory);
            needed.append(&mut chosen.map_err(|error| crate::output::render(&error))?);
        }
        Ok(needed)
    }
}

impl Resolver {
    /// What a first build of a template would install, and what an update of its head would.
    fn needed(
        &self,
        name: &TemplateName,
        mirror: Mirror<'_>,
        directory: &Path,
    ) -> CommandResult<BTreeSet<Digest>> {
        let context = &self.context;
        let area = node::templates(context)?;
        let mut template = node::load(&area, &area.resolve(name)?)?;
        for line in &mut template.repositories {
            if let Some(part) = mirror.part_of(line, &template.arch) {
                *line = mirror_lines::moved(line, mirror_lines::below(directory, part));
            }
        }
        let progress = Arc::new(Progress::new(&context.settings, context.printer));
        let client = refresh_index::client(context, &progress);
        let client = client.with_index_dir(directory.join(MEMORY));
        let repositories = refresh_index::load(&client, &template)?;
        let store = node::store_for_reading(context)?;
        let question = Question {
            context,
            store: store.as_ref(),
            template: &template,
            repositories: &repositories,
        };
        let mut needed = digests(&question.transaction(Goal::Bootstrap)?);
        if let Some(store) = &store
            && let Some(head) = store.db.head(&template.name)?
        {
            let base = store.versions.read(&template.name, &head.digest)?;
            needed.append(&mut digests(&question.transaction(Goal::Update(&base))?));
        }
        Ok(needed)
    }
}

fn digests(transaction: &Transaction) -> BTreeSet<Digest> {
    let steps = transaction.steps.iter();
    steps.map(|step| step.package.sha256).collect()
}

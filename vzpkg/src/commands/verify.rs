//! `vzpkg verify`: reads stored versions again and says what is damaged; with `--repair` brings it back.

use super::Context;
use crate::cli::Verify;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::repair::Repair;
use crate::ops::{names, node};
use crate::output::progress::Progress;
use crate::output::{Tone, counted};
use std::collections::BTreeSet;
use vzpkg_cache::store::{Finding, GuardName, Store, VerifyReporter};
use vzpkg_metadata::template::TemplateArea;
use vzpkg_metadata::{ByteSize, Digest};

struct Bar<'a>(&'a Progress);

impl VerifyReporter for Bar<'_> {
    fn begin(&self, objects: u64, bytes: u64) {
        self.0.stage("Verifying", Some(objects));
        self.0.advance(0, &ByteSize(bytes).to_string());
    }

    fn object(&self, _: &Digest, _: u64) {
        self.0.advance(1, "objects");
    }
}

pub(super) fn run(context: &Context, arguments: &Verify) -> CommandResult {
    // Everybody else may open no object, and would call all of them damaged.
    node::require_root_to_look()?;
    let repairing = arguments.repair && !context.settings.dry_run;
    let store = if repairing {
        node::store_for_writing(context)?
    } else {
        node::existing_store(context)?
    };
    let area = node::templates(context)?;
    let trees = trees(&store, &area, &arguments.versions)?;
    let found = verify(context, &store, &trees)?;
    for finding in &found {
        context.printer.warning(finding.to_string());
    }
    let left = if repairing && !found.is_empty() {
        repair(context, &store, &area, &trees, &found)?
    } else {
        found.clone()
    };
    if context.printer.is_json() {
        let texts = |findings: &[Finding]| -> Vec<String> {
            findings.iter().map(ToString::to_string).collect()
        };
        context.printer.json(
            "verify",
            serde_json::json!({
                "trees": trees.len(), "findings": texts(&found), "left": texts(&left),
            }),
        );
    }
    if left.is_empty() {
        let what = if trees.is_empty() {
            "everything in the store is as its name says".to_owned()
        } else {
            let trees = counted(trees.len(), "tree");
            format!("{trees}, everything is as its name says")
        };
        context.printer.status(Tone::Good, "Verified", what);
        return Ok(());
    }
    let verb = if left.len() == 1 { "is" } else { "are" };
    let text = format!(
        "{} in the store {verb} damaged",
        counted(left.len(), "thing")
    );
    let mut error = CommandError::message(Kind::Verification, text);
    for hint in hints(&left, repairing) {
        error = error.hint(hint);
    }
    Err(error)
}

/// The trees of the named versions; none for everything.
fn trees(store: &Store, area: &TemplateArea, versions: &[String]) -> CommandResult<Vec<Digest>> {
    let mut trees = BTreeSet::new();
    for text in versions {
        trees.insert(names::version(store, area, text, None)?.digest);
    }
    Ok(trees.into_iter().collect())
}

fn verify(context: &Context, store: &Store, trees: &[Digest]) -> CommandResult<Vec<Finding>> {
    let progress = Progress::new(&context.settings, context.printer);
    let threads = context.settings.threads();
    let findings = store.verify(trees, threads, &Bar(&progress));
    progress.end_stage();
    node::check_interrupt(context)?;
    Ok(findings?)
}

/// Repairs, and returns what is still damaged afterwards.
fn repair(
    context: &Context,
    store: &Store,
    area: &TemplateArea,
    trees: &[Digest],
    found: &[Finding],
) -> CommandResult<Vec<Finding>> {
    // What is brought back stays while this command runs; a collection would only waste the work.
    let _guard = node::guard(context, store, GuardName::Collect)?;
    let mut repair = Repair::new(context, store, area)?;
    repair.packages(found)?;
    let left = verify(context, store, trees)?;
    if left.is_empty() {
        return Ok(left);
    }
    repair.versions(&left)?;
    verify(context, store, trees)
}

/// What helps against what was found, each advice once.
fn hints(findings: &[Finding], repaired: bool) -> Vec<String> {
    let mut hints = Vec::new();
    for finding in findings {
        let hint = match finding {
            Finding::Database { .. } => {
                "make the database again: vzpkg doctor --rebuild".to_owned()
            }
            Finding::Version { version, .. } => {
                let template = &version.template;
                format!(
                    "what {version} was made of is lost: remove it with vzpkg remove-cache {version} (if it is the head: vzpkg rollback {template} first)"
                )
            }
            _ if repaired => {
                "what could not be repaired can be built anew: vzpkg update --rebuild TEMPLATE"
                    .to_owned()
            }
            _ => "bring it back from packages and repositories: vzpkg verify --repair".to_owned(),
        };
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    hints
}

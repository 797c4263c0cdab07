//! `vzpkg verify`: reads stored versions again and says what is damaged.

use super::Context;
use crate::cli::Verify;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{names, node};
use crate::output::Tone;
use crate::output::progress::Progress;
use std::collections::BTreeSet;
use vzpkg_cache::store::VerifyReporter;
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
    let store = node::existing_store(context)?;
    let area = node::templates(context)?;
    let mut trees = BTreeSet::new();
    for text in &arguments.versions {
        trees.insert(names::version(&store, &area, text, None)?.digest);
    }
    if arguments.versions.is_empty() {
        for template in store.db.templates()? {
            trees.extend(
                store
                    .db
                    .versions(&template.name)?
                    .into_iter()
                    .map(|row| row.digest),
            );
        }
    }
    let progress = Progress::new(&context.settings, context.printer);
    let trees: Vec<Digest> = trees.into_iter().collect();
    let findings = store.verify(&trees, context.settings.threads, &Bar(&progress))?;
    progress.end_stage();
    if context.printer.is_json() {
        let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        context.printer.json(
            "verify",
            serde_json::json!({ "trees": trees.len(), "findings": findings }),
        );
    }
    if findings.is_empty() {
        context.printer.status(
            Tone::Good,
            "Verified",
            format_args!("{} trees, everything is as its name says", trees.len()),
        );
        return Ok(());
    }
    for finding in &findings {
        context.printer.warning(finding.to_string());
    }
    Err(CommandError::message(
        Kind::Verification,
        format!("{} things in the store are damaged", findings.len()),
    )
    .hint(
        "remove the damaged versions and build them again: vzpkg remove-cache, vzpkg create-cache",
    ))
}

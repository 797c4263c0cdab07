//! A transaction as people read it, and as programs do.

use super::documents::Documents;
use crate::ops::held_back::HeldBack;
use crate::output::table::Table;
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::{Action, Step, Transaction};
use vzpkg_metadata::{ByteSize, Family};

/// The plan of a dry run on stdout, or as a document; the text form of what is held back was said before, and so was that
/// there is nothing to do.
pub(super) fn print(
    documents: &Documents<'_>,
    template: &Template,
    transaction: &Transaction,
    download: ByteSize,
    held: &[HeldBack],
) {
    let context = documents.context;
    documents.add(|| {
        let held = held.iter().map(|held| held.document(context.clock.now));
        let held: Vec<_> = held.collect();
        serde_json::json!({
            "template": template.name, "transaction": transaction, "download": download, "held_back": held,
        })
    });
    if context.printer.is_json() || transaction.is_empty() {
        return;
    }
    let table = table(transaction, |step| step.reason.to_string());
    context.printer.result(table.render());
    context
        .printer
        .note(format_args!("{download} to download; nothing was changed"));
}

/// The plan where nothing is to be done.
pub(super) fn nothing(family: Family) -> Transaction {
    let steps = Vec::new();
    Transaction { family, steps }
}

/// A line for each step, with what `why` says of it at its end.
pub(super) fn table(transaction: &Transaction, why: impl Fn(&Step) -> String) -> Table {
    let mut table =
        Table::with_header(["", "PACKAGE", "VERSION", "ARCH", "SIZE", "REASON"]).right(4);
    for step in &transaction.steps {
        let package = &step.package;
        let (sign, version) = match &step.action {
            Action::Install => ("+", package.version.clone()),
            Action::Remove => ("-", package.version.clone()),
            Action::Upgrade { from } => ("~", format!("{from} -> {}", package.version)),
            Action::Downgrade { from } => ("<", format!("{from} -> {}", package.version)),
        };
        table.row([
            sign.to_owned(),
            package.name.to_string(),
            version,
            package.arch.to_string(),
            package.size.to_string(),
            why(step),
        ]);
    }
    table
}

//! A transaction as people read it, and as programs do.

use super::Context;
use crate::ops::held_back::HeldBack;
use crate::output::table::Table;
use vzpkg_metadata::ByteSize;
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::{Action, Step, Transaction};

/// The plan of a dry run on stdout; the text form of what is held back was said before.
pub(super) fn print(
    context: &Context,
    template: &Template,
    transaction: &Transaction,
    download: ByteSize,
    held: &[HeldBack],
) {
    if context.printer.is_json() {
        let now = context.clock.now;
        let held: Vec<_> = held.iter().map(|held| held.document(now)).collect();
        context.printer.json("plan", serde_json::json!({
            "template": template.name, "transaction": transaction, "download": download, "held_back": held,
        }));
        return;
    }
    let table = table(transaction, |step| step.reason.to_string());
    context.printer.result(table.render());
    context
        .printer
        .note(format_args!("{download} to download; nothing was changed"));
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

//! What came of several mirrors: each is told as it comes, the documents are printed at the end.

use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use crate::output::render;
use vzpkg_metadata::MirrorName;

/// What came of them so far.
pub(super) struct Outcomes<'a> {
    context: &'a Context,
    documents: Vec<serde_json::Value>,
    first: Option<Kind>,
}

impl<'a> Outcomes<'a> {
    pub(super) const fn new(context: &'a Context) -> Self {
        Self {
            context,
            documents: Vec::new(),
            first: None,
        }
    }

    /// What came of one: its document, or an error, which is told.
    pub(super) fn add(&mut self, name: &MirrorName, result: CommandResult<serde_json::Value>) {
        match result {
            Ok(document) => self.documents.push(document),
            Err(error) => {
                let text = format!("mirror `{name}`: {}", render(&error));
                self.context.printer.error(&text);
                self.first.get_or_insert(error.kind);
            }
        }
    }

    /// Prints the documents, where they are asked for.
    ///
    /// # Errors
    /// The kind of the first error, which was told.
    pub(super) fn finish(self, schema: &str) -> CommandResult {
        if self.context.printer.is_json() {
            let value = serde_json::json!({ "mirrors": self.documents });
            self.context.printer.json(schema, value);
        }
        let first = self.first.map(CommandError::silent);
        first.map_or(Ok(()), Err)
    }
}

//! The JSON document of a command that may be about several things: of one it is its own document, of several a list.

use super::Context;
use serde_json::Value;
use std::cell::RefCell;

/// What is to be printed in the end.
pub(super) struct Documents<'a> {
    pub(super) context: &'a Context,
    /// Whether it is a list, however long.
    several: bool,
    found: RefCell<Vec<Value>>,
}

impl<'a> Documents<'a> {
    /// Of a command that was given so many names; without any it is about whatever there is.
    pub(super) const fn new(context: &'a Context, names: usize) -> Self {
        Self {
            context,
            several: names != 1,
            found: RefCell::new(Vec::new()),
        }
    }

    /// What became of one thing, where documents are asked for.
    pub(super) fn add(&self, document: impl FnOnce() -> Value) {
        if self.context.printer.is_json() {
            self.found.borrow_mut().push(document());
        }
    }

    /// Prints them, where they are asked for: `schema` of one, the same with an `s` of several. What failed has no document,
    /// and a command about one thing that failed has none at all.
    pub(super) fn finish(self, schema: &str) {
        let printer = self.context.printer;
        if !printer.is_json() {
            return;
        }
        let mut found = self.found.into_inner();
        if self.several || found.len() > 1 {
            let list = format!("{schema}s");
            printer.json(&list, serde_json::json!({ list.as_str(): found }));
        } else if let Some(document) = found.pop() {
            printer.json(schema, document);
        }
    }
}

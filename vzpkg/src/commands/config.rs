//! `vzpkg config`: every setting, its value and where that comes from.

use super::Context;
use crate::cli::Config;
use crate::config::Key;
use crate::output::table::Table;

pub(super) fn run(context: &Context, _: &Config) {
    let layers = &context.settings.layers;
    if context.printer.is_json() {
        let setting = |key: Key| {
            let (value, origin) = layers.get(key);
            serde_json::json!({ "name": key.name(), "value": value, "origin": origin.to_string(), "variable": key.variable(), "meaning": key.meaning() })
        };
        let settings: Vec<_> = Key::ALL.into_iter().map(setting).collect();
        context
            .printer
            .json("config", serde_json::json!({ "settings": settings }));
        return;
    }
    let mut table = Table::with_header(["SETTING", "VALUE", "FROM", "MEANING"]);
    for key in Key::ALL {
        let (value, origin) = layers.get(key);
        let value = if value.is_empty() { "-" } else { value };
        table.row([
            key.name().into(),
            value.into(),
            origin.to_string(),
            key.meaning().into(),
        ]);
    }
    context.printer.result(table.render());
}

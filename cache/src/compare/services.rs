//! What may run by itself: units of systemd and init scripts, and whether they start.

use super::Facts;
use super::view::View;
use std::collections::BTreeSet;
use vzpkg_metadata::tree::NodeKind;

/// Where units lie, the administrator's before the packages'. `/lib` is `/usr/lib` where it is a link.
const UNITS: [&str; 3] = [
    "etc/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// The kinds of units that make something run.
const KINDS: [&str; 4] = [".service", ".socket", ".timer", ".path"];

/// Where init scripts are.
const SCRIPTS: [&str; 2] = ["etc/init.d", "etc/rc.d/init.d"];

/// Each unit and script by name: `enabled`, `disabled` or `masked`; of a script, the runlevels it starts in.
pub(super) fn facts(view: &View<'_>) -> Facts {
    let mut facts = Facts::new();
    let wanted = wanted(view);
    for directory in UNITS {
        for (name, node) in view.entries(directory) {
            if !KINDS.iter().any(|kind| name.ends_with(kind)) {
                continue;
            }
            let state = match &node.kind {
                NodeKind::Symlink { target } if target == b"/dev/null" => "masked",
                _ if wanted.contains(&name) => "enabled",
                // A template is wanted as one of its instances.
                _ if name.contains("@.") && has_instance(&wanted, &name) => "enabled",
                _ => "disabled",
            };
            facts.entry(name).or_insert_with(|| state.to_owned());
        }
    }
    for directory in SCRIPTS {
        for (name, node) in view.entries(directory) {
            if node.is_file() && node.meta.mode & 0o111 != 0 {
                let levels = runlevels(view, &name);
                let levels = if levels.is_empty() {
                    "starts in no runlevel".to_owned()
                } else {
                    format!("starts in runlevels {levels}")
                };
                facts.insert(format!("init script {name}"), levels);
            }
        }
    }
    facts
}

/// The units that others want or require, by links in `NAME.wants` and `NAME.requires`.
fn wanted(view: &View<'_>) -> BTreeSet<String> {
    let mut wanted = BTreeSet::new();
    for directory in UNITS {
        for (name, node) in view.entries(directory) {
            let wants = matches!(name.rsplit_once('.'), Some((_, "wants" | "requires")));
            if wants && node.is_directory() {
                let units = view.entries(&format!("{directory}/{name}"));
                wanted.extend(units.map(|(unit, _)| unit));
            }
        }
    }
    wanted
}

fn has_instance(wanted: &BTreeSet<String>, template: &str) -> bool {
    let Some((name, kind)) = template.split_once("@.") else {
        return false;
    };
    let instance = |unit: &&String| {
        let rest = unit
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('@'));
        rest.is_some_and(|rest| rest.ends_with(&format!(".{kind}")))
    };
    wanted.iter().any(|unit| instance(&unit))
}

/// The runlevels in which a script is started: `2345`.
fn runlevels(view: &View<'_>, script: &str) -> String {
    let started = |level: &char| {
        ["etc", "etc/rc.d"].iter().any(|above| {
            let mut links = view.entries(&format!("{above}/rc{level}.d"));
            links.any(|(name, _)| {
                let digits = name.strip_prefix('S').unwrap_or_default();
                digits.trim_start_matches(|c: char| c.is_ascii_digit()) == script
                    && digits != script
            })
        })
    };
    "0123456S".chars().filter(started).collect()
}

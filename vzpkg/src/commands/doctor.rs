//! `vzpkg doctor`: what this machine offers, what is missing, and what helps.

use super::Context;
use crate::cli::Doctor;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{containers, node};
use crate::output::Tone;
use std::path::Path;
use vzpkg_metadata::durable;
use vzpkg_runtime::oci::OciRuntime as _;
use vzpkg_runtime::rootfs::{self, Tier};

const REBUILD: &str = "make it again: vzpkg doctor --rebuild";

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    /// Whether vzpkg can work with it as it is.
    good: bool,
    text: String,
    hint: Option<&'static str>,
}

pub(super) fn run(context: &Context, arguments: &Doctor) -> CommandResult {
    if arguments.rebuild {
        return super::rebuild_database::run(context);
    }
    let findings = look(context)?;
    if context.printer.is_json() {
        let document = |finding: &Finding| serde_json::json!({ "what": finding.what, "good": finding.good, "text": finding.text, "hint": finding.hint });
        context.printer.json(
            "doctor",
            serde_json::json!({ "findings": findings.iter().map(document).collect::<Vec<_>>() }),
        );
    } else {
        for finding in &findings {
            let mark = if finding.good {
                context.printer.paint(Tone::Good, "ok  ")
            } else {
                context.printer.paint(Tone::Bad, "FAIL")
            };
            context
                .printer
                .result(format!("{mark}  {:<18} {}", finding.what, finding.text));
            if let Some(hint) = finding.hint {
                context.printer.result(format!("      {:<18} {hint}", ""));
            }
        }
    }
    if findings.iter().all(|finding| finding.good) {
        Ok(())
    } else {
        Err(CommandError::silent(Kind::Environment))
    }
}

fn look(context: &Context) -> CommandResult<Vec<Finding>> {
    let finding = |what, good, text: String, hint| Finding {
        what,
        good,
        text,
        hint,
    };
    let root = rustix::process::geteuid().is_root();
    let release =
        durable::read_file(Path::new("/proc/sys/kernel/osrelease"), 4096).unwrap_or_default();
    let mut findings = vec![
        finding(
            "user",
            root,
            if root {
                "root".into()
            } else {
                "not root".into()
            },
            (!root).then_some("building and running need root; run `sudo vzpkg doctor`"),
        ),
        finding(
            "kernel",
            true,
            format!("Linux {}", String::from_utf8_lossy(&release).trim()),
            None,
        ),
    ];
    if !root {
        return Ok(findings);
    }
    let store = match node::store_for_writing(context) {
        Ok(store) => store,
        Err(error) => {
            let text = error.source.to_string();
            findings.push(finding("database", false, text, Some(REBUILD)));
            return Ok(findings);
        }
    };
    let probe = rootfs::probe(&store.layout.store())?;
    for tier in &probe.tiers {
        let what = match tier.tier {
            Tier::Image => "tier 1: image",
            Tier::Stacked => "tier 2: stacked",
            Tier::Stubs => "tier 2: stubs",
            Tier::Directory => "tier 3: copies",
        };
        let used = if tier.tier == probe.best() {
            "works; this is used"
        } else {
            "works"
        };
        let text = tier
            .obstacle
            .as_ref()
            .map_or_else(|| used.to_owned(), |why| format!("not here: {why}"));
        findings.push(finding(what, true, text, None));
    }
    let id_mapped = probe.id_mapped_obstacle;
    let good = id_mapped.is_none();
    findings.push(finding(
        "id-mapped mounts",
        good,
        id_mapped.unwrap_or_else(|| "work".to_owned()),
        (!good).then_some("containers need --user-namespace host without them"),
    ));
    let (good, text) = match containers::runtime(context) {
        Ok(runtime) => (true, runtime.program().display().to_string()),
        Err(error) => (false, error.source.to_string()),
    };
    findings.push(finding(
        "OCI runtime",
        good,
        text,
        (!good).then_some("install one: apt-get install runc, or crun"),
    ));
    let integrity = match store.db.check() {
        Ok(problems) => problems,
        Err(error) => vec![error.to_string()],
    };
    let good = integrity.is_empty();
    let text = if good {
        "sound".to_owned()
    } else {
        integrity.join("; ")
    };
    findings.push(finding("database", good, text, (!good).then_some(REBUILD)));
    Ok(findings)
}

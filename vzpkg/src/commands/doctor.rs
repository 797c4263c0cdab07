//! `vzpkg doctor`: what this machine offers, what is missing, and what helps.

use super::Context;
use crate::cli::Doctor;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{containers, node};
use crate::output::Tone;
use std::error::Error;
use std::path::Path;
use vzpkg_cache::store::Store;
use vzpkg_metadata::durable;
use vzpkg_runtime::oci::OciRuntime as _;
use vzpkg_runtime::rootfs::{self, Probe, Tier};

const REBUILD: &str = "make it again: vzpkg doctor --rebuild";

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    /// Whether vzpkg can work with it as it is.
    good: bool,
    text: String,
    hint: Option<String>,
}

pub(super) fn run(context: &Context, arguments: &Doctor) -> CommandResult {
    if arguments.rebuild {
        return super::rebuild_database::run(context);
    }
    let findings = look(context);
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
            if let Some(hint) = &finding.hint {
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

fn finding(what: &'static str, good: bool, text: String, hint: Option<&str>) -> Finding {
    let hint = hint.map(str::to_owned);
    Finding {
        what,
        good,
        text,
        hint,
    }
}

/// Looks at everything: what fails is a line of its own and does not hide the others.
fn look(context: &Context) -> Vec<Finding> {
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
        return findings;
    }
    let store = node::store_for_writing(context);
    if let Ok(store) = &store {
        match rootfs::probe(&store.layout.store()) {
            Ok(probe) => mounts(&mut findings, probe),
            // What a mount would be hinted at is this very verb.
            Err(error) => {
                let hint = format!(
                    "versions are mounted from below `{}`, which must be writable: --root DIR",
                    context.settings.root.display()
                );
                let text = with_causes(&error);
                findings.push(finding("mounts", false, text, Some(&hint)));
            }
        }
    }
    findings.push(oci_runtime(context));
    findings.push(match &store {
        Ok(store) => database(store),
        Err(error) => {
            let hint = match error.kind {
                Kind::Verification => Some(REBUILD),
                _ => error.hints.first().map(String::as_str),
            };
            let text = with_causes(&*error.source);
            finding("database", false, text, hint)
        }
    });
    findings
}

/// How versions can be mounted here.
fn mounts(findings: &mut Vec<Finding>, probe: Probe) {
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
}

fn oci_runtime(context: &Context) -> Finding {
    let (good, text) = match containers::runtime(context) {
        Ok(runtime) => (true, runtime.program().display().to_string()),
        Err(error) => (false, error.source.to_string()),
    };
    finding(
        "OCI runtime",
        good,
        text,
        (!good).then_some("install one: apt-get install runc, or crun"),
    )
}

fn database(store: &Store) -> Finding {
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
    finding("database", good, text, (!good).then_some(REBUILD))
}

/// An error with what it comes from, in a line.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

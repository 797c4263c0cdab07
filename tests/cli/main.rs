//! The command as a user types it: scenarios against the fresh binary. Compiled by `vzpkg/Cargo.toml`, so the binary is
//! never stale.
//!
//! Names say what a scenario needs: `privileged_` root, `network_` the Debian mirror of this host, `fixture_` the real
//! CentOS packages (`VZPKG_FIXTURES`). Those are ignored by default and run by `make check`.
#![expect(
    clippy::unwrap_used,
    reason = "a scenario that cannot go on fails where it stands"
)]

mod bad_input;
mod bisect;
mod centos;
mod centos_httpd;
mod centos_update;
mod changes;
mod commit;
mod copies;
mod crash;
mod crowd;
mod cut_short;
mod debian;
mod debian_updates;
mod differences;
mod documents;
mod dry_runs;
mod followers;
mod guards;
mod habits;
mod in_place;
mod interrupted;
mod later;
mod live;
mod lock;
mod mirror;
mod peers;
mod repair;
mod roots;
mod saved_plan;
mod services;
mod shape;
mod sharing;
mod signals;
mod space;
mod status;
mod support;
mod tiny;
mod torture;
mod update_only;
mod update_security;
mod update_to_lock;
mod versions;
mod words;

/// A scenario file that is not listed above would not run.
#[test]
fn every_scenario_file_is_listed() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cli");
    let listed = include_str!("main.rs");
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        assert!(
            module == "main" || listed.contains(&format!("mod {module};")),
            "{name} is not listed"
        );
    }
}

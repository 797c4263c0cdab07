//! The words of the command line: help, spellings, settings, completions, manual pages, exit codes.

use crate::support::Site;
use std::fs;

#[test]
fn help_names_every_verb_and_usage_errors_end_with_2() {
    let site = Site::new();
    let help = site.vzpkg(&["--help"]).ok();
    for verb in [
        "create-cache",
        "update",
        "rollback",
        "history",
        "lock",
        "gc",
        "verify",
        "export",
        "ct",
        "doctor",
        "config",
    ] {
        assert!(
            help.contains(&format!("  {verb} ")),
            "{verb} is not in the help"
        );
    }
    for code in ["   10  `status`", "  130  interrupted"] {
        assert!(help.contains(code), "{code}: {help}");
    }
    let wrong = site.vzpkg(&["creat-cache", "x"]).fails_with(2);
    assert!(wrong.contains("create-cache"), "{wrong}");
    site.vzpkg(&["list", "--nonsense"]).fails_with(2);
}

#[test]
fn settings_are_printed_with_their_origin() {
    let site = Site::new();
    fs::create_dir_all(site.path("etc/conf.d")).unwrap();
    fs::write(site.path("etc/vzpkg.toml"), "connections = 3\n").unwrap();
    fs::write(site.path("etc/conf.d/site.toml"), "threads = 7\n").unwrap();
    let config = site.vzpkg(&["config", "--wait", "5"]).ok();
    let line = |name: &str| {
        config
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap()
            .to_owned()
    };
    assert!(line("connections").contains("vzpkg.toml"), "{config}");
    assert!(
        line("threads").contains('7') && line("threads").contains("site.toml"),
        "{config}"
    );
    assert!(line("wait").contains("--wait"), "{config}");
    assert!(line("root").contains("$VZPKG_ROOT"), "{config}");
    let json: serde_json::Value =
        serde_json::from_str(&site.vzpkg(&["config", "--format", "json"]).ok()).unwrap();
    assert_eq!(json["schema"], "vzpkg.config.1");
}

#[test]
fn every_setting_is_in_the_documentation() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
    let text = fs::read_to_string(path).unwrap();
    for key in vzpkg::config::Key::ALL {
        let default = match key.default() {
            "" => "none".to_owned(),
            default => format!("`{default}`"),
        };
        let (name, variable) = (key.name(), key.variable());
        let (wanted, meaning) = (key.wanted(), key.meaning());
        let row = format!("| `{name}` | `{variable}` | {default} | {wanted} | {meaning} |\n");
        assert!(text.contains(&row), "docs/settings.md lacks {row}");
    }
}

#[test]
fn an_unknown_setting_is_refused_with_the_nearest_one() {
    let site = Site::new();
    fs::create_dir_all(site.path("etc")).unwrap();
    fs::write(site.path("etc/vzpkg.toml"), "conections = 3\n").unwrap();
    let error = site.vzpkg(&["list"]).fails_with(2);
    assert!(error.contains("`connections`"), "{error}");
}

#[test]
fn completions_and_manual_pages_are_made() {
    let site = Site::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = site.vzpkg(&["completions", shell]).ok();
        assert!(script.contains("create-cache"), "{shell}");
    }
    let directory = site.path("man");
    site.vzpkg(&["man", directory.to_str().unwrap()]).ok();
    let page = fs::read_to_string(directory.join("vzpkg-create-cache.1")).unwrap();
    assert!(page.contains("first version"), "{page}");
}

#[test]
fn reading_verbs_work_where_nothing_is_yet() {
    let site = Site::new();
    site.vzpkg(&["ct", "list"]).ok();
    let error = site.vzpkg(&["history", "debian-13-x86_64"]).fails_with(1);
    assert!(error.contains("vzpkg create-cache"), "{error}");
}

#[test]
fn the_commands_in_the_documentation_are_those_of_the_program() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/commands.md");
    let wanted = vzpkg::commands_document();
    if std::env::vars_os().any(|(name, _)| name == "VZPKG_UPDATE_DOCS") {
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    assert!(
        found == wanted,
        "docs/commands.md is stale: VZPKG_UPDATE_DOCS=1 cargo test -p vzpkg --test cli words"
    );
}

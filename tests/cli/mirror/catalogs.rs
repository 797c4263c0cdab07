//! Catalogs of a mirror, which apt fetches where `appstream` or `command-not-found` has told it to.

use super::{Server, Upstream, apt_client, apt_command};
use crate::support::Site;
use std::fs;
use std::path::Path;
use std::process::Command;
use vzpkg_tests::tools::run;

/// As the packages `appstream` and `command-not-found` of Debian put it below `/etc/apt/apt.conf.d`.
const TARGETS: &str = r#"Acquire::IndexTargets {
    deb::DEP-11 { MetaKey "$(COMPONENT)/dep11/Components-$(NATIVE_ARCHITECTURE).yml"; ShortDescription "c";
        Description "c"; };
    deb::DEP-11-icons { MetaKey "$(COMPONENT)/dep11/icons-64x64.tar"; ShortDescription "i"; Description "i"; };
    deb::DEP-11-icons-hidpi { MetaKey "$(COMPONENT)/dep11/icons-64x64@2.tar"; ShortDescription "h"; Description "h"; };
    deb::CNF { MetaKey "$(COMPONENT)/cnf/Commands-$(NATIVE_ARCHITECTURE)"; ShortDescription "n"; Description "n"; };
};
"#;

/// What of suite `stable` apt asks for then.
const ASKED: [&str; 4] = [
    "main/dep11/Components-amd64.yml",
    "main/dep11/icons-64x64.tar",
    "main/dep11/icons-64x64@2.tar",
    "main/cnf/Commands-amd64",
];

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_real_apt_gets_the_catalogs_of_a_mirror() {
    let site = Site::new();
    let mut upstream = Upstream::new(&site, 1, 100);
    let mut suite = upstream.repo.suite("stable");
    for name in ASKED.into_iter().chain(["main/dep11/Components-arm64.yml"]) {
        suite.further.insert(name.to_owned(), format!("{name}\n"));
    }
    upstream.repo.publish(&upstream.key);
    upstream.add_mirror(&site);
    site.vzpkg(&["mirror", "sync", "m"]).ok();
    let published = site.root().join("mirror/m/published/dists/stable");
    for name in ASKED {
        assert!(published.join(format!("{name}.gz")).exists(), "{name}");
    }
    let other = published.join("main/dep11/Components-arm64.yml.gz");
    assert!(!other.exists());
    let server = Server::new(&site);
    let client = apt_client(&site, "client", &server.url);
    run(&mut asking(&client));
    let lists = fs::read_dir(client.join("apt/lists")).unwrap();
    let lists: Vec<String> = lists
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in ASKED {
        let kept = name.replace('/', "_").replace('@', "%40");
        assert!(
            lists.iter().any(|list| list.contains(&kept)),
            "{name}: {lists:?}"
        );
    }
    // Where the mirror was told to leave them out, apt says what is missing.
    site.vzpkg(&["mirror", "remove", "m", "--yes"]).ok();
    upstream.add_mirror_with(&site, &["--no-catalogs"]);
    site.vzpkg(&["mirror", "sync", "m"]).ok();
    assert!(!published.join("main/dep11").exists());
    let fresh = apt_client(&site, "fresh", &server.url);
    let refused = asking(&fresh).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("Components-amd64"), "{said}");
}

/// `apt-get update` that wants catalogs.
fn asking(client: &Path) -> Command {
    let update = apt_command(client, &["update"]);
    fs::write(client.join("apt/etc/apt.conf.d/50catalogs"), TARGETS).unwrap();
    update
}

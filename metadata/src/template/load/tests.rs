//! What a loaded template says, on directories that look like the original's (VZPKG-REFERENCE §2.3, §2.4).

use super::*;
use crate::template::{AptSource, RepositoryOptions, TemplateArea, active_repositories};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const OS: &str = "demo/7/x86_64/config/os/default";
const SET: &str = "demo/7/x86_64/config/os/minimal";
const APP: &str = "demo/7/x86_64/config/app/httpd/default";
const APP_SET: &str = "demo/7/x86_64/config/app/httpd/extra";

struct Node(tempfile::TempDir);

impl Node {
    fn new(files: &[(&str, &str, &str)]) -> Self {
        let node = Self(tempfile::tempdir().unwrap());
        for (directory, name, content) in files {
            node.write(directory, name, content);
        }
        node
    }

    fn write(&self, directory: &str, name: &str, content: &str) -> std::path::PathBuf {
        let path = self.0.path().join(directory).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn script(&self, directory: &str, name: &str, content: &str, mode: u32) {
        let path = self.write(directory, name, content);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self, name: &str) -> Result<Template, TemplateError> {
        let text = "$CE_SERVER http://mirror.lan/centos\n$DEB_SERVER http://mirror.lan\n";
        let map = UrlMap::parse(text, Path::new("url.map")).unwrap();
        TemplateArea::new(self.0.path()).load(&name.parse().unwrap(), &map)
    }

    /// The file, line and reason of the error that loading gives.
    fn problem(&self, name: &str) -> (String, usize, String) {
        match self.load(name).unwrap_err() {
            TemplateError::Line { file, line, source } => {
                let file = file.file_name().unwrap().to_str().unwrap().to_owned();
                (file, line, source.to_string())
            }
            other => panic!("{other:?}"),
        }
    }
}

fn rpm_os() -> Node {
    Node::new(&[
        (OS, "package_manager", "rpm49db5x64\n"),
        (OS, "distribution", "centos\n"),
        (OS, "technologies", "x86_64 nptl\n"),
        (OS, "osrelease", "2.6.32\n"),
        (
            OS,
            "packages",
            "# base\nbash coreutils rpm yum\n   openssh-server passwd\n",
        ),
        (
            OS,
            "repositories",
            "$CE_SERVER/demo/$releasever/os/$basearch http://backup.lan/demo/7/os/${basearch}\n",
        ),
        (
            OS,
            "mirrorlist",
            "http://mirrors.example.org/list?release=7&repo=updates&arch=$arch\n",
        ),
        (OS, "upgradable_versions", "6\n"),
        (OS, "environment", "LC_ALL=C\nA=b=c\n"),
        (OS, "cache_type", "0x20\n"),
        (OS, "summary", "Demo\nsecond line\n"),
        (OS, "description", "one\n\ntwo\n"),
    ])
}

#[test]
fn an_original_rpm_template_is_read_whole() {
    let template = rpm_os().load("demo-7-x86_64").unwrap();
    assert_eq!(template.family, Family::Rpm);
    assert_eq!(
        template.packages,
        [
            "bash",
            "coreutils",
            "rpm",
            "yum",
            "openssh-server",
            "passwd"
        ]
    );
    assert_eq!(template.technologies, ["x86_64", "nptl"]);
    assert_eq!(
        (template.osrelease.as_str(), template.distribution.as_str()),
        ("2.6.32", "centos")
    );
    assert_eq!(template.upgradable_versions, ["6"]);
    assert_eq!(
        template.environment,
        [("LC_ALL".into(), "C".into()), ("A".into(), "b=c".into())]
    );
    assert_eq!(
        (template.cache_type, template.golden_image),
        (Some(0x20), true)
    );
    assert_eq!(
        (template.summary.as_str(), template.description.len()),
        ("Demo", 2)
    );
    let [RepositoryLine::Yum(base), RepositoryLine::Yum(updates)] = &template.repositories[..]
    else {
        panic!("{:?}", template.repositories);
    };
    assert_eq!(base.id.as_str(), "base0");
    assert_eq!(
        base.base_urls,
        [
            "http://mirror.lan/centos/demo/7/os/x86_64",
            "http://backup.lan/demo/7/os/x86_64"
        ]
    );
    assert_eq!(updates.id.as_str(), "base1");
    assert_eq!(
        updates.mirror_lists,
        ["http://mirrors.example.org/list?release=7&repo=updates&arch=x86_64"]
    );
}

#[test]
fn an_original_deb_template_is_read_whole() {
    let node = Node::new(&[
        (OS, "package_manager", "dpkgx64\n"),
        (
            OS,
            "repositories",
            "$DEB_SERVER/debian bookworm main contrib\n[trusted=yes check-valid-until=no] file:///srv/$(ARCH) ./\n",
        ),
        (
            OS,
            "packages_0",
            "base-passwd\nlibc6 libc-bin\ndpkg tar\nperl-base\n",
        ),
        (OS, "packages_1", "debconf coreutils bash\n"),
        (OS, "packages", "apt openssh-server less libc6=2.36-9\n"),
        (OS, "multiarch", "no\n"),
        (OS, "golden_image", "no\n"),
        (OS, "no_pkg_actions", ""),
    ]);
    let template = node.load("demo-7-x86_64").unwrap();
    assert_eq!(template.family, Family::Deb);
    assert_eq!(template.packages_0.len(), 4);
    assert_eq!(template.packages_0[1], ["libc6", "libc-bin"]);
    assert_eq!(template.packages_1, ["debconf", "coreutils", "bash"]);
    assert_eq!(
        (template.multiarch, template.golden_image),
        (Some(false), false)
    );
    assert!(template.no_pkg_actions);
    let expected = AptSource {
        id: "base0".parse().unwrap(),
        uri: "http://mirror.lan/debian".into(),
        suite: "bookworm".into(),
        components: vec!["main".into(), "contrib".into()],
        trusted: false,
        options: RepositoryOptions::default(),
    };
    assert_eq!(template.repositories[0], RepositoryLine::Apt(expected));
    let RepositoryLine::Apt(flat) = &template.repositories[1] else {
        panic!();
    };
    assert_eq!(
        (flat.uri.as_str(), flat.suite.as_str()),
        ("file:///srv/amd64", "./")
    );
    assert!(flat.trusted && flat.options.ignore_valid_until && flat.components.is_empty());
}

#[test]
fn a_set_inherits_everything_but_packages() {
    let node = rpm_os();
    node.write(SET, "packages", "bash\n");
    node.script(OS, "post-cache", "base", 0o755);
    node.script(OS, "pre-cache", "base", 0o755);
    node.script(OS, "post-install", "base", 0o644);
    node.script(SET, "pre-cache", "not executable", 0o644);
    node.script(SET, "post-cache", "own", 0o755);
    let inherited = node.load("demo-7-x86_64-minimal").unwrap();
    let base = node.load("demo-7-x86_64").unwrap();
    assert_eq!(inherited.packages, ["bash"]);
    assert_eq!(inherited.environment, base.environment);
    assert_eq!(inherited.repositories, base.repositories);
    assert_eq!(inherited.technologies, base.technologies);
    let scripts: Vec<_> = inherited
        .scripts
        .iter()
        .map(|s| (s.kind, s.content.as_slice()))
        .collect();
    assert_eq!(
        scripts,
        [
            (ScriptKind::PreCache, &b"base"[..]),
            (ScriptKind::PostCache, &b"own"[..])
        ]
    );

    node.write(SET, "environment", "X=1\n");
    node.write(
        SET,
        "repositories",
        "http://own.lan/a\n$CE_SERVER/demo/7/os/x86_64 http://backup.lan/demo/7/os/x86_64\n",
    );
    let own = node.load("demo-7-x86_64-minimal").unwrap();
    assert_eq!(own.environment, [("X".into(), "1".into())]);
    let ids: Vec<_> = own
        .repositories
        .iter()
        .map(|line| line.id().as_str())
        .collect();
    // base0 is the same place as minimal1
    assert_eq!(ids, ["minimal0", "minimal1", "base1"]);
}

#[test]
fn stages_are_inherited_each_by_itself() {
    let node = rpm_os();
    node.write(OS, "packages_0", "a b\n");
    node.write(OS, "packages_1", "c\n");
    node.write(SET, "packages", "bash\n");
    node.write(SET, "packages_1", "d\n");
    node.write(APP, "packages", "httpd\n");
    let set = node.load("demo-7-x86_64-minimal").unwrap();
    assert_eq!(
        (set.packages_0, set.packages_1),
        (vec![vec!["a".into(), "b".into()]], vec!["d".into()])
    );
    assert!(
        node.load("demo-7-x86_64/httpd")
            .unwrap()
            .packages_0
            .is_empty()
    );
}

#[test]
fn an_application_has_its_own_repositories_and_the_environment_of_its_os() {
    let node = rpm_os();
    node.write(APP, "packages", "");
    node.write(APP, "repositories", "http://app.lan/x\n");
    node.script(APP, "post-install", "default", 0o755);
    node.script(APP, "pre-install", "default", 0o755);
    node.write(APP_SET, "packages", "httpd-extra\n");
    node.script(APP_SET, "pre-install", "set", 0o755);
    let app = node.load("demo-7-x86_64/httpd").unwrap();
    assert!(app.packages.is_empty());
    assert_eq!(app.repositories.len(), 1);
    assert_eq!(app.environment[0].0, "LC_ALL");
    let os = node.load("demo-7-x86_64").unwrap();
    let ids: Vec<_> = active_repositories(&[&app, &app], &os)
        .iter()
        .map(|line| line.id().to_string())
        .collect();
    assert_eq!(ids, ["httpd0", "base0", "base1"]);
    let set = node.load("demo-7-x86_64/httpd-extra").unwrap();
    let scripts: Vec<_> = set.scripts.iter().map(|s| s.content.as_slice()).collect();
    assert_eq!(scripts, [&b"set"[..], b"default"]);
    assert!(set.repositories.is_empty());
}

#[test]
fn a_key_that_an_application_pins_cannot_sign_for_the_os() {
    let (os_key, app_key) = ("A".repeat(40), "B".repeat(40));
    let node = rpm_os();
    node.write(OS, "keys", &format!("{os_key} /etc/pki/k\n"));
    node.write(APP, "packages", "httpd\n");
    node.write(APP, "repositories", "http://app.lan/x\n");
    node.write(APP, "keys", &format!("{app_key} key.asc\n"));
    node.write(APP, "key.asc", "armored");
    let app = node.load("demo-7-x86_64/httpd").unwrap();
    let pins = |id: &str| -> Vec<String> {
        let pins = app.keys_for(&id.parse().unwrap());
        pins.iter().map(|pin| pin.fingerprint.to_string()).collect()
    };
    assert_eq!(pins("httpd0"), [app_key, os_key.clone()]);
    assert_eq!(pins("base0"), [os_key]);
    let beside = KeyPlace::Beside {
        name: "key.asc".into(),
        content: b"armored".to_vec(),
    };
    assert_eq!(app.keys[0].places, [beside]);
}

/// `package_manager`, file, its text, the line that is wrong, part of the reason
type BadLine = (
    &'static str,
    &'static str,
    &'static str,
    usize,
    &'static str,
);

const RPM: &str = "rpm411x64\n";
const DEB: &str = "dpkgx64\n";

const BAD_LINES: &[BadLine] = &[
    (
        RPM,
        "repositories",
        "\nhttp://a.lan/x\n$MY_SERVER/x\n",
        3,
        "add a line `$MY_SERVER URL` to url.map",
    ),
    (
        RPM,
        "repositories",
        "http://a.lan/$releasevers/x\n",
        1,
        "`$releasevers` is neither",
    ),
    (
        RPM,
        "repositories",
        "http://a.lan/$YUM0/x\n",
        1,
        "`$YUM0` has no value",
    ),
    (RPM, "repositories", "http://a.lan/$\n", 1, "`$` is neither"),
    (RPM, "repositories", "/srv/x\n", 1, "no repository URL"),
    (
        RPM,
        "repositories",
        "ftp://a.lan/x\n",
        1,
        "no repository URL",
    ),
    (
        RPM,
        "repositories",
        "[trusted=maybe] http://a.lan/x\n",
        1,
        "unknown option `trusted=maybe`",
    ),
    (
        RPM,
        "repositories",
        "[trusted=yes http://a.lan/x\n",
        1,
        "no `]`",
    ),
    (RPM, "repositories", "[trusted=yes]\n", 1, "there is no URL"),
    (RPM, "zypp_repositories", "http://a.lan/x\n", 1, "YaST"),
    (RPM, "packages", "bash\nlib* x\n", 2, "is a pattern"),
    (RPM, "packages_0", "a\n-rf\n", 2, "begin with a letter"),
    (RPM, "packages_1", "a/b\n", 1, "'/' is not allowed"),
    (RPM, "environment", "A=1\nB\n", 2, "no `NAME=VALUE`"),
    (RPM, "environment", "1A=1\n", 1, "no `NAME=VALUE`"),
    (RPM, "cache_type", "many\n", 1, "no number"),
    (RPM, "golden_image", "perhaps\n", 1, "neither yes nor no"),
    (RPM, "keys", "1234ABCD\n", 1, "no key fingerprint"),
    ("pacman\n", "packages", "", 1, "no package manager"),
    (
        DEB,
        "mirrorlist",
        "http://a.lan/x\n",
        1,
        "means nothing in a deb template",
    ),
    (
        DEB,
        "repositories",
        "http://a.lan/debian\n",
        1,
        "needs a suite",
    ),
    (
        DEB,
        "repositories",
        "http://a.lan/debian trixie\n",
        1,
        "at least one component",
    ),
    (
        DEB,
        "repositories",
        "http://a.lan/debian ./ main\n",
        1,
        "at least one component",
    ),
    (
        DEB,
        "repositories",
        "http://a.lan/debian ../x main\n",
        1,
        "no suite or component",
    ),
    (
        DEB,
        "repositories",
        "http://a.lan/debian trixie ma/../in\n",
        1,
        "no suite or component",
    ),
    (
        DEB,
        "repositories",
        "http://a.lan/$basearch trixie main\n",
        1,
        "`$basearch` is neither",
    ),
];

#[test]
fn every_bad_line_is_named_with_its_file_and_reason() {
    for &(manager, file, text, line, reason) in BAD_LINES {
        let node = Node::new(&[(OS, "packages", "bash\n"), (OS, "package_manager", manager)]);
        node.write(OS, file, text);
        let (found, at, why) = node.problem("demo-7-x86_64");
        let expected = if manager.starts_with("pac") {
            "package_manager"
        } else {
            file
        };
        assert_eq!((found.as_str(), at), (expected, line), "{text:?}: {why}");
        assert!(why.contains(reason), "{text:?}: {why}");
    }
}

#[test]
fn the_digest_covers_what_changes_a_build_and_no_server() {
    let node = rpm_os();
    let digest = || node.load("demo-7-x86_64").unwrap().digest();
    let first = digest();
    let other = UrlMap::parse("$CE_SERVER http://other.lan\n", Path::new("x")).unwrap();
    let area = TemplateArea::new(node.0.path());
    let elsewhere = area
        .load(&"demo-7-x86_64".parse().unwrap(), &other)
        .unwrap();
    assert_eq!(elsewhere.digest(), first);
    node.write(OS, "summary", "another text\n");
    assert_eq!(digest(), first);
    let mut seen = std::collections::BTreeSet::from([first]);
    for (file, content) in [
        ("packages", "bash\n"),
        ("packages_0", "bash\n"),
        ("packages_1", "bash\n"),
        ("environment", "LC_ALL=D\n"),
        ("repositories", "http://a.lan/x\n"),
        ("keys", "41587F7DB8C774BCCF131416762F67A0B2C39DE4\n"),
        ("distribution", "redhat\n"),
    ] {
        node.write(OS, file, content);
        assert!(seen.insert(digest()), "{file}");
    }
    node.script(OS, "post-cache", "x", 0o755);
    assert!(seen.insert(digest()));
}

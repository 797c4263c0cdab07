//! Names against directories, as VZPKG-REFERENCE §2.1 has them.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;

/// Makes empty templates at these directories below the area; bases get a `package_manager`.
fn area_of(directories: &[&str]) -> (tempfile::TempDir, TemplateArea) {
    let directory = tempfile::tempdir().unwrap();
    for path in directories {
        let path = directory.path().join(path);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("packages"), "bash\n").unwrap();
        if path.ends_with("os/default") {
            fs::write(path.join("package_manager"), "dpkgx64\n").unwrap();
        }
    }
    let mut area = TemplateArea::new(directory.path());
    area.host_arch = "x86_64".parse().ok();
    (directory, area)
}

fn resolved(area: &TemplateArea, name: &str) -> Result<String, String> {
    match area.resolve(&TemplateName::from_user(name).unwrap()) {
        Ok(location) => Ok(location.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

const NODE: &[&str] = &[
    "demo/7/x86_64/config/os/default",
    "demo/7/x86_64/config/os/minimal",
    "demo/7/x86_64/config/os/web-server",
    "demo/7/x86/config/os/default",
    "demo/7/x86_64/config/app/httpd/default",
    "demo/7/x86_64/config/app/httpd/extra",
    "demo/7/x86_64/config/app/my-app/default",
    "red-hat/5-beta/x86_64/config/os/default",
    "red-hat/5-beta/x86_64/config/os/tiny",
];

#[test]
fn names_are_resolved_by_the_directories_that_exist() {
    let (_keep, area) = area_of(NODE);
    for (name, expected) in [
        ("demo-7-x86_64", "demo-7-x86_64"),
        (".demo-7-x86_64", "demo-7-x86_64"),
        ("demo-7", "demo-7-x86_64"),
        ("demo-7-x86", "demo-7-x86"),
        ("demo-7-minimal", "demo-7-x86_64-minimal"),
        ("demo-7-x86_64-minimal", "demo-7-x86_64-minimal"),
        ("demo-7-x86_64-default", "demo-7-x86_64"),
        ("demo-7-x86_64-web-server", "demo-7-x86_64-web-server"),
        ("demo-7-web-server", "demo-7-x86_64-web-server"),
        ("red-hat-5-beta", "red-hat-5-beta-x86_64"),
        ("red-hat-5-beta-x86_64-tiny", "red-hat-5-beta-x86_64-tiny"),
        ("demo-7-x86_64/httpd", "demo-7-x86_64/httpd"),
        ("demo-7/httpd-extra", "demo-7-x86_64/httpd-extra"),
        ("demo-7/my-app", "demo-7-x86_64/my-app"),
        // a container of an extra set uses the applications of the base
        ("demo-7-minimal/httpd", "demo-7-x86_64/httpd"),
    ] {
        assert_eq!(resolved(&area, name).as_deref(), Ok(expected), "{name}");
    }
}

#[test]
fn a_name_without_template_offers_those_that_are_close() {
    let (_keep, area) = area_of(NODE);
    let error = area.resolve(&"demo-8-x86_64".parse().unwrap()).unwrap_err();
    let TemplateError::NotFound { near, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(near.len(), 3);
    assert!(
        near.iter().all(|name| name.starts_with("demo-7")),
        "{near:?}"
    );
    for name in [
        "demo",
        "demo-7-x86_64-none",
        "demo-7/none",
        "demo-7-aarch64",
        "x/y/z",
    ] {
        assert!(resolved(&area, name).is_err(), "{name}");
    }
    let nowhere = TemplateArea::new("/nonexistent/area");
    assert!(resolved(&nowhere, "demo-7").is_err());
    assert!(nowhere.list().unwrap().is_empty());
}

#[test]
fn two_directories_of_one_name_are_ambiguous() {
    let (_keep, area) = area_of(&[
        "a/b-c/x86_64/config/os/default",
        "a-b/c/x86_64/config/os/default",
    ]);
    let error = resolved(&area, "a-b-c-x86_64").unwrap_err();
    for directory in ["a/b-c/x86_64", "a-b/c/x86_64"] {
        assert!(error.contains(directory), "{error}");
    }
}

#[test]
fn names_cannot_leave_the_area() {
    let (keep, area) = area_of(&["demo/7/x86_64/config/os/default"]);
    let outside = tempfile::tempdir().unwrap();
    let elsewhere = outside.path().join("7/x86_64/config/os/default");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::write(elsewhere.join("packages"), "").unwrap();
    fs::write(elsewhere.join("package_manager"), "dpkg\n").unwrap();
    symlink(outside.path(), keep.path().join("evil")).unwrap();
    assert!(resolved(&area, "evil-7-x86_64").is_err());
    for name in [
        "x-..-7-x86_64",
        "demo-7-x86_64/../../../../x",
        "demo-..-x86_64",
        "a/../demo-7",
    ] {
        assert!(resolved(&area, name).is_err(), "{name}");
    }
}

#[test]
fn the_list_holds_every_template_once_and_nothing_else() {
    let (keep, area) = area_of(NODE);
    // A set without its base, a directory without `packages`, and an old standard template are none.
    fs::create_dir_all(keep.path().join("half/1/x86_64/config/os/set")).unwrap();
    fs::write(keep.path().join("half/1/x86_64/config/os/set/packages"), "").unwrap();
    fs::create_dir_all(keep.path().join("demo/7/x86_64/config/os/empty")).unwrap();
    fs::create_dir_all(keep.path().join("old-standard/conf")).unwrap();
    fs::create_dir_all(keep.path().join("conf/vztt")).unwrap();
    let names: Vec<_> = area
        .list()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        names,
        [
            "demo-7-x86",
            "demo-7-x86_64",
            "demo-7-x86_64/httpd",
            "demo-7-x86_64/httpd-extra",
            "demo-7-x86_64/my-app",
            "demo-7-x86_64-minimal",
            "demo-7-x86_64-web-server",
            "red-hat-5-beta-x86_64",
            "red-hat-5-beta-x86_64-tiny",
        ]
    );
    for location in area.list().unwrap() {
        assert_eq!(area.resolve(&location.name().unwrap()).unwrap(), location);
    }
}

//! The real data beside the project: `shared/fixtures` in a directory above it, or where `VZPKG_FIXTURES` says.

use std::fs;
use std::path::{Path, PathBuf};

/// A path below the fixtures.
///
/// # Panics
/// Where there are none: a test that needs them fails, it does not pass in silence.
#[expect(
    clippy::disallowed_methods,
    reason = "the one variable that tests know"
)]
pub fn fixture(name: &str) -> PathBuf {
    let given = std::env::var_os("VZPKG_FIXTURES").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|above| above.join("shared/fixtures"))
        .find(|place| place.is_dir());
    let path = given.or(beside).unwrap_or_default().join(name);
    assert!(
        path.exists(),
        "fixture `{name}` is missing: put shared/fixtures beside the project or set VZPKG_FIXTURES"
    );
    path
}

/// Copies real yum metadata into a directory, with a `repomd.xml` that names only what the fixtures hold.
///
/// # Panics
/// Where the fixtures are no such metadata.
pub fn real_metadata(of: &str, to: &Path) {
    let from = fixture(&format!("repodata/{of}")).join("repodata");
    fs::create_dir_all(to.join("repodata")).unwrap();
    for entry in fs::read_dir(&from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join("repodata").join(path.file_name().unwrap())).unwrap();
    }
    let text = fs::read_to_string(from.join("repomd.xml")).unwrap();
    let (head, rest) = text.split_once("<data ").unwrap();
    let mut kept = head.to_owned();
    for data in rest.split("<data ") {
        let start = data.find("href=\"").unwrap() + "href=\"".len();
        let length = data[start..].find('"').unwrap();
        if to.join(&data[start..start + length]).exists() {
            let whole = data.split("</data>").next().unwrap();
            kept.extend(["<data ", whole, "</data>"]);
        }
    }
    kept += "</repomd>\n";
    let repomd = to.join("repodata/repomd.xml");
    fs::remove_file(&repomd).unwrap();
    fs::write(repomd, kept).unwrap();
}

//! The real data beside the project: `shared/fixtures` in a directory above it, or where `VZPKG_FIXTURES` says.

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

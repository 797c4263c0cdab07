//! As dnf decides: which foreign architectures run here, which provider is preferred.

use vzpkg_metadata::index::IndexedPackage;

/// Whether packages of `arch` run on a `native` machine beside its own (rpm's arch compatibility).
pub(super) fn is_compatible(native: &str, arch: &str) -> bool {
    match native {
        "x86_64" => matches!(
            arch,
            "x86_64_v2" | "i686" | "i586" | "i486" | "i386" | "athlon"
        ),
        "i686" => matches!(arch, "i586" | "i486" | "i386"),
        _ => false,
    }
}

/// How good a provider is, lower is better: native before foreign, the best version of its name before older ones, then
/// the name.
pub(crate) fn provider_rank<'a>(
    package: &IndexedPackage<'a>,
    is_best: bool,
) -> (bool, bool, &'a str) {
    let foreign = package.arch().starts_with('i') || package.arch() == "athlon";
    (foreign, !is_best, package.name())
}

//! As dnf decides: which foreign architectures run here, which provider is preferred, what module streams hide.

use super::{Candidate, Exclusion};
use crate::pool::Solvable;
use crate::request::Repository;
use vzpkg_metadata::dependency::Expression;
use vzpkg_metadata::index::IndexedPackage;
use vzpkg_metadata::package::RelationKind;
use vzpkg_metadata::version::evr;
use vzpkg_metadata::yum::module_filter::ModuleFilter;

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

/// Puts what is installed before what has the same name, version and architecture in other bytes (signed or built again),
/// of candidates that are sorted by preference: rpm refuses to install such a package, dnf finds nothing to do.
pub(crate) fn installed_first(candidates: &mut [Candidate<'_>], installed: Option<Solvable>) {
    let at = candidates
        .iter()
        .position(|(solvable, ..)| Some(*solvable) == installed);
    let Some((at, (.., present))) = at.and_then(|at| Some((at, candidates.get(at)?))) else {
        return;
    };
    let same = |(.., other): &Candidate<'_>| {
        other.arch() == present.arch() && evr::compare(other.version(), present.version()).is_eq()
    };
    let first = candidates.iter().position(same).unwrap_or(at);
    if let Some(equals) = candidates.get_mut(first..=at) {
        equals.rotate_right(1);
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

/// Why module streams hide a package of a repository: its own stream is off, or one that is on has its name, or a name
/// that it provides.
pub(super) fn hidden(
    modules: &ModuleFilter,
    repository: &Repository<'_>,
    package: &IndexedPackage<'_>,
) -> Option<Exclusion> {
    if modules.is_empty() {
        return None;
    }
    let (name, version) = (package.name(), package.version());
    let epoch = if version.contains(':') { "" } else { "0:" };
    let artifact = format!("{name}-{epoch}{version}.{}", package.arch());
    if modules.on.contains(&artifact) {
        return None;
    }
    if let Some(stream) = modules.off.get(&artifact) {
        return Some(Exclusion::StreamOff(stream.clone()));
    }
    if repository.hotfixes || modules.replaced.is_empty() {
        return None;
    }
    let by_name = modules.replaced.get(name);
    let stream = by_name.or_else(|| {
        let mut provides = package.relations_of(RelationKind::Provides);
        provides.find_map(|clause| match clause.expression() {
            Some(Expression::Atom(atom)) => modules.replaced.get(atom.name),
            _ => None,
        })
    });
    stream.map(|stream| Exclusion::Modular(stream.clone()))
}

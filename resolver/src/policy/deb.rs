//! As apt decides: one candidate version per name, the order of `a | b`, providers by importance.

use super::{Candidate, Exclusion, Pin};
use crate::pool::{Solvable, Source};
use vzpkg_metadata::Arch;
use vzpkg_metadata::apt::release::Automatic;
use vzpkg_metadata::dependency::Qualifier;
use vzpkg_metadata::index::IndexedPackage;
use vzpkg_metadata::package::{MultiArch, Priority};

/// Leaves the candidate version and the installed one in `usable`; the rest is excluded with a reason. The candidate is the
/// highest version of the repositories that are taken from most willingly; what is installed counts as if it were to be had
/// from one that only brings upgrades (`apt_preferences(5)`).
pub(super) fn keep_candidate(
    usable: &mut Vec<Candidate<'_>>,
    excluded: &mut Vec<(Solvable, Exclusion)>,
    installed: Option<Solvable>,
    pin: Option<&Pin>,
    sources: &[Source<'_>],
) {
    let pinned = |&&one: &&Candidate<'_>| pin.is_none_or(|pin| pin.names(one, sources));
    let willingness = |&&(solvable, source, _): &&Candidate<'_>| {
        let offered = sources[source].repository.map(|of| of.automatic);
        let here = (Some(solvable) == installed).then_some(Automatic::Upgrades);
        offered.max(here)
    };
    // The first of the best: they are in the order of their versions.
    let best = usable
        .iter()
        .filter(pinned)
        .map(|one| willingness(&one))
        .max();
    let mut pinned = usable.iter().filter(pinned);
    let Some(&(candidate, _, package)) = pinned.find(|one| Some(willingness(one)) == best) else {
        return;
    };
    let version = package.version().to_owned();
    usable.retain(|&(solvable, ..)| {
        let keep = solvable == candidate || Some(solvable) == installed;
        if !keep {
            excluded.push((solvable, Exclusion::NotCandidate(version.clone())));
        }
        keep
    });
}

/// Whether the architecture part of a relation is met by a package of the native or of no architecture
/// (dpkg: `deparchsatisfied`).
pub(crate) fn qualifier_holds(
    qualifier: Qualifier<'_>,
    native: &Arch,
    package: &IndexedPackage<'_>,
) -> bool {
    match qualifier {
        Qualifier::None | Qualifier::Native => true,
        // dpkg asks for `allowed`; apt on a single architecture does not look, and some packages rely on it.
        Qualifier::Any => matches!(
            package.multi_arch(),
            MultiArch::Allowed | MultiArch::Foreign
        ),
        Qualifier::Arch(arch) => arch == native.as_str(),
    }
}

/// How good a provider is, lower is better, when the real package is none of the choices: as apt's `CompareProviders`,
/// with the name as the last word instead of the order of apt's cache.
pub(crate) fn provider_rank<'a>(package: &IndexedPackage<'a>) -> (bool, bool, Priority, &'a str) {
    (
        !package.essential(),
        !package.protected(),
        package.priority(),
        package.name(),
    )
}

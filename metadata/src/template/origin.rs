//! Which shipped OS template a new one starts from.

use super::location::DEFAULT_SET;
use super::shipped;
use std::fmt;

/// A shipped OS template: its distribution and version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    os: &'static str,
    version: &'static str,
    arch: &'static str,
}

impl Origin {
    /// The one that is nearest to a version of a distribution: the highest that is not above it, else the lowest. `None`
    /// for a distribution that no shipped template is of.
    pub fn nearest(os: &str, version: &str) -> Option<Self> {
        let mut shipped = of(os);
        shipped.sort_by_key(|origin| numbers(origin.version));
        let wanted = numbers(version);
        let below = shipped
            .iter()
            .rfind(|origin| numbers(origin.version) <= wanted);
        below.or(shipped.first()).copied()
    }

    /// The newest one of a distribution.
    pub fn newest(os: &str) -> Option<Self> {
        of(os)
            .into_iter()
            .max_by_key(|origin| numbers(origin.version))
    }

    /// The distributions that shipped templates are of, sorted.
    pub fn distributions() -> Vec<&'static str> {
        let mut names: Vec<&str> = all().map(|origin| origin.os).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Files of its base, without those that speak of that very one, and `packages`: a new template has its own.
    pub(super) fn files(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let directory = self.directory(DEFAULT_SET);
        shipped::all().filter_map(move |(path, content)| {
            let name = path.strip_prefix(&directory)?.strip_prefix('/')?;
            let own = ["packages", "summary", "upgradable_versions"];
            (!own.contains(&name)).then_some((name, content))
        })
    }

    /// What its smallest set consists of.
    pub(super) fn packages(self) -> &'static str {
        let path = format!("{}/packages", self.directory("minimal"));
        shipped::file(&path).unwrap_or_default()
    }

    fn directory(self, set: &str) -> String {
        format!("{}/{}/{}/config/os/{set}", self.os, self.version, self.arch)
    }
}

impl fmt::Display for Origin {
    /// Its name as a template.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.os, self.version, self.arch)
    }
}

fn of(os: &str) -> Vec<Origin> {
    all().filter(|origin| origin.os == os).collect()
}

fn all() -> impl Iterator<Item = Origin> {
    let end = format!("config/os/{DEFAULT_SET}/package_manager");
    shipped::all().filter_map(move |(path, _)| {
        let mut parts = path.splitn(4, '/');
        let (os, version, arch) = (parts.next()?, parts.next()?, parts.next()?);
        (parts.next()? == end).then_some(Origin { os, version, arch })
    })
}

/// `15.6` as it is ordered.
fn numbers(version: &str) -> Vec<u64> {
    // `sid` and `rawhide` are newer than all.
    let number = |part: &str| part.parse().unwrap_or(u64::MAX);
    version.split('.').map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_template_starts_from_the_nearest_version_of_its_distribution() {
        for (os, version, origin) in [
            ("fedora", "45", "fedora-44-x86_64"),
            ("fedora", "43", "fedora-43-x86_64"),
            ("fedora", "40", "fedora-43-x86_64"),
            ("almalinux", "9", "almalinux-9-x86_64"),
            ("almalinux", "11", "almalinux-10-x86_64"),
            ("centos", "8", "centos-7-x86_64"),
            ("centos-stream", "9", "centos-stream-9-x86_64"),
            ("opensuse-leap", "15.7", "opensuse-leap-15.6-x86_64"),
            ("debian", "sid", "debian-13-x86_64"),
        ] {
            let found = Origin::nearest(os, version).unwrap();
            assert_eq!(found.to_string(), origin, "{os} {version}");
        }
        assert_eq!(Origin::nearest("plan", "9"), None);
        let newest = Origin::newest("debian").unwrap();
        assert_eq!(newest.to_string(), "debian-13-x86_64");
    }
}

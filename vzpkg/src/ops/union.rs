//! Whether the packages of a container would still fit together after a relink: the merge knows no resolver, so it asks
//! here.

use vzpkg_cache::merge::UnionPackage;
use vzpkg_metadata::apt::control::{self, PackageFile};
use vzpkg_metadata::apt::release::Automatic;
use vzpkg_metadata::index::{Index, IndexBuilder};
use vzpkg_metadata::{Arch, Digest, Family};
use vzpkg_resolver::{Repository, Request, Solve, resolve};

/// Asks for exactly these packages, from a repository that has nothing else.
///
/// # Errors
/// Why they do not fit together, as a sentence or several.
pub(crate) fn check(arch: &Arch, packages: &[UnionPackage]) -> Result<(), String> {
    let mut builder = IndexBuilder::new(Family::Deb);
    let native = arch.in_family(Family::Deb);
    let mut install = Vec::new();
    for package in packages {
        let file = PackageFile {
            sha256: Digest::of(package.paragraph.as_bytes()),
            size: 0,
            location: "",
        };
        let record = control::parse(&package.paragraph, file)
            .map_err(|error| format!("`{}`: {error}", package.name))?;
        builder.add(&record);
        // A foreign package is there to be used, but cannot be asked for by name and version alone.
        if package.arch == native.as_str() || package.arch == "all" {
            install.push(format!("{}={}", package.name, package.version));
        }
    }
    let bytes = builder.finish().map_err(|error| error.to_string())?;
    let repository = Repository {
        id: "container".parse().map_err(|error| format!("{error}"))?,
        index: Index::access(&bytes).map_err(|error| error.to_string())?,
        priority: 99,
        excludes: Vec::new(),
        hotfixes: false,
        automatic: Automatic::Always,
    };
    let request = Request {
        install,
        ..Request::default()
    };
    match resolve(Family::Deb, arch, &[repository], None, &request) {
        Ok(Solve::Solved(_)) => Ok(()),
        Ok(Solve::Impossible(conflict)) => Err(conflict.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, more: &str) -> UnionPackage {
        UnionPackage {
            name: name.to_owned(),
            arch: "amd64".to_owned(),
            version: version.to_owned(),
            paragraph: format!(
                "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n{more}"
            ),
            private: true,
        }
    }

    #[test]
    fn a_union_fits_together_or_says_what_is_missing() {
        let arch: Arch = "x86_64".parse().unwrap();
        let mine = package("mine", "1", "Depends: base (= 1)\nConffiles:\n /etc/m 0\n");
        assert_eq!(
            check(&arch, &[package("base", "1", ""), mine.clone()]),
            Ok(())
        );
        let why = check(&arch, &[package("base", "2", ""), mine]).unwrap_err();
        assert!(why.contains("mine") && why.contains("base"), "{why}");
    }
}

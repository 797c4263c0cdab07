//! A later state of the distribution, which its mirror does not have: the same packages with a higher version, and with
//! other bytes in every program and library. What runs is the same; nothing of it is the same file.

use crate::support::Site;
use std::path::PathBuf;
use vzpkg_tests::tools::{command, run};

/// Packages of `$sources` among the `.deb` files of `$packages`, bumped, with an index, in `$to`. Bytes behind the end of
/// an ELF file harm nobody.
const SCRIPT: &str = r#"
    set -euo pipefail
    mkdir -p "$to" "$to.tree"; cd "$to.tree"
    for deb in "$packages"/*.deb; do
        read -r name source version < <(dpkg-deb -W --showformat='${Package} ${source:Package} ${Version}\n' "$deb")
        case " $sources " in *" $source "*) ;; *) continue ;; esac
        dpkg-deb -R "$deb" "$name"
        echo "s/(= $version)/(= $version+later1)/g; s/^Version: $version\$/&+later1/" >>bumps
    done
    for name in */; do
        sed -i -f bumps "$name/DEBIAN/control"
        find "$name" -type f ! -path '*/DEBIAN/*' -size +3c -print0 | while IFS= read -r -d '' file; do
            IFS= read -r -N4 magic <"$file" && [ "$magic" = $'\x7fELF' ] && printf later >>"$file"
        done || true
        (cd "$name" && find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\0' | xargs -0r md5sum >DEBIAN/md5sums)
        dpkg-deb --root-owner-group -Znone -b "$name" "$to" >/dev/null
    done
    cd "$to"; apt-ftparchive packages . >Packages
    apt-ftparchive release . >"$to.tree/Release"; mv "$to.tree/Release" .; rm -r "$to.tree"
"#;

/// The directory of a repository with everything that these source packages have on this site, a version later.
pub(crate) fn repository(site: &Site, sources: &str) -> PathBuf {
    let to = site.path("later");
    let mut bash = command("bash");
    bash.args(["-c", SCRIPT])
        .env("LC_ALL", "C")
        .env("sources", sources);
    bash.env("packages", site.root().join("packages"));
    run(bash.env("to", &to));
    to
}

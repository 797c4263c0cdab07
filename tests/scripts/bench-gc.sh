#!/usr/bin/env bash
# gc beside a hundred versions, on the repository that bench-deb.sh made: each version has a package of it a version
# later, with other contents. Called by bench.sh with VZPKG, WORK and RUNS.
set -euo pipefail
cd "$WORK"
template=debian-13-x86_64-minimal
root=$WORK/hundred
vz="$VZPKG --root $root -q"
. "$(dirname "$(realpath "$0")")/bench-lib.sh"
versions=100

rm -rf repo-gc unpacked-gc; mkdir repo-gc; ln repo/*.deb repo-gc/
eval "$(aside "$root")"; mkdir "$root"; cp -a template "$root/template"
echo "[trusted=yes] file://$WORK/repo-gc ./" >"$root/template/debian/13/x86_64/config/os/default/repositories"
index repo-gc
$vz create-cache "$template"
dpkg-deb -R repo/hostname_*.deb unpacked-gc
version=$(dpkg-deb -W --showformat='${Version}' repo/hostname_*.deb)
for number in $(seq 2 $versions); do
    sed -i "s/^Version: .*/Version: $version+vz$number/" unpacked-gc/DEBIAN/control
    # What a program begins with is what is run; what follows is only carried along.
    find unpacked-gc/usr -type f -exec sh -c 'printf "%s " "$1" >>"$0"' {} "$number" \;
    dpkg-deb --root-owner-group -Znone -b unpacked-gc repo-gc >/dev/null
    index repo-gc
    $vz update "$template" --refresh
done
count() { $vz history "$template" --format json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["versions"]))'; }
[ "$(count)" = $versions ] || { echo "there are $(count) versions" >&2; exit 1; }

measure gc.csv --prepare "sync" -n "none" "VZPKG_KEEP_LAST=$versions $vz gc"
eval "$(aside all)"; cp -a "$root" all
again="$(aside "$root"); cp -a $WORK/all $root; sync"
measure gc-all.csv --prepare "$again" -n "all" "VZPKG_KEEP_LAST=1 VZPKG_KEEP_DAYS=0 $vz gc"
[ "$(count)" = 1 ] || { echo "gc left $(count) versions" >&2; exit 1; }
awk -v n=$versions -v a="$(median gc.csv none)" -v b="$(median gc-all.csv all)" 'BEGIN {
    printf "\ngc beside %d versions, nothing to remove: %.0f ms; of %d of them: %.0f ms.\n", n, a * 1000, n - 1, b * 1000 }'

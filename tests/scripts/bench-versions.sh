#!/usr/bin/env bash
# Versions of Debian minbase on the repository that bench-deb.sh made: an update of five packages beside apt-get in a
# chroot and beside mmdebstrap from nothing, an update with nothing to do, a rollback. Called by bench.sh with VZPKG, WORK
# and RUNS.
set -euo pipefail
cd "$WORK"
template=debian-13-x86_64-minimal
root=$WORK/versions
vz="$VZPKG --root $root -q"
. "$(dirname "$(realpath "$0")")/bench-lib.sh"

# A package of the repository once more, a version later.
bump() { # PACKAGE SUFFIX DIRECTORY
    local old; old=$(ls "$WORK"/repo/"$1"_*.deb)
    [ -d "unpacked/$1" ] || { mkdir -p unpacked; dpkg-deb -R "$old" "unpacked/$1"; }
    local version; version=$(dpkg-deb -W --showformat='${Version}' "$old")
    sed -i "s/^Version: .*/Version: $version$2/" "unpacked/$1/DEBIAN/control"
    mkdir -p "$3"; dpkg-deb --root-owner-group -Znone -b "unpacked/$1" "$3" >/dev/null
}
use() { echo "[trusted=yes] file://$WORK/$1 ./" >"$root/template/debian/13/x86_64/config/os/default/repositories"; }

five="hostname mawk sed ncurses-bin debianutils"
rm -rf repo-new unpacked; mkdir repo-new; ln repo/*.deb repo-new/
for package in $five; do bump "$package" +vz1 repo-new; done
index repo-new

eval "$(aside "$root")"; mkdir "$root"; cp -a template "$root/template"
$vz create-cache "$template"
use repo-new
eval "$(aside base)"; cp -a "$root" base
again="$(aside "$root"); cp -a $WORK/base $root; sync"
chroot="$(aside "$WORK/chroot"); cp -a $WORK/mm $WORK/chroot; mkdir -p $WORK/chroot/repo-new; cp -a $WORK/repo-new/. $WORK/chroot/repo-new/; echo 'deb [trusted=yes] copy:///repo-new ./' >$WORK/chroot/etc/apt/sources.list; sync"
[ -d mm ] || mmdebstrap --quiet --variant=minbase trixie mm "deb [trusted=yes] copy://$WORK/repo ./"
measure update.csv \
    --prepare "$again" -n "update" "$vz update $template --refresh" \
    --prepare "$chroot" -n "apt" "chroot $WORK/chroot sh -c 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qqy dist-upgrade'" \
    --prepare "$(aside "$WORK/mm-new"); sync" -n "mmdebstrap" "mmdebstrap --quiet --variant=minbase trixie $WORK/mm-new 'deb [trusted=yes] copy://$WORK/repo-new ./'"
eval "$again"; $vz update "$template" --refresh
[ "$($vz history "$template" --format json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["versions"]))')" = 2 ] ||
    { echo "the update made no version" >&2; exit 1; }
RUNS=$((RUNS * 20)) measure nothing.csv --shell=none -n "nothing" "$vz update $template"
$vz rollback "$template" --to 1
RUNS=$((RUNS * 20)) measure rollback.csv --shell=none \
    -n "rollback" --prepare "$vz rollback $template --to 2" "$vz rollback $template --to 1"
$vz rollback "$template" --to 2

update=$(median update.csv update) apt=$(median update.csv apt) new=$(median update.csv mmdebstrap)
echo; echo "### Update of five of $(ls repo/*.deb | wc -l) packages, median of $RUNS"; echo
echo "| | time | against vzpkg update |"; echo "|---|---:|---:|"
printf '| vzpkg update --refresh: a new version beside the old | %.2f s | |\n' "$update"
printf '| apt-get update, dist-upgrade in a chroot, in place | %.2f s | %s |\n' "$apt" "$(ratio "$apt" "$update")"
printf '| mmdebstrap from nothing | %.2f s | %s |\n' "$new" "$(ratio "$new" "$update")"
awk -v a="$(median nothing.csv nothing)" -v b="$(median rollback.csv rollback)" \
    'BEGIN { printf "\nUpdate with nothing to do: %.0f ms. Rollback of a template: %.1f ms.\n", a * 1000, b * 1000 }'

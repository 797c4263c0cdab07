#!/usr/bin/env bash
# Debian minbase from one local repository: vzpkg and mmdebstrap. Called by bench.sh with VZPKG, WORK and RUNS.
#
# Both end with a whole tree on the same disk: mmdebstrap with a directory, vzpkg with a published version. Nothing is
# deleted while a run is measured: what a run leaves is renamed away and goes with WORK.
set -euo pipefail
cd "$WORK"
template=debian-13-x86_64-minimal
root=$WORK/vz
. "$(dirname "$(realpath "$0")")/bench-lib.sh"
packages_in() { dpkg-query --admindir "$1/var/lib/dpkg" -W -f '${Package} ${Version} ${db:Status-Abbrev}\n' | sort; }

# The packages once from the network, then a repository of exactly these on disk. mmdebstrap finds the Essential ones
# by the suite; without it, it makes an empty tree and is content.
"$VZPKG" --root "$WORK/fetch" -q fetch "$template"
mkdir -p repo
for deb in "$WORK"/fetch/packages/*.deb; do
    ln "$deb" "repo/$(dpkg-deb -W --showformat='${Package}_${Version}_${Architecture}.deb' "$deb" | tr : _)"
done
index repo
cp -a "$WORK/fetch/template" template
echo "[trusted=yes] file://$WORK/repo ./" >template/debian/13/x86_64/config/os/default/repositories

fresh="$(aside "$root"); mkdir $root; cp -a $WORK/template $root/template; sync"
build="$VZPKG --root $root -q create-cache $template"
mmdebstrap="mmdebstrap --quiet --variant=minbase"
from="trixie $WORK/mm 'deb [trusted=yes] copy://$WORK/repo ./'"
measure minbase.csv \
    --prepare "$(aside "$WORK/mm"); sync" -n "mmdebstrap" "$mmdebstrap $from" \
    --prepare "$(aside "$WORK/mm"); sync" -n "mmdebstrap unsafe" "$mmdebstrap --dpkgopt=force-unsafe-io $from" \
    --prepare "$fresh" -n "fresh" "$build" \
    --prepare "sync" -n "imported" "$VZPKG --root $root -q update --rebuild $template"
# What the builds wrote is on its way to the disk for a while, on a processor.
sync
RUNS=$((RUNS * 20)) measure resolve.csv --shell=none -n "resolve" "$VZPKG --root $WORK/fetch -q create-cache --dry-run $template"

# A result that is not there, or is another one, is no measurement.
"$VZPKG" --root "$root" -q export "$template" "$WORK/exported"
diff <(packages_in "$WORK/mm") <(packages_in "$WORK/exported") || { echo "the trees hold other packages" >&2; exit 1; }
count=$(packages_in "$WORK/exported" | wc -l)

plain=$(median minbase.csv mmdebstrap) unsafe=$(median minbase.csv "mmdebstrap unsafe")
best=$(printf '%s\n%s\n' "$plain" "$unsafe" | sort -g | head -1)
echo; echo "### Debian 13 minbase, $count local packages, median of $RUNS"; echo
echo "| | time | against mmdebstrap at its best |"; echo "|---|---:|---:|"
row() { printf '| %s | %.2f s | %s |\n' "$1" "$2" "$(ratio "$best" "$2")"; }
row "mmdebstrap --variant=minbase, to a directory" "$plain"
row "the same with --dpkgopt=force-unsafe-io" "$unsafe"
row "vzpkg create-cache, nothing imported" "$(median minbase.csv fresh)"
row "vzpkg update --rebuild, packages imported" "$(median minbase.csv imported)"
echo
awk -v t="$(median resolve.csv resolve)" 'BEGIN { printf "Resolve against the whole release, metadata here, whole process: %.1f ms\n", t * 1000 }'
eval "$fresh"
/usr/bin/time -f 'Peak memory of vzpkg itself: %M KiB' "$VZPKG" --root "$root" -q create-cache "$template" 2>&1 | tail -1

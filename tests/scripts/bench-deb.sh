#!/usr/bin/env bash
# Debian minbase from one local repository: vzpkg and mmdebstrap. Called by bench.sh with VZPKG, WORK and RUNS.
set -euo pipefail
cd "$WORK"
vzpkg() { "$VZPKG" --root "$WORK/vz" "$@"; }
template=debian-13-x86_64-minimal

# The packages once from the network, then a repository of exactly these on disk.
"$VZPKG" --root "$WORK/fetch" -q fetch "$template"
mkdir -p repo
for deb in "$WORK"/fetch/packages/*.deb; do
    ln "$deb" "repo/$(dpkg-deb -W --showformat='${Package}_${Version}_${Architecture}.deb' "$deb" | tr : _)"
done
(cd repo && apt-ftparchive packages . >Packages && apt-ftparchive release . >Release)
vzpkg -q list >/dev/null
os=$WORK/vz/template/debian/13/x86_64/config/os
echo "[trusted=yes] file://$WORK/repo ./" >"$os/default/repositories"
cp -a "$WORK/vz/template" "$WORK/template"

fresh="rm -rf $WORK/vz; mkdir $WORK/vz; cp -a $WORK/template $WORK/vz/template"
build="$VZPKG --root $WORK/vz -q create-cache $template"
hyperfine --runs "$RUNS" --warmup 1 --export-markdown minbase.md --style none 2>/dev/null >/dev/null \
    --prepare "rm -rf $WORK/mm" -n "mmdebstrap --variant=minbase, to a directory" \
    "mmdebstrap --quiet --variant=minbase trixie $WORK/mm 'deb [trusted=yes] copy://$WORK/repo ./'" \
    --prepare "$fresh" -n "vzpkg create-cache, nothing imported" "$build"
eval "$fresh"; eval "$build"
hyperfine --runs "$RUNS" --warmup 1 --export-markdown imported.md --style none 2>/dev/null >/dev/null \
    -n "vzpkg update --rebuild, packages imported" "$VZPKG --root $WORK/vz -q update --rebuild $template" \
    -n "vzpkg create-cache --dry-run: resolve, whole process" "$VZPKG --root $WORK/fetch -q create-cache --dry-run $template"
echo; echo "### Debian 13 minbase, local packages"; echo
cat minbase.md; tail -n +3 imported.md
echo; echo "Peak memory of vzpkg itself, in KiB:"
eval "$fresh"
/usr/bin/time -f '%M' "$VZPKG" --root "$WORK/vz" -q create-cache "$template" 2>&1 | tail -1

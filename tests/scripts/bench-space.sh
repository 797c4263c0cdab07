#!/usr/bin/env bash
# The space of successive versions of the server set of Debian 12, from the release to its security updates, on this host's
# mirror. Called by bench.sh with VZPKG and WORK.
set -euo pipefail
cd "$WORK"
template=debian-12-x86_64
root=$WORK/space
vz="$VZPKG --root $root -q"
. "$(dirname "$(realpath "$0")")/bench-lib.sh"

eval "$(aside "$root")"; $vz list >/dev/null
lines=$root/template/debian/12/x86_64/config/os/default/repositories
cp "$lines" lines; grep ' bookworm main' lines >"$lines"
$vz create-cache "$template"
space() { du -s --block-size=1024 "$root/store" | cut -f1; }
one=$(space)
cp lines "$lines"
# Those of one source come together; what has come already is left alone.
for package in $($vz status "$template" --refresh --format json |
    python3 -c 'import json, sys; print(*(p["package"] for p in json.load(sys.stdin)["templates"][0]["security"]))'); do
    $vz update "$template" --only "$package"
done
count=$($vz history "$template" --format json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["versions"]))')
printf '\nSpace of %s successive versions of the server set of Debian 12, security updates one by one: %s of one.\n' \
    "$count" "$(ratio "$(space)" "$one")"

#!/usr/bin/env bash
# Creates and starts a container, beside the bare OCI runtime that vzpkg chose here, on a root file system that is ready:
# with the runtime's own sample configuration, and with the one that vzpkg gives it (user namespace, seccomp, devices).
# Called by bench.sh; alone: VZPKG=… WORK=… tests/scripts/bench-ct.sh, where $WORK/vz may hold the template already.
set -euo pipefail
export VZPKG_CONFIG=${VZPKG_CONFIG:-/nonexistent} VZPKG_RUN_DIRECTORY=${VZPKG_RUN_DIRECTORY:-$WORK/run}
template=debian-13-x86_64-minimal bundle=$WORK/bundle
vz="$VZPKG --root $WORK/vz -q"
$vz info "$template@1" >/dev/null 2>&1 || $vz create-cache "$template"
runtime=$($vz doctor --format json | python3 -c '
import json, sys
print(next(f["text"] for f in json.load(sys.stdin)["findings"] if f["what"] == "OCI runtime"))')
bare="$runtime --root $WORK/bare"
clear="$bare delete --force bench >/dev/null 2>&1; $vz ct destroy --force bench >/dev/null 2>&1; true"
trap 'eval "$clear"' EXIT
mkdir -p "$bundle"
[ -d "$bundle/rootfs" ] || $vz export "$template" "$bundle/rootfs"
(cd "$bundle" && rm -f config.json && "$runtime" spec &&
    sed -i -e 's/"terminal": true/"terminal": false/' -e 's/"sh"/"sleep", "1000"/' config.json)
# The configuration of a container of vzpkg, on the directory.
$vz ct create bench --template "$template" --start
mkdir -p "$bundle-same"
python3 - "$VZPKG_RUN_DIRECTORY"/*/ct/bench/config.json "$bundle" <<'PYTHON'
import json, sys
config = json.load(open(sys.argv[1]))
config["root"]["path"] = sys.argv[2] + "/rootfs"
json.dump(config, open(sys.argv[2] + "-same/config.json", "w"))
PYTHON
eval "$clear"
# Warm-ups also pay what vzpkg pays once after the machine was started: the tests of mount tiers and of the runtime.
hyperfine --runs $((${RUNS:-5} * 6)) --warmup 3 --export-markdown "$WORK/ct.md" --style none --prepare "$clear" \
    -n "$(basename "$runtime") run --detach, root file system ready" \
    "$bare run --detach --bundle $bundle bench </dev/null >/dev/null 2>&1" \
    -n "the same with the configuration of vzpkg's container" \
    "$bare run --detach --bundle $bundle-same bench </dev/null >/dev/null 2>&1" \
    -n "vzpkg ct create --start" "$vz ct create bench --template $template --start" \
    -n "vzpkg ct create" "$vz ct create bench --template $template" >/dev/null
printf '\n### Create and start a container (%s)\n\n' "$("$runtime" --version | head -1)"
cat "$WORK/ct.md"

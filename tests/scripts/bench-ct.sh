#!/usr/bin/env bash
# Create and start a container, beside a bare OCI runtime with a prepared root file system. Called by bench.sh.
set -euo pipefail
cd "$WORK"
template=debian-13-x86_64-minimal
vz="$VZPKG --root $WORK/vz -q"
mkdir -p bundle/rootfs
$vz export "$template" "$WORK/plain"
rmdir bundle/rootfs && mv plain bundle/rootfs
(cd bundle && runc spec && sed -i -e 's/"terminal": true/"terminal": false/' -e 's/"sh"/"sleep", "1000"/' config.json)
hyperfine --runs $((RUNS * 6)) --warmup 2 --export-markdown ct.md --style none 2>/dev/null >/dev/null \
    --prepare 'runc delete --force bench 2>/dev/null || true' -n "runc run --detach, prepared root file system" \
    "runc run --detach --bundle $WORK/bundle bench </dev/null >/dev/null 2>&1" \
    --prepare "$vz ct destroy --force bench 2>/dev/null || true" -n "vzpkg ct create --start" \
    "$vz ct create bench --template $template --start"
runc delete --force bench 2>/dev/null || true
$vz ct destroy --force bench
echo; echo "### Create and start a container"; echo
cat ct.md

#!/usr/bin/env bash
# Measures vzpkg beside its peers on local packages, in one run; prints Markdown tables. Needs root and hyperfine.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
export VZPKG=$(realpath "${1:?usage: tests/scripts/bench.sh PATH-OF-VZPKG}")
[ "$(id -u)" = 0 ] || exec sudo --preserve-env=VZPKG_FIXTURES "$0" "$VZPKG"
export WORK=${VZPKG_BENCH_DIR:-/var/tmp/vzpkg-bench.$$}
export VZPKG_CONFIG=/nonexistent VZPKG_RUN_DIRECTORY=$WORK/run RUNS=${RUNS:-5}
mkdir -p "$WORK"
trap 'rm -rf "$WORK"' EXIT
echo "## $(nproc) cores, $(uname -sr), $(date -u +%F), vzpkg $("$VZPKG" --version | cut -d' ' -f2)"
"$here/bench-deb.sh"
"$here/bench-versions.sh"
"$here/bench-gc.sh"
"$here/bench-space.sh"
"$here/bench-ct.sh"
"$here/bench-containers.sh"
"$here/bench-rpm.sh"
"$here/bench-mirror.sh"

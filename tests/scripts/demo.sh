#!/usr/bin/env bash
# The whole chain on the real Debian repositories of this host: build, run, update, roll back. Leaves nothing behind.
set -euo pipefail
vzpkg=$(realpath "${1:?usage: tests/scripts/demo.sh PATH-OF-VZPKG}")
[ "$(id -u)" = 0 ] || exec sudo "$0" "$vzpkg"
root=${VZPKG_DEMO_ROOT:-/var/tmp/vzpkg-demo.$$}
template=debian-13-x86_64-minimal
run() { printf '\n\033[1m$ vzpkg %s\033[0m\n' "$*"; "$vzpkg" --root "$root" "$@"; }
clean() { "$vzpkg" --root "$root" -q -y ct destroy --force web >/dev/null 2>&1 || true; rm -rf "$root"; }
trap clean EXIT

# The first version is built from the release alone; the update then brings what security and updates hold.
"$vzpkg" --root "$root" -q new-template "$template" 2>/dev/null || true
repositories=$root/template/debian/13/x86_64/config/os/default/repositories
cp "$repositories" "$repositories.all"
grep -vE 'trixie-(security|updates)' "$repositories.all" >"$repositories"
run create-cache "$template"
run ct create web --template "$template"
run ct start web
run ct exec web -- sh -c 'cat /etc/debian_version; dpkg -l | grep -c ^ii; echo "my change" >/etc/motd'
mv "$repositories.all" "$repositories"
run update "$template"
run ct stop web
run ct relink web
run ct start web
run ct exec web -- sh -c 'cat /etc/motd; dpkg --audit && echo "dpkg is content"'
run ct stop web
run rollback web
run rollback "$template" --reason "demo"
run list --cached
run history "$template"
run ct list
run ct destroy --force web

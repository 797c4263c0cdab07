#!/usr/bin/env bash
# Many containers of one small distribution, which is made here from the host's shell and dpkg: what listing them costs,
# taking all of them to another version and back, moving one that runs, and the disk that an unused one takes. Called by
# bench.sh with VZPKG, WORK and RUNS; alone: VZPKG=PATH [CONTAINERS=1000] tests/scripts/bench-containers.sh
set -euo pipefail
clear=
[ -n "${WORK:-}" ] || { WORK=$(mktemp -d "${VZPKG_BENCH_DIR:-/var/tmp}/vzpkg-bench.XXXXXX"); clear=$WORK; chmod 755 "$WORK"; }
export VZPKG_CONFIG=${VZPKG_CONFIG:-/nonexistent} VZPKG_RUN_DIRECTORY=${VZPKG_RUN_DIRECTORY:-$WORK/run} RUNS=${RUNS:-5}
count=${CONTAINERS:-1000} template=tiny-1-x86_64 root=$WORK/many
. "$(dirname "$(realpath "$0")")/bench-lib.sh"
vz="$VZPKG --root $root -q"
trap '$vz ct destroy --force c1 2>/dev/null || true; [ -z "$clear" ] || rm -rf --one-file-system "$clear"' EXIT
mkdir -p "$WORK"; cd "$WORK"

# A program of the host with the libraries it needs, into the base.
take() { # PLACE NAME
    local path library to; path=$(realpath "$(command -v "$2")")
    cp "$path" "tiny-base/usr/$1/$2"
    for library in $(ldd "$path" 2>/dev/null | grep -o '/[^ ]*'); do
        to=tiny-base/usr/${library#/}; to=${to/usr\/usr\//usr\/}
        mkdir -p "$(dirname "$to")"; cp -n "$(realpath "$library")" "$to"
    done
}
package() { # NAME VERSION DIRECTORY FIELD
    printf 'Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: Bench <bench@example.org>\nDescription: %s\n%s' \
        "$1" "$2" "$1" "${4:+$4$'\n'}" >"$3/DEBIAN/control"
    (cd "$3" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
    dpkg-deb --root-owner-group -Znone -b "$3" tiny >/dev/null
}
rm -rf tiny-base tiny; mkdir -p tiny tiny-base/{DEBIAN,etc,tmp,run,proc,sys,dev,usr/{bin,sbin,lib,lib64}} tiny-base/var/{lib/dpkg,log}
for name in bin lib lib64 sbin; do ln -s "usr/$name" "tiny-base/$name"; done
ln -s dash tiny-base/usr/bin/sh
for program in dash dpkg dpkg-deb dpkg-query dpkg-split dpkg-divert dpkg-trigger tar rm ln mkdir cat cp mv chmod chown \
    sleep touch sed grep id env diff; do take bin "$program"; done
for program in ldconfig start-stop-daemon chroot; do take sbin "$program"; done
echo 'root:x:0:0:root:/root:/bin/sh' >tiny-base/etc/passwd; echo 'root:x:0:' >tiny-base/etc/group; chmod 1777 tiny-base/tmp
package tiny-base 1 tiny-base "Essential: yes"
hello() { # VERSION
    mkdir -p tiny-app/{DEBIAN,usr/bin}
    printf '#!/bin/sh\necho %s\n' "$1" >tiny-app/usr/bin/hello; chmod 755 tiny-app/usr/bin/hello
    package hello "$1" tiny-app; index tiny
}

hello 1
eval "$(aside "$root")"; config=$root/template/tiny/1/x86_64/config/os/default; mkdir -p "$config"
echo "[trusted=yes] file://$WORK/tiny ./" >"$config/repositories"
echo dpkgx64 >"$config/package_manager"; echo debian >"$config/distribution"; echo hello >"$config/packages"
$vz create-cache "$template"
for ((i = 1; i <= count; i++)); do $vz ct create "c$i" --template "$template" --net none; done
sync
used=$(for ((i = 1; i <= count; i++)); do du -s --block-size=1 "$root/private/c$i" | cut -f1; done | sort -n | tail -1)
hello 2
$vz update "$template" --refresh

measure list.csv --shell=none -n list "$vz ct list"
back="$vz rollback $template --to 1 --containers" forward="$vz rollback $template --to 2 --containers"
$vz rollback "$template" --to 1
measure back.csv --shell=none --prepare "$forward" -n back "$back"
$forward
measure forward.csv --shell=none --prepare "$back" -n forward "$forward"
on=$($vz ct list | grep -c "tiny-1-x86_64@2 ")
[ "$on" = "$count" ] || { echo "NOT MEASURED: only $on of $count containers moved" >&2; exit 1; }

# How long it stands still is told by the command itself.
$vz ct start c1
still() { "$VZPKG" --root "$root" ct relink c1 --to "@$1" 2>&1 | sed -n 's/.*stood still for \([0-9.]*\) ms.*/\1/p'; }
still 1 >/dev/null
for ((i = 0; i < RUNS * 4; i++)); do still 2; still 1; done | sort -g >still.txt
[ "$(wc -l <still.txt)" = $((RUNS * 8)) ] || { echo "NOT MEASURED: a live relink failed" >&2; exit 1; }

row() { # WHAT VALUE DIGITS UNIT FACTOR
    awk -v what="$1" -v value="$2" -v digits="$3" -v unit="$4" -v factor="$5" \
        'BEGIN { printf "| %s | %.*f %s |\n", what, digits, value * factor, unit }'
}
echo; echo "### $count containers of one template, median of $RUNS"; echo
echo "| | |"; echo "|---|---:|"
row "ct list" "$(median list.csv list)" 1 ms 1000
row "rollback of the template with all its stopped containers" "$(median back.csv back)" 2 s 1
row "forward again with all of them" "$(median forward.csv forward)" 2 s 1
row "live relink: how long the container stands still, median of $((RUNS * 8))" "$(sed -n "$((RUNS * 4))p" still.txt)" 1 ms 1
row "the same, the longest" "$(tail -1 still.txt)" 1 ms 1
row "private bytes of a container before its first start, the most" "$used" 1 KiB 0.0009765625

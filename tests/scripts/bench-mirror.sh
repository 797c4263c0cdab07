#!/usr/bin/env bash
# Mirrors beside wget, apt-mirror and debmirror on one web server of this machine, in one run; prints Markdown.
# Called by bench.sh, or alone: tests/scripts/bench-mirror.sh PATH-OF-VZPKG. RUNS (3), PACKAGES (300), KILOBYTES (1000).
set -euo pipefail
here=$(dirname "$(realpath "$0")")
VZPKG=${VZPKG:-$(realpath "${1:?usage: tests/scripts/bench-mirror.sh PATH-OF-VZPKG}")}
own=${WORK:+no}
WORK=${WORK:-/var/tmp/vzpkg-bench-mirror.$$}/mirrors
RUNS=${RUNS:-3} PACKAGES=${PACKAGES:-300} KILOBYTES=${KILOBYTES:-1000}
export VZPKG_CONFIG=/nonexistent GNUPGHOME=$WORK/gnupg
mkdir -p "$WORK/gnupg" "$WORK/nginx"
chmod 700 "$WORK/gnupg"
cd "$WORK"
clean() {
    [ ! -e nginx/pid ] || kill "$(cat nginx/pid)"
    gpgconf --kill all 2>/dev/null || true
    if [ -z "$own" ]; then rm -rf "$(dirname "$WORK")"; fi
}
trap clean EXIT

# An archive of packages of random bytes: nothing is gained by packing them.
make_archive() {
    local number
    mkdir -p www/debian/pool/main www/debian/dists/stable/main/binary-amd64 tree/DEBIAN tree/usr/share/p
    for number in $(seq "$PACKAGES"); do
        head -c "${KILOBYTES}K" /dev/urandom >tree/usr/share/p/content
        printf 'Package: p%s\nVersion: 1\nArchitecture: amd64\nMaintainer: m <m@example.org>\nDescription: p\n' "$number" \
            >tree/DEBIAN/control
        dpkg-deb --root-owner-group -Znone -b tree www/debian/pool/main/"p${number}_1_amd64.deb" >/dev/null
    done
    cd www/debian
    apt-ftparchive packages pool >dists/stable/main/binary-amd64/Packages
    gzip -k dists/stable/main/binary-amd64/Packages
    apt-ftparchive -o APT::FTPArchive::Release::Suite=stable -o APT::FTPArchive::Release::Codename=stable \
        -o APT::FTPArchive::Release::Origin=bench -o APT::FTPArchive::Release::Components=main \
        -o APT::FTPArchive::Release::Architectures=amd64 release dists/stable >Release.new
    mv Release.new dists/stable/Release
    gpg --batch --quiet --passphrase '' --quick-generate-key bench rsa3072 sign never 2>/dev/null
    gpg --batch --quiet --export bench >"$WORK/bench.gpg"
    gpg --batch --quiet --clearsign -o dists/stable/InRelease dists/stable/Release
    gpg --batch --quiet --detach-sign --armor -o dists/stable/Release.gpg dists/stable/Release
    cd "$WORK"
    for number in $(seq 20); do ln -s debian "www/r$number"; done
    (cd www && find debian -type f ! -name Release.gpg) >names
    sed "s|^|$url/|" names >list
}

# apt-mirror drops port numbers, so the server has an address of its own instead.
address=127.77.0.1
url=http://$address
make_archive
cat >nginx.conf <<END
pid $WORK/nginx/pid; error_log $WORK/nginx/error.log; worker_processes 1;
events {}
http { access_log off; sendfile on; client_body_temp_path $WORK/nginx/a; proxy_temp_path $WORK/nginx/b;
fastcgi_temp_path $WORK/nginx/c; uwsgi_temp_path $WORK/nginx/d; scgi_temp_path $WORK/nginx/e;
server { listen $address:80; root $WORK/www; } }
END
chmod -R a+rX "$WORK/www"; chmod a+x "$WORK" "$(dirname "$WORK")"
nginx -c "$WORK/nginx.conf" -e "$WORK/nginx/error.log"

add() { "$VZPKG" --root "$1" -q mirror add "$2" "$url/$3" --suites stable --arch amd64 --keyring "$WORK/bench.gpg"; }
cat >apt-mirror.list <<END
set base_path $WORK/am
set nthreads 20
set _tilde 0
set run_postmirror 0
deb-amd64 $url/debian stable main
END
first="rm -rf $WORK/vz; mkdir $WORK/vz"
bytes=$(du -sm www/debian | cut -f1)
measure() { hyperfine --show-output "$@" >hyperfine.log 2>&1 || { cat hyperfine.log >&2; exit 1; }; }
measure --runs "$RUNS" --warmup 1 --export-markdown first.md \
    --prepare "rm -rf $WORK/wget; sync" -n "wget, the same files" "wget -q -x -nH -P $WORK/wget -i $WORK/list; sync -f $WORK/wget" \
    --prepare "rm -rf $WORK/wget; sync" -n "wget, the same files, then sha256sum on all cores" \
    "wget -q -x -nH -P $WORK/wget -i $WORK/list; cd $WORK/wget; xargs -P $(nproc) -n 20 -a $WORK/names sha256sum; sync -f $WORK/wget" \
    --prepare "rm -rf $WORK/am; mkdir -p $WORK/am/mirror $WORK/am/skel $WORK/am/var; sync" -n apt-mirror \
    "apt-mirror $WORK/apt-mirror.list" \
    --prepare "rm -rf $WORK/dm; sync" -n debmirror \
    "debmirror --method=http --host=$address --root=debian --dist=stable --section=main --arch=amd64 --nosource \
        --no-check-gpg --rsync-extra=none --diff=none $WORK/dm" \
    --prepare "$first; $(declare -p VZPKG WORK url); $(declare -f add); add $WORK/vz m debian; sync" -n "vzpkg mirror sync" \
    "$VZPKG --root $WORK/vz -q mirror sync m" --shell bash
for place in wget am dm vz/packages; do
    count=$(find "$place" -name '*.deb' | wc -l)
    [ "$count" = "$PACKAGES" ] || { echo "$place has $count packages instead of $PACKAGES" >&2; exit 1; }
done
echo; echo "### First sync of $PACKAGES packages, $bytes MB, from nginx on this machine"; echo
cat first.md

rm -rf vz20; mkdir vz20
for number in $(seq 20); do add "$WORK/vz20" "m$number" "r$number"; done
"$VZPKG" --root "$WORK/vz20" -q mirror sync
measure --runs "$((RUNS * 3))" --warmup 1 --export-markdown same.md \
    -n "vzpkg mirror sync, nothing new" "$VZPKG --root $WORK/vz20 -q mirror sync"
echo; echo "### Twenty repositories that have not changed"; echo
cat same.md

echo; echo "### Peak memory"; echo
echo "| what | peak |"; echo "|:---|---:|"
peak() {
    local name=$1; shift
    /usr/bin/time -f %M -o peak "$@"
    echo "| $name | $(tail -1 peak) KiB |"
}
rm -rf vz; mkdir vz; add "$WORK/vz" m debian
peak "first sync of the archive above" "$VZPKG" --root "$WORK/vz" -q mirror sync m
if server=$("$here/mirror-reachable.sh" --url 2>/dev/null) && [ -n "$server" ]; then
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    real() { "$VZPKG" --root "$WORK/vz" -q mirror add "$1" "$server" --suites bookworm --arch amd64 --keyring $keyring "${@:2}"; }
    real all --on-demand
    peak "all metadata of bookworm main" "$VZPKG" --root "$WORK/vz" -q mirror sync all
    real some --packages hello
    peak "the same, filtered: hello and what it needs" "$VZPKG" --root "$WORK/vz" -q mirror sync some
else
    echo; echo "NOT MEASURED: bookworm; the Debian mirror of this host cannot be reached"
fi

#!/usr/bin/env bash
# Bootstrap of the real CentOS 7.6 set: vzpkg and dnf --installroot. Called by bench.sh with VZPKG, WORK and RUNS.
set -euo pipefail
fixtures=${VZPKG_FIXTURES:-$(dirname "$(realpath "$0")")/../../../shared/fixtures}
[ -d "$fixtures/rpms" ] || { echo "NOT MEASURED: no real rpm packages in $fixtures (VZPKG_FIXTURES)"; exit 0; }
. "$(dirname "$(realpath "$0")")/bench-lib.sh"
cd "$WORK"
mkdir -p el7
cp "$fixtures"/rpms/centos-7.6.1810-min/*.rpm "$fixtures"/rpms/stand-ins/glibc-common-2.17-260*.rpm el7/
createrepo_c -q el7
os=$WORK/el/template/el/7/x86_64/config/os/default
mkdir -p "$os"
echo rpm49db5x64 >"$os/package_manager"
echo "bash rpm coreutils centos-release" >"$os/packages"
echo "[trusted=yes] file://$WORK/el7" >"$os/repositories"
cp -a el/template el-template
printf '[el7]\nname=el7\nbaseurl=file://%s/el7\ngpgcheck=0\n' "$WORK" >el7.repo
fresh="$(aside "$WORK/el"); mkdir $WORK/el; cp -a $WORK/el-template $WORK/el/template"
hyperfine --runs "$RUNS" --warmup 1 --export-markdown el7.md --style none 2>/dev/null >/dev/null \
    --prepare "$(aside "$WORK/dnf")" -n "dnf --installroot" \
    "dnf -q -y --installroot=$WORK/dnf --setopt=reposdir=/nonexistent --setopt=cachedir=$WORK/dnfcache --repofrompath=el7,file://$WORK/el7 --nogpgcheck --releasever=7 install bash rpm coreutils centos-release" \
    --prepare "$fresh" -n "vzpkg create-cache, nothing imported" "$VZPKG --root $WORK/el -q create-cache el-7-x86_64"
eval "$fresh"; "$VZPKG" --root "$WORK/el" -q create-cache el-7-x86_64
hyperfine --runs "$RUNS" --warmup 1 --export-markdown el7-imported.md --style none 2>/dev/null >/dev/null \
    -n "vzpkg update --rebuild, packages imported" "$VZPKG --root $WORK/el -q update --rebuild el-7-x86_64"
echo; echo "### CentOS 7.6, local packages"; echo
cat el7.md; tail -n +3 el7-imported.md

# The metadata of CentOS Stream 9, 18,774 packages: read once (53 MB of XML in AppStream alone), then solved with.
os=$WORK/s9/template/stream/9/x86_64/config/os/default
mkdir -p "$os"
echo rpm416x64 >"$os/package_manager"
echo "bash coreutils httpd" >"$os/packages"
echo platform:el9 >"$os/modules"
for part in baseos appstream; do
    echo "[trusted=yes] file://$fixtures/repodata/centos-stream-9-$part" >>"$os/repositories"
    repos+=("--repofrompath=$part,file://$fixtures/repodata/centos-stream-9-$part")
done
dnf="dnf -q --assumeno --installroot=$WORK/dnf9 --setopt=reposdir=/nonexistent --setopt=cachedir=$WORK/dnf9cache ${repos[*]} --nogpgcheck --releasever=9 install bash coreutils httpd"
vzpkg="$VZPKG --root $WORK/s9 -q create-cache -n stream-9-x86_64"
hyperfine --runs "$RUNS" --warmup 1 --export-markdown s9.md --style none --ignore-failure 2>/dev/null >/dev/null \
    --prepare "rm -rf $WORK/dnf9cache; sync" -n "dnf --assumeno, nothing cached" "$dnf" \
    --prepare "rm -rf $WORK/s9/index; sync" -n "vzpkg create-cache -n, nothing cached" "$vzpkg"
hyperfine --runs "$((RUNS * 5))" --warmup 2 --export-markdown s9-cached.md --style none --ignore-failure 2>/dev/null >/dev/null \
    -n "dnf --assumeno -C" "$dnf -C" -n "vzpkg create-cache -n -C" "$vzpkg -C"
"$VZPKG" --root "$WORK/s9" create-cache -n stream-9-x86_64 2>/dev/null | grep -q httpd
echo; echo "### CentOS Stream 9, a transaction for httpd on its metadata"; echo
cat s9.md; tail -n +3 s9-cached.md

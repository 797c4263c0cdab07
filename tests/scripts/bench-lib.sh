# What the benchmarks share: sourced by them, in WORK, with RUNS set.

# A command that renames a directory away, for nothing is deleted while a run is measured.
aside() { echo "[ ! -e $1 ] || mv $1 \$(mktemp -d $WORK/old.XXXXXX)/"; }
# Measures into a table; every command must succeed, and what a failed one said is shown.
measure() {
    hyperfine --runs "$RUNS" --warmup 1 --show-output --export-csv "$1" "${@:2}" >measure.log 2>&1 ||
        { tail -40 measure.log >&2; echo "NOT MEASURED: a command failed" >&2; exit 1; }
}
median() { awk -F, -v name="$2" '$1 == name { print $4; found = 1 } END { exit !found }' "$1"; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f×", a / b }'; }
# The index of a directory of deb packages.
index() {
    local release=APT::FTPArchive::Release
    (cd "$1" && apt-ftparchive packages . >Packages && apt-ftparchive -o $release::Suite=trixie -o $release::Codename=trixie release . >../Release && mv ../Release .)
}

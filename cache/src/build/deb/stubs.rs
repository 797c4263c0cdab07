//! What stands in the way of maintainer scripts during a build: services do not start, users and groups get the ids of
//! the plan, and no database cluster is made.
//!
//! Most of it lies on a file system of the session, first in `PATH`, and never meets the tree. Only the policy,
//! `start-stop-daemon` and `dpkg-preconfigure` are called by fixed paths and are scaffolding.

use super::{perl, shortcuts};
use crate::build::{Assembly, BuildError, Plan, shown};
use crate::store::PackageManifest;
use std::fmt::Write as _;
use std::path::Path;
use vzpkg_runtime::sandbox::Bind;

/// Where the programs and the ids are seen.
const INSIDE: &str = "/run/vzpkg/build";

const PATH: &str = "/run/vzpkg/build:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const POLICY: &str = "#!/bin/sh\nexit 101\n";

const START_STOP_DAEMON: &str =
    "#!/bin/sh\necho 'start-stop-daemon: services do not start during a build' >&2\nexit 0\n";

/// apt's hook of debconf (`70debconf`): perl, and a second look at all of apt's records, to find the questions of packages
/// before they are unpacked; a quarter of a small update. Where none of them has any there is nothing to find.
const PRECONFIGURE: &str = "#!/bin/sh\nexit 0\n";

/// Debian's own front ends take ids from a pool. `--conf` replaces their configuration, so it is copied first.
const ADDUSER: &str = "#!/bin/sh
conf=/run/vzpkg-adduser.conf
{ cat /etc/adduser.conf 2>/dev/null; echo; echo UID_POOL=/run/vzpkg/build/uid.conf; echo GID_POOL=/run/vzpkg/build/gid.conf; } > $conf
exec /usr/sbin/${0##*/} --conf $conf \"$@\"
";

/// The tools below them, which also rpm's scripts call: an id is added for a system account that names none.
const USERADD: &str = "#!/bin/sh
tool=${0##*/} system= given= name=
for word; do
    name=$word
    case $word in
        --system) system=1 ;;
        --uid | --uid=* | --gid=* | --defaults) given=1 ;;
        --gid) [ $tool = useradd ] || given=1 ;;
        --*) ;;
        -*r*) system=1 ;;
    esac
    case $tool$word in
        useradd-[!-]*u* | useradd-u* | useradd-D* | groupadd-[!-]*g* | groupadd-g*) given=1 ;;
    esac
done
case $tool in
    useradd) option=--uid pool=/run/vzpkg/build/uid.conf ;;
    *) option=--gid pool=/run/vzpkg/build/gid.conf ;;
esac
if [ -n \"$system\" ] && [ -z \"$given\" ]; then
    while IFS=: read -r known id; do
        [ \"$known\" != \"$name\" ] || exec /usr/sbin/$tool $option \"$id\" \"$@\"
    done < $pool
fi
exec /usr/sbin/$tool \"$@\"
";

const NO_CLUSTER: &str = "#!/bin/sh\necho 'no cluster is made during a build' >&2\nexit 0\n";

/// Adds everything to an assembly; its files go below `staging`.
pub(super) fn add(
    plan: &Plan<'_>,
    assembly: &mut Assembly,
    staging: &Path,
) -> Result<(), BuildError> {
    let mut scaffold = vec![
        ("usr/sbin/policy-rc.d", POLICY, false),
        ("usr/sbin/start-stop-daemon", START_STOP_DAEMON, true),
        ("sbin/start-stop-daemon", START_STOP_DAEMON, true),
    ];
    if !plan.incoming.iter().any(|package| asks_questions(package)) {
        scaffold.push(("usr/sbin/dpkg-preconfigure", PRECONFIGURE, true));
    }
    for (path, content, only_over) in scaffold {
        let path = vzpkg_metadata::RelPath::parse(path.as_bytes())?;
        if !only_over || assembly.tree.get(&path).is_some() {
            assembly.scaffold.add(path, 0o755, content);
        }
    }
    let programs = shown::directory(staging, "programs")?;
    let ours = [
        ("adduser", ADDUSER),
        ("addgroup", ADDUSER),
        ("useradd", USERADD),
        ("groupadd", USERADD),
        ("pg_createcluster", NO_CLUSTER),
    ];
    for (name, content) in ours {
        shown::file(&programs, name, 0o755, content.as_bytes())?;
    }
    for (name, content) in shortcuts::shortcuts() {
        shown::file(&programs, name, 0o755, content.as_bytes())?;
    }
    if plan.base.is_none() {
        for (name, content) in perl::add(plan, assembly)? {
            shown::file(&programs, name, 0o755, &content)?;
        }
    }
    let (mut users, mut groups) = (String::new(), String::new());
    for (name, ids) in &plan.ids {
        for (pool, id) in [(&mut users, ids.uid), (&mut groups, ids.gid)] {
            if let Some(id) = id {
                // Writing to a String cannot fail.
                let _ = writeln!(pool, "{name}:{id}");
            }
        }
    }
    shown::file(&programs, "uid.conf", 0o644, users.as_bytes())?;
    shown::file(&programs, "gid.conf", 0o644, groups.as_bytes())?;
    assembly.binds.push(Bind::read_only(programs, INSIDE));
    let sysusers = shown::sysusers(plan, staging, "/run/sysusers.d".into())?;
    assembly.binds.extend(sysusers);
    assembly
        .environment
        .insert("PATH".to_owned(), PATH.to_owned());
    Ok(())
}

/// Whether debconf would find something in a package.
fn asks_questions(package: &PackageManifest) -> bool {
    ["config", "templates"]
        .iter()
        .any(|name| package.control.contains_key(*name))
}

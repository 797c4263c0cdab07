//! Users and groups get the ids of the template, whichever way a package makes them:
//!
//! * scriptlets find `useradd` and `groupadd` of ours first, which add the id to the command line and run the
//!   distribution's own; a command that names an id itself is left alone;
//! * `systemd-sysusers`, in scriptlets and file triggers, finds in `/run` the packages' files with the ids filled in;
//! * rpm 4.19 and later makes them itself, by the program that `%__systemd_sysusers` names: one of ours stands before it
//!   and fills the ids in.
//!
//! rpm gives scriptlets the `PATH` of the macro `_install_script_path`. A scriptlet that writes `/usr/sbin/useradd` in
//! full is not reached; the ids of such users are found afterwards (`ids::unforeseen`).

use super::{COMMANDS, TARGET};
use crate::build::{BuildError, Plan, shown};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use vzpkg_metadata::lock::Ids;
use vzpkg_runtime::sandbox::Bind;

/// Runs in the target's own shell, and with nothing but its builtins: coreutils may not be installed yet.
const SCRIPT: &str = r#"#!/bin/sh
# The ids of the template, for commands that leave them open.
kind=@KIND@ option=@OPTION@ long=@LONG@
for argument; do
    case $argument in
    --$long|--$long=*) exec /usr/sbin/@NAME@ "$@" ;;
    --*) ;;
    -*$option*) exec /usr/sbin/@NAME@ "$@" ;;
    esac
done
while read -r of name id; do
    if [ "$of" = "$kind" ] && [ "$name" = "$argument" ]; then
        exec /usr/sbin/@NAME@ -$option "$id" "$@"
    fi
done <@COMMANDS@/ids
exec /usr/sbin/@NAME@ "$@"
"#;

/// Commands by name, what they make, and how an id is given to them.
const WRAPPED: [(&str, &str, &str, &str); 3] = [
    ("useradd", "user", "u", "uid"),
    ("adduser", "user", "u", "uid"),
    ("groupadd", "group", "g", "gid"),
];

/// What rpm calls for the `sysusers.d` lines of a package, from outside of the target, in the tools' own shell. Where the
/// distribution has rpm make no users, none are made. `--replace` tells which file the lines are of, so that what stands
/// before that file may win: here that would be the same lines with the ids filled in.
const SYSUSERS: &str = r#"#!/bin/sh
program=$(rpm --eval '%{?__systemd_sysusers}')
count=$#
while [ "$count" -gt 0 ]; do
    case $1 in
    --replace) shift; count=$((count - 1)) ;;
    --replace=*) ;;
    *) set -- "$@" "$1" ;;
    esac
    shift
    count=$((count - 1))
done
known() {
    id=
    while read -r of name number; do
        if [ "$of" = "$1" ] && [ "$name" = "$2" ]; then id=$number; fi
    done <@COMMANDS@/ids
}
lines() {
    while read -r kind account open rest || [ -n "$kind" ]; do
        case $kind$open in
        g | g-)
            known group "$account"
            open=${id:--} ;;
        u | u! | u- | u!-)
            known group "$account"
            group=$id
            known user "$account"
            if [ -n "$id" ] && [ -n "$group" ] && [ "$id" != "$group" ]; then
                printf 'g %s %s\n' "$account" "$group"
                id=$id:$group
            fi
            open=${id:--} ;;
        u-:* | u!-:*)
            known user "$account"
            open=${id:--}${open#-} ;;
        esac
        printf '%s %s %s %s\n' "$kind" "$account" "$open" "$rest"
    done
}
lines | if [ -n "$program" ]; then $program "$@"; else while read -r kind; do :; done; fi
"#;

/// The name under which [`SYSUSERS`] is called.
pub(super) const SYSUSERS_COMMAND: &str = "sysusers";

/// Writes the commands and the table of ids below `staging`, to be seen in the target and, for rpm itself, in the tools.
pub(super) fn commands(plan: &Plan<'_>, staging: &Path) -> Result<Vec<Bind>, BuildError> {
    let directory = shown::directory(staging, "commands")?;
    write_commands(&directory, &plan.ids, COMMANDS)?;
    let in_target = |path: &str| Path::new(TARGET).join(path.trim_start_matches('/'));
    let mut binds = vec![
        Bind::read_only(&directory, in_target(COMMANDS)),
        Bind::read_only(&directory, COMMANDS),
    ];
    binds.extend(shown::sysusers(
        plan,
        staging,
        in_target("/run/sysusers.d"),
    )?);
    Ok(binds)
}

/// Writes everything into `directory`, which is seen as `inside`.
fn write_commands(
    directory: &Path,
    ids: &BTreeMap<String, Ids>,
    inside: &str,
) -> Result<(), BuildError> {
    for (name, kind, option, long) in WRAPPED {
        let script = SCRIPT
            .replace("@KIND@", kind)
            .replace("@OPTION@", option)
            .replace("@LONG@", long)
            .replace("@NAME@", name)
            .replace("@COMMANDS@", inside);
        shown::file(directory, name, 0o755, script.as_bytes())?;
    }
    let script = SYSUSERS.replace("@COMMANDS@", inside);
    shown::file(directory, SYSUSERS_COMMAND, 0o755, script.as_bytes())?;
    let mut table = String::new();
    for (name, ids) in ids {
        // Writing to a String cannot fail.
        if let Some(uid) = ids.uid {
            let _ = writeln!(table, "user {name} {uid}");
        }
        if let Some(gid) = ids.gid {
            let _ = writeln!(table, "group {name} {gid}");
        }
    }
    shown::file(directory, "ids", 0o644, table.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// What the distribution's program is called with and reads, where rpm calls ours so.
    fn handed_on(program: &str, arguments: &[&str], lines: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path().to_str().unwrap();
        let made = directory.path().join("made");
        std::fs::create_dir(&made).unwrap();
        let ids = |uid, gid| Ids { uid, gid };
        let known = BTreeMap::from([
            ("svc".to_owned(), ids(Some(412), Some(412))),
            ("odd".to_owned(), ids(Some(413), Some(414))),
            ("staff".to_owned(), ids(None, Some(415))),
        ]);
        write_commands(&made, &known, here).unwrap();
        let rpm = format!("#!/bin/sh\necho '{program}'\n");
        shown::file(&made, "rpm", 0o755, rpm.as_bytes()).unwrap();
        let own = b"#!/bin/sh\necho \"$@\"\nwhile read -r line; do echo \"$line\"; done\n";
        shown::file(&made, "own", 0o755, own).unwrap();
        // By a process of its own: a child of another test may hold open what this one writes, and nobody runs that then.
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(made.join(".")).arg(here);
        assert!(copy.status().unwrap().success());
        let mut child = Command::new(directory.path().join(SYSUSERS_COMMAND))
            .args(arguments)
            .env("PATH", format!("{here}:/usr/bin:/bin"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(lines.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn open_ids_that_rpm_itself_asks_for_are_those_of_the_template() {
        let arguments = [
            "--replace",
            "/usr/lib/sysusers.d/a.conf",
            "--root",
            "/t",
            "-",
        ];
        let lines = "u svc - \"A \\ service\" /var/lib/svc\nu! odd -\nu svc -:65534 -\ng staff -\nu root 0:0 root\n\
                     m svc staff\nu stranger - x\n";
        let expected = "--root /t -\nu svc 412 \"A \\ service\" /var/lib/svc\ng odd 414\nu! odd 413:414\n\
                        u svc 412:65534 -\ng staff 415\nu root 0:0 root\nm svc staff\nu stranger - x\n";
        assert_eq!(handed_on("own", &arguments, lines), expected);
    }

    #[test]
    fn a_distribution_whose_rpm_makes_no_users_has_none_made() {
        assert_eq!(handed_on("", &["--root", "/t", "-"], "u svc -\n"), "");
    }
}

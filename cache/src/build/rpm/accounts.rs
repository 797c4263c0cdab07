//! Users and groups get the ids of the template: scriptlets find `useradd` and `groupadd` of ours first, which add the
//! id to the command line and run the distribution's own. A command that names an id itself is left alone.
//!
//! rpm gives scriptlets the `PATH` of the macro `_install_script_path`. A scriptlet that writes `/usr/sbin/useradd` in
//! full is not reached; the ids of such users are found afterwards (`ids::unforeseen`).

use super::{COMMANDS, TARGET};
use crate::build::{BuildError, Plan};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use vzpkg_metadata::durable::FileError;
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

/// Writes the commands and the table of ids below `staging`, to be seen in the target.
pub(super) fn commands(plan: &Plan<'_>, staging: &Path) -> Result<Bind, BuildError> {
    let directory = staging.join("commands");
    fs::DirBuilder::new()
        .mode(0o755)
        .create(&directory)
        .map_err(FileError::on("create directory", &directory))?;
    for (name, kind, option, long) in WRAPPED {
        let script = SCRIPT
            .replace("@KIND@", kind)
            .replace("@OPTION@", option)
            .replace("@LONG@", long)
            .replace("@NAME@", name)
            .replace("@COMMANDS@", COMMANDS);
        write(&directory.join(name), 0o755, &script)?;
    }
    let mut table = String::new();
    for (name, ids) in &plan.ids {
        // Writing to a String cannot fail.
        if let Some(uid) = ids.uid {
            let _ = writeln!(table, "user {name} {uid}");
        }
        if let Some(gid) = ids.gid {
            let _ = writeln!(table, "group {name} {gid}");
        }
    }
    write(&directory.join("ids"), 0o644, &table)?;
    let inside = Path::new(COMMANDS)
        .strip_prefix("/")
        .unwrap_or(Path::new(""));
    Ok(Bind::read_only(directory, Path::new(TARGET).join(inside)))
}

fn write(path: &Path, mode: u32, text: &str) -> Result<(), FileError> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(FileError::on("write", path))
}

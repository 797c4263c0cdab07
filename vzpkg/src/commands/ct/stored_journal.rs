//! What `vzpkg ct logs` prints of a container with systemd that is stopped: the journal in its private area.
//!
//! The files are the container's. They are opened without following its links, and given to the host's `journalctl` as what
//! is open here: by their names it would find whatever is there by then.

use super::Context;
use crate::cli::CtLogs;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::node;
use std::io;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};
use vzpkg_metadata::durable::FileError;
use vzpkg_runtime::container::{ContainerPaths, journal_files};

/// Prints the journal that a stopped container has kept; `false` where it has kept none.
///
/// # Errors
/// [`Kind::Environment`] where it cannot be opened, [`Kind::Unmet`] where it cannot be read here.
pub(super) fn print(
    context: &Context,
    arguments: &CtLogs,
    paths: &ContainerPaths,
) -> CommandResult<bool> {
    let files = journal_files(&paths.upper())?;
    if files.is_empty() {
        return Ok(false);
    }
    let mut command = Command::new("journalctl");
    command.arg("--no-pager").stdin(Stdio::null());
    let lines = arguments.tail.map(|lines| lines.to_string());
    command.arg(format!("--lines={}", lines.as_deref().unwrap_or("all")));
    let process = std::process::id();
    for file in &files {
        command.arg(format!("--file=/proc/{process}/fd/{}", file.as_raw_fd()));
    }
    let status = match command.status() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(unreadable(paths, "this node has no journalctl"));
        }
        status => status.map_err(FileError::on("run", "journalctl"))?,
    };
    node::check_interrupt(context)?;
    if status.success() {
        return Ok(true);
    }
    Err(unreadable(paths, &format!("journalctl: {status}")))
}

fn unreadable(paths: &ContainerPaths, why: &str) -> CommandError {
    let id = &paths.id;
    let text = format!("the journal of stopped container `{id}` cannot be read here: {why}");
    CommandError::message(Kind::Unmet, text)
        .hint(format!("it can be read when it runs: vzpkg ct start {id}"))
        .hint(format!(
            "what process 1 printed: vzpkg ct logs --console {id}"
        ))
}

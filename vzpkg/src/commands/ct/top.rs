//! `vzpkg ct top CT`: the processes of a running container.

use super::Context;
use crate::cli::CtTop;
use crate::error::CommandResult;
use crate::ops::{containers, node};
use crate::output::table::Table;
use crate::output::{clean, duration};
use vzpkg_runtime::container::{self, ProcessInfo};

pub(super) fn run(context: &Context, arguments: &CtTop) -> CommandResult {
    node::require_root_to_look()?;
    let store = node::existing_store(context)?;
    let row = containers::row(&store, &arguments.name)?;
    let runtime = containers::runtime(context)?;
    let paths = containers::paths(context, &store, &row.id);
    let processes = container::processes(&paths, &runtime)?;
    if context.printer.is_json() {
        let list: Vec<_> = processes.iter().map(document).collect();
        let document = serde_json::json!({ "container": row.id, "processes": list });
        context.printer.json("processes", document);
        return Ok(());
    }
    let header = [
        "USER", "PID", "PPID", "HPID", "%CPU", "ELAPSED", "TIME", "MEMORY", "COMMAND",
    ];
    let mut table = Table::with_header(header);
    for column in 1..=7 {
        table = table.right(column);
    }
    for process in &processes {
        table.row([
            process
                .user
                .as_deref()
                .map_or_else(|| process.uid.to_string(), clean),
            process.pid.to_string(),
            process.parent.to_string(),
            process.host_pid.to_string(),
            format!("{:.1}", share(process)),
            duration(process.elapsed),
            duration(process.cpu),
            process.memory.to_string(),
            clean(&process.command),
        ]);
    }
    context.printer.result(table.render());
    Ok(())
}

/// The share of one processor that it used since it was started, as `ps` counts it.
fn share(process: &ProcessInfo) -> f64 {
    let elapsed = process.elapsed.as_secs_f64();
    if elapsed > 0.0 {
        process.cpu.as_secs_f64() / elapsed * 100.0
    } else {
        0.0
    }
}

fn document(process: &ProcessInfo) -> serde_json::Value {
    serde_json::json!({
        "pid": process.pid,
        "host_pid": process.host_pid,
        "parent": process.parent,
        "uid": process.uid,
        "user": process.user,
        "state": process.state,
        "cpu_seconds": process.cpu.as_secs_f64(),
        "elapsed_seconds": process.elapsed.as_secs_f64(),
        "memory_bytes": process.memory,
        "command": process.command,
    })
}

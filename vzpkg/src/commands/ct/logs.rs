//! `vzpkg ct logs CT`: the journal of a container that has systemd, else what its process 1 printed.

use super::{Context, stored_journal};
use crate::cli::CtLogs;
use crate::error::{CommandError, CommandResult, Kind};
use crate::interrupt;
use crate::ops::{containers, node};
use crate::output::{Printer, clean};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;
use vzpkg_metadata::durable::FileError;
use vzpkg_runtime::container::live::{self, Manager};
use vzpkg_runtime::container::{self, Config, ContainerPaths, ExecSpec, RunState};
use vzpkg_runtime::oci::RuntimeBinary;

/// How often a file that is followed is looked at.
const PAUSE: Duration = Duration::from_millis(100);

/// A document holds no more lines than the last of these, unless more are asked for.
const DOCUMENT_LINES: usize = 10_000;

/// A longer line is printed in pieces.
const LINE_BYTES: u64 = 1 << 20;

pub(super) fn run(context: &Context, arguments: &CtLogs) -> CommandResult {
    node::require_root_to_look()?;
    let store = node::existing_store(context)?;
    let row = containers::row(&store, &arguments.name)?;
    let paths = containers::paths(context, &store, &row.id);
    let runtime = containers::runtime(context)?;
    drop(store);
    if context.printer.is_json() && arguments.follow {
        let text = "`--follow` never ends, and a JSON document does";
        return Err(CommandError::message(Kind::Usage, text));
    }
    if !arguments.console && has_journal(&paths, &runtime)? {
        return journal(context, arguments, &paths, &runtime);
    }
    if !arguments.console
        && !context.printer.is_json()
        && container::state(&paths, &runtime)?.state == RunState::Stopped
        && stored_journal::print(context, arguments, &paths)?
    {
        return Ok(());
    }
    let path = paths.console();
    let mut console = Console::open(&path)?;
    if context.printer.is_json() {
        let tail = console.tail(arguments.tail.unwrap_or(DOCUMENT_LINES))?;
        let lines: Vec<String> = tail.iter().map(|line| text(line)).collect();
        let document =
            serde_json::json!({ "container": row.id, "source": "console", "lines": lines });
        context.printer.json("logs", document);
        return Ok(());
    }
    if let Some(lines) = arguments.tail {
        for line in console.tail(lines)? {
            print(context.printer, &line);
        }
    }
    if !console.print(context.printer)? {
        return Ok(());
    }
    if arguments.follow {
        follow(context, &mut console, &paths, &runtime)?;
    }
    Ok(())
}

/// Whether its process 1 is systemd, which keeps what services print in a journal of its own.
fn has_journal(paths: &ContainerPaths, runtime: &RuntimeBinary) -> CommandResult<bool> {
    let now = container::state(paths, runtime)?;
    let running = now.pid.filter(|_| now.state == RunState::Running);
    Ok(running.is_some_and(|init| live::manager(init) == Manager::Systemd))
}

fn journal(
    context: &Context,
    arguments: &CtLogs,
    paths: &ContainerPaths,
    runtime: &RuntimeBinary,
) -> CommandResult {
    if context.printer.is_json() {
        let text = format!(
            "the journal of `{}` is not ours to write as a document",
            paths.id
        );
        return Err(CommandError::message(Kind::Usage, text).hint(format!(
            "vzpkg ct exec {} journalctl --output json, or what process 1 printed: --console",
            paths.id
        )));
    }
    let mut argv = ["journalctl", "--no-pager"].map(str::to_owned).to_vec();
    argv.extend(arguments.follow.then(|| "--follow".to_owned()));
    let lines = arguments.tail.map(|lines| lines.to_string());
    // Without a number `--follow` would leave out everything but the last lines.
    argv.push(format!(
        "--lines={}",
        lines.unwrap_or_else(|| "all".to_owned())
    ));
    let config = Config::of(paths)?;
    let spec = ExecSpec {
        argv,
        ..ExecSpec::default()
    };
    interrupt::pass_on();
    node::check_interrupt(context)?;
    let ended = container::exec(paths, &config, &spec, runtime);
    // What ends this command ends journalctl as well.
    node::check_interrupt(context)?;
    match ended? {
        0 => Ok(()),
        code => {
            let text = format!("journalctl in container `{}` ended with {code}", paths.id);
            Err(CommandError::message(Kind::Unmet, text).hint(format!(
                "what process 1 printed: vzpkg ct logs --console {}",
                paths.id
            )))
        }
    }
}

/// What process 1 of a container prints, read from where it was left off.
struct Console<'a> {
    path: &'a Path,
    /// Nothing was printed ever.
    file: Option<BufReader<File>>,
}

impl<'a> Console<'a> {
    fn open(path: &'a Path) -> CommandResult<Self> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => Some(BufReader::new(opened.map_err(FileError::on("open", path))?)),
        };
        Ok(Self { path, file })
    }

    /// The last lines of what there is to be read now.
    fn tail(&mut self, count: usize) -> CommandResult<VecDeque<Vec<u8>>> {
        let mut lines = VecDeque::new();
        while let Some(line) = self.line()? {
            lines.push_back(line);
            if lines.len() > count {
                lines.pop_front();
            }
        }
        Ok(lines)
    }

    /// Prints what there is to be read now; `false` where nobody reads any more.
    fn print(&mut self, printer: Printer) -> CommandResult<bool> {
        while let Some(line) = self.line()? {
            if !print(printer, &line) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn line(&mut self) -> CommandResult<Option<Vec<u8>>> {
        let Some(file) = &mut self.file else {
            return Ok(None);
        };
        let mut line = Vec::new();
        let read = file.take(LINE_BYTES).read_until(b'\n', &mut line);
        let read = read.map_err(FileError::on("read", self.path))?;
        Ok((read > 0).then_some(line))
    }

    /// Whether the container was started again and prints to another file now.
    fn is_another(&self) -> bool {
        let open = self
            .file
            .as_ref()
            .and_then(|file| file.get_ref().metadata().ok());
        let named = std::fs::metadata(self.path).ok();
        match (open, named) {
            (Some(open), Some(named)) => open.ino() != named.ino(),
            (None, Some(_)) => true,
            _ => false,
        }
    }
}

/// Prints what comes until the container does not run, or the user has seen enough.
fn follow(
    context: &Context,
    console: &mut Console<'_>,
    paths: &ContainerPaths,
    runtime: &RuntimeBinary,
) -> CommandResult {
    loop {
        node::check_interrupt(context)?;
        // Asked before what it printed is read, so that its last words are.
        let runs = container::state(paths, runtime)?.state != RunState::Stopped;
        if !console.print(context.printer)? {
            return Ok(());
        }
        if console.is_another() {
            *console = Console::open(console.path)?;
        } else if !runs {
            return Ok(());
        } else {
            std::thread::sleep(PAUSE);
        }
    }
}

/// Writes to stdout; `false` where nobody reads any more.
fn print(printer: Printer, line: &[u8]) -> bool {
    printer.piece(&clean(&String::from_utf8_lossy(line)))
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line)
        .trim_end_matches('\n')
        .to_owned()
}

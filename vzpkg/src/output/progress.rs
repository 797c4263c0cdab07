//! Progress on anything longer than a second: bars on a terminal, plain lines elsewhere, JSON events on a descriptor.
//!
//! Implements the reporter traits of the libraries. They call from several threads.

use super::count::counted;
use super::printer::{Printer, Tone, clean};
use super::time::duration;
use crate::settings::Settings;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use vzpkg_cache::build::{BuildReporter, Step};
use vzpkg_cache::import::ImportReporter;
use vzpkg_metadata::transaction::PackageRef;
use vzpkg_metadata::{ByteSize, RepoId};
use vzpkg_repo_client::report::Loaded;
use vzpkg_repo_client::{FetchReporter, TransportError};

/// How often bars are drawn, at most.
const TICK: Duration = Duration::from_millis(120);

/// Draws and reports the progress of one command.
#[derive(Debug)]
pub struct Progress {
    printer: Printer,
    bars: MultiProgress,
    drawn: bool,
    events: Option<Mutex<File>>,
    fetch: Mutex<Option<Batch>>,
    stage: Mutex<Option<Stage>>,
    fetched: AtomicU64,
}

#[derive(Debug)]
struct Batch {
    bar: ProgressBar,
    files: usize,
    done: usize,
    started: Instant,
}

#[derive(Debug)]
struct Stage {
    bar: ProgressBar,
    name: String,
    started: Instant,
}

impl Progress {
    /// Progress as the settings want it.
    pub fn new(settings: &Settings, printer: Printer) -> Self {
        let target = if settings.bars {
            ProgressDrawTarget::stderr_with_hz(8)
        } else {
            ProgressDrawTarget::hidden()
        };
        let events = settings.progress_fd.and_then(|fd| {
            let opened = open_events(fd);
            opened
                .inspect_err(|error| {
                    printer.warning(format_args!(
                        "no progress events on descriptor {fd}: {error}"
                    ));
                })
                .ok()
        });
        Self {
            printer,
            bars: MultiProgress::with_draw_target(target),
            drawn: settings.bars,
            events: events.map(Mutex::new),
            fetch: Mutex::default(),
            stage: Mutex::default(),
            fetched: AtomicU64::new(0),
        }
    }

    /// Bytes that came over the network so far.
    pub fn fetched(&self) -> ByteSize {
        ByteSize(self.fetched.load(Ordering::Relaxed))
    }

    /// A status line that does not tear the bars.
    pub fn status(&self, tone: Tone, verb: &str, what: impl std::fmt::Display) {
        self.bars.suspend(|| self.printer.status(tone, verb, what));
    }

    /// A stage of work begins: a spinner or, with `total`, a bar that [`Progress::advance`] moves. It ends the one before.
    pub fn stage(&self, name: &str, total: Option<u64>) {
        self.end_stage();
        let bar = self.bars.add(match total {
            Some(total) => ProgressBar::new(total)
                .with_style(style("{prefix:>12.cyan.bold} [{bar:30}] {pos}/{len} {msg}")),
            None => ProgressBar::new_spinner()
                .with_style(style("{prefix:>12.cyan.bold} {spinner} {wide_msg}")),
        });
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(TICK);
        if !self.drawn {
            self.printer.detail(format_args!("{name:>12} …"));
        }
        self.event(&serde_json::json!({ "event": "stage", "name": name, "total": total }));
        if let Ok(mut stage) = self.stage.lock() {
            *stage = Some(Stage {
                bar,
                name: name.to_owned(),
                started: Instant::now(),
            });
        }
    }

    /// What the stage is at: `message` is shown beside the bar, which moves by `steps`.
    pub fn advance(&self, steps: u64, message: &str) {
        if let Ok(stage) = self.stage.lock()
            && let Some(stage) = stage.as_ref()
        {
            stage.bar.set_message(clean(message));
            stage.bar.inc(steps);
            self.event(&serde_json::json!({ "event": "progress", "stage": stage.name, "steps": stage.bar.position(), "message": message }));
        }
    }

    /// The stage is done. With `-v` its time is printed.
    pub fn end_stage(&self) {
        if let Ok(mut stage) = self.stage.lock()
            && let Some(stage) = stage.take()
        {
            stage.bar.finish_and_clear();
            let time = stage.started.elapsed();
            self.bars.suspend(|| {
                self.printer
                    .detail(format_args!("{:>12} {}", stage.name, duration(time)));
            });
            self.event(&serde_json::json!({ "event": "stage-end", "name": stage.name, "milliseconds": time.as_millis() }));
        }
    }

    fn event(&self, event: &serde_json::Value) {
        if let Some(events) = &self.events
            && let Ok(mut file) = events.lock()
        {
            // A reader that went away does not stop the work. In one piece: others may write there.
            drop(file.write_all(format!("{event}\n").as_bytes()));
        }
    }

    fn with_batch(&self, change: impl FnOnce(&mut Batch)) {
        if let Ok(mut batch) = self.fetch.lock()
            && let Some(batch) = batch.as_mut()
        {
            change(batch);
        }
    }
}

/// The descriptor that events go to, opened anew: it stays its owner's. At its end, for one command has several of these,
/// and in a file each would begin where the first one did.
fn open_events(fd: i32) -> io::Result<File> {
    let path = format!("/proc/self/fd/{fd}");
    OpenOptions::new().append(true).open(path)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸ ")
}

impl FetchReporter for Progress {
    fn started(&self, files: usize, bytes: ByteSize) {
        if files == 0 {
            return;
        }
        let template = "{prefix:>12.cyan.bold} [{bar:30}] {msg}  {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  ETA {eta}";
        let bar = self
            .bars
            .add(ProgressBar::new(bytes.0).with_style(style(template)));
        bar.set_prefix("Downloading");
        bar.set_message(format!("0/{files}"));
        bar.enable_steady_tick(TICK);
        if !self.drawn {
            self.printer.status(
                Tone::Plain,
                "Downloading",
                format_args!("{} ({bytes})", counted(files, "package")),
            );
        }
        self.event(&serde_json::json!({ "event": "download", "files": files, "bytes": bytes }));
        if let Ok(mut batch) = self.fetch.lock() {
            *batch = Some(Batch {
                bar,
                files,
                done: 0,
                started: Instant::now(),
            });
        }
    }

    fn progressed(&self, bytes: ByteSize) {
        self.fetched.fetch_add(bytes.0, Ordering::Relaxed);
        self.with_batch(|batch| batch.bar.inc(bytes.0));
    }

    fn lost(&self, bytes: ByteSize) {
        self.with_batch(|batch| {
            batch
                .bar
                .set_position(batch.bar.position().saturating_sub(bytes.0));
        });
    }

    fn file_finished(&self, name: &str) {
        self.with_batch(|batch| {
            batch.done += 1;
            batch
                .bar
                .set_message(format!("{}/{}", batch.done, batch.files));
        });
        self.event(&serde_json::json!({ "event": "downloaded", "file": name }));
    }

    fn finished(&self) {
        let batch = self.fetch.lock().ok().and_then(|mut batch| batch.take());
        if let Some(batch) = batch {
            // Asked before it is finished, which moves it to its end whatever came.
            let bytes = ByteSize(batch.bar.position());
            batch.bar.finish_and_clear();
            if batch.done == 0 && bytes.0 == 0 {
                return;
            }
            let files = counted(batch.done, "package");
            let time = duration(batch.started.elapsed());
            let what = format_args!("{files}, {bytes} in {time}");
            let tone = if batch.done == batch.files {
                Tone::Good
            } else {
                Tone::Warning
            };
            self.status(tone, "Downloaded", what);
        }
    }

    fn stage(&self, name: &str, steps: Option<u64>) {
        Self::stage(self, name, steps);
    }

    fn advanced(&self, steps: u64, what: &str) {
        self.advance(steps, what);
    }

    fn stage_finished(&self) {
        self.end_stage();
    }

    fn repository_started(&self, repository: &RepoId) {
        self.event(&serde_json::json!({ "event": "repository", "id": repository }));
    }

    fn repository_finished(&self, repository: &RepoId, packages: usize, loaded: Loaded) {
        let how = match loaded {
            Loaded::Cached => "as cached",
            Loaded::Unchanged => "unchanged",
            Loaded::Updated => "updated",
        };
        self.bars.suspend(|| {
            self.printer.detail(format_args!(
                "{:>12} {repository}: {}, {how}",
                "Repository",
                counted(packages, "package")
            ));
        });
        self.event(&serde_json::json!({ "event": "repository-end", "id": repository, "packages": packages, "state": how }));
    }

    fn retrying(&self, url: &str, error: &TransportError, wait: Duration) {
        let text = format!(
            "{}: {error}; trying again in {}",
            clean(url),
            duration(wait)
        );
        self.bars.suspend(|| {
            self.printer
                .detail(format_args!("{:>12} {text}", "Retrying"));
        });
        self.event(
            &serde_json::json!({ "event": "retry", "url": url, "error": error.to_string() }),
        );
    }

    fn message(&self, text: &str) {
        self.bars.suspend(|| self.printer.warning(clean(text)));
    }
}

impl ImportReporter for Progress {
    fn imported(&self, package: &PackageRef, new: bool) {
        self.advance(
            1,
            &format!(
                "{} {}",
                package.name,
                if new { "imported" } else { "known" }
            ),
        );
    }
}

impl BuildReporter for Progress {
    fn step(&self, step: Step) {
        let name = match step {
            Step::Import => "Importing",
            Step::Assemble => "Assembling",
            Step::Run => "Configuring",
            Step::Commit => "Committing",
            Step::Publish => "Publishing",
        };
        self.stage(name, None);
    }

    fn output(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let line = line.trim();
        if !line.is_empty() {
            self.advance(0, line);
            tracing::debug!(target: "script", "{}", clean(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd as _;

    #[test]
    fn the_events_of_one_command_follow_each_other_in_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events");
        let file = File::create(&path).unwrap();
        let mut open = [0, 1].map(|_| open_events(file.as_raw_fd()).unwrap());
        for (which, line) in [(0, "one"), (1, "two"), (0, "three")] {
            open[which]
                .write_all(format!("{line}\n").as_bytes())
                .unwrap();
        }
        let events = std::fs::read_to_string(&path).unwrap();
        assert_eq!(events, "one\ntwo\nthree\n");
    }
}

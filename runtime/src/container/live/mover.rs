//! The helper's part of a live relink: everything that happens while the container stands still.
//!
//! A process of its own, with one thread, because it enters mount namespaces; and one that needs nobody from its first
//! step on, so that the container moves again even where the command that started it was killed. Its standard output is
//! the container's guard: no other command comes in between.
//!
//! From the mark `editing` on, the container moves again only when all its mount namespaces are on one overlay: the new
//! one, or the old one with every edit undone. Where neither can be reached, or the helper is killed, it stands still, and
//! the next command goes on.

use super::census::{Depth, take};
use super::freezer::Frozen;
use super::look::{Look as _, Procfs};
use super::namespaces::Namespaces;
use super::order::{Answer, Order, line};
use super::progress::{self, Mark, Progress};
use super::together::Together;
use crate::container::apply::Editor;
use crate::container::objects::NoObjects;
use crate::container::{UndoRecord, UpperDir, UpperEdit, keep};
use crate::helper::Channel;
use crate::rootfs;
use crate::sys::Kernel;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// How often all namespaces are looked at again. Nothing new appears while everybody stands still but what came in from
/// outside, so the second look finds everybody there.
const LOOKS: usize = 8;

/// Waits for the order, carries it out and answers.
pub(crate) fn serve(mut channel: Channel, kernel: &dyn Kernel) -> ExitCode {
    let Ok(order) = channel.hear::<Order>() else {
        return ExitCode::FAILURE;
    };
    let answer = match carry_out(kernel, &order) {
        // What is to be finished is half done.
        Err(Answer::Refused(why)) if order.finish => Answer::Stuck(why),
        Ok(answer) | Err(answer) => answer,
    };
    // Whoever waited may have been killed: the work is done all the same.
    drop(channel.tell(&answer));
    ExitCode::SUCCESS
}

/// An error before anything was changed.
fn refused(error: impl std::error::Error) -> Answer {
    Answer::Refused(line(&error))
}

/// From the freeze to the thaw. An error is an answer that this helper changed nothing for.
fn carry_out(kernel: &dyn Kernel, order: &Order) -> Result<Answer, Answer> {
    let paths = order.paths();
    let upper = UpperDir::open(&paths.upper()).map_err(refused)?;
    let (record, _) = keep::read(&paths, order.from).map_err(refused)?;
    // An overlay takes mode and owner of its root when it is made, and looks at nothing else before it is asked.
    let edits_root = record.edits.iter().any(|edit| edit.path().is_root());
    let new = if order.finish || edits_root {
        None
    } else {
        Some(rootfs::assemble_with(kernel, &order.mount).map_err(refused)?)
    };
    let mark = Mark::open(&paths, order.from).map_err(refused)?;
    let home = Home::open(kernel).map_err(refused)?;
    let look = Procfs::open(order.freezer.group().to_owned()).map_err(refused)?;

    let mut frozen = order.freezer.freeze(order.finish).map_err(refused)?;
    let since = Instant::now();
    let found = look_again(order, &look, &upper)?;
    mark.set(Progress::Editing, !record.edits.is_empty())
        .map_err(refused)?;
    frozen.hold();
    let mover = Mover {
        kernel,
        order,
        record: &record,
        home,
        look,
    };
    Ok(match mover.go(found, new) {
        Ok(()) => match mark.set(Progress::Moved, false) {
            Ok(()) => moved(frozen, since, order, !record.edits.is_empty()),
            Err(error) => Answer::Stuck(line(&error)),
        },
        Err(Halted::Stuck(why)) => Answer::Stuck(why),
        Err(Halted::Back(why)) => {
            let undone = mover.undo_edits();
            let undone = undone.and_then(|()| {
                let marked = mark.set(Progress::Planned, false);
                marked.map_err(|error| line(&error))
            });
            match undone {
                Ok(()) => {
                    frozen.thaw();
                    Answer::Refused(why)
                }
                Err(more) => Answer::Stuck(format!("{why}; undoing it: {more}")),
            }
        }
    })
}

/// It moves again; then the disk is waited for. Here and not in the command, which may have been killed: the container
/// could write for days before another one looks, and a power loss would have the edits carried out over that.
fn moved(frozen: Frozen, since: Instant, order: &Order, edited: bool) -> Answer {
    frozen.thaw();
    let pause = since.elapsed();
    // Where it fails, the command tries once more.
    let durable = !edited || progress::settle(&order.paths(), order.from).is_ok();
    Answer::Moved { pause, durable }
}

/// What the plan decided, seen once more while nothing moves.
fn look_again(order: &Order, look: &Procfs, upper: &UpperDir) -> Result<Namespaces, Answer> {
    if order.finish {
        return namespaces(order, look).map_err(refused);
    }
    let replaced = order.replaced.iter().cloned().collect();
    let census = take(look, order.init, &replaced, Depth::Bonds).map_err(refused)?;
    let bound = census.bound();
    if !bound.is_empty() {
        return Err(Answer::Bound(bound));
    }
    match order.watched.changed(upper) {
        Ok(None) => Ok(census.namespaces),
        Ok(Some(path)) => Err(Answer::Changed(path.as_bytes().to_vec())),
        Err(error) => Err(refused(error)),
    }
}

fn namespaces(order: &Order, look: &Procfs) -> io::Result<Namespaces> {
    let pids = look.processes()?;
    Namespaces::find(look, order.init, &pids)
}

/// Where the helper comes from: the host's mounts.
#[derive(Debug)]
struct Home {
    namespace: OwnedFd,
    root: OwnedFd,
}

impl Home {
    fn open(kernel: &dyn Kernel) -> io::Result<Self> {
        Ok(Self {
            namespace: kernel.open_file(Path::new("/proc/self/ns/mnt"))?,
            root: kernel.open_path(Path::new("/"))?,
        })
    }

    fn enter(&self, kernel: &dyn Kernel) -> io::Result<()> {
        kernel.enter_mounts(&self.namespace)?;
        kernel.change_root(&self.root)
    }
}

/// Why the container is not on the new overlay.
enum Halted {
    /// Every namespace is on the old one as before; edits may be left to undo.
    Back(String),
    /// Nobody knows a way on or back.
    Stuck(String),
}

/// A relink while the container stands still.
struct Mover<'a> {
    kernel: &'a dyn Kernel,
    order: &'a Order,
    record: &'a UndoRecord,
    home: Home,
    look: Procfs,
}

impl Mover<'_> {
    /// Takes all namespaces to the new overlay, and looks until none is anywhere else.
    fn go(&self, found: Namespaces, mut new: Option<OwnedFd>) -> Result<(), Halted> {
        let mut found = Some(found);
        // Who finishes does not know what it will find.
        let mut untouched = !self.order.finish;
        for _ in 0..LOOKS {
            let halted = if untouched {
                Halted::Back
            } else {
                Halted::Stuck
            };
            let now = match found.take() {
                Some(found) => found,
                None => self.find().map_err(halted)?,
            };
            let gathered = Together::gather(self.kernel, &now, &self.order.label);
            let mut all = gathered.map_err(|why| halted(why.line()))?;
            if all.has_arrived() {
                return Ok(());
            }
            let cleared = all.clear(self.kernel);
            if self.at_home(cleared).map_err(halted)? {
                continue;
            }
            untouched = all.is_untouched();
            if untouched {
                // Before the new overlay sees a name: what changes below it later, it does not see.
                self.edit(&self.record.edits).map_err(Halted::Back)?;
            }
            self.cross(&mut all, new.take(), untouched)?;
            untouched = false;
        }
        Err(Halted::Stuck("its processes come and go".to_owned()))
    }

    /// One crossing of all; where it is refused and nobody has crossed before, all go back.
    fn cross(
        &self,
        all: &mut Together,
        new: Option<OwnedFd>,
        untouched: bool,
    ) -> Result<(), Halted> {
        let assemble = || {
            let new = rootfs::assemble_with(self.kernel, &self.order.mount);
            new.map_err(|error| line(&error))
        };
        let make = || new.map_or_else(assemble, Ok);
        let Err(halt) = all.go(self.kernel, make) else {
            return self.go_home().map_err(Halted::Stuck);
        };
        self.go_home().map_err(Halted::Stuck)?;
        let why = halt.line();
        if !untouched {
            return Err(Halted::Stuck(why));
        }
        let back = all.back(self.kernel);
        match self.at_home(back) {
            Ok(()) => Err(Halted::Back(why)),
            Err(more) => Err(Halted::Stuck(format!("{why}; going back: {more}"))),
        }
    }

    fn go_home(&self) -> Result<(), String> {
        let home = self.home.enter(self.kernel);
        home.map_err(|error| format!("cannot enter the host's mounts: {error}"))
    }

    /// What came of something that entered namespaces, told in the host's.
    fn at_home<T>(&self, came: Result<T, super::refusal::Refusal>) -> Result<T, String> {
        self.go_home()?;
        came.map_err(|refusal| refusal.line())
    }

    fn find(&self) -> Result<Namespaces, String> {
        namespaces(self.order, &self.look).map_err(|error| line(&error))
    }

    /// Carries edits out. Contents were staged before, so that this is a matter of renames.
    fn edit(&self, edits: &[UpperEdit]) -> Result<(), String> {
        if edits.is_empty() {
            return Ok(());
        }
        let paths = self.order.paths();
        let (upper, staging) = (paths.upper(), paths.staging());
        let editor = Editor::resume(&upper, staging, paths.undo_area(), &NoObjects);
        let edited = editor.and_then(|editor| editor.apply(edits));
        edited.map_err(|error| line(&error))
    }

    /// Undoes the edits. The old overlay, which goes on, forgets the names that came and went.
    fn undo_edits(&self) -> Result<(), String> {
        if self.record.edits.is_empty() {
            return Ok(());
        }
        self.edit(&self.record.inverse())?;
        let root = PathBuf::from(format!("/proc/{}/root", self.order.init));
        let forgotten = self.kernel.forget_names(&root);
        forgotten.map_err(|error| format!("its overlay does not forget names: {error}"))
    }
}

//! One mount namespace on its way from one overlay to another, while nobody in it moves.
//!
//! ```text
//! lay     the new overlay is laid on the old one, where no process sees it; submounts move into it   <-> take off
//! pivot   it becomes the root and working directory of who had the old one, which comes to lie on it <-> pivot
//! leave   the old overlay is taken off
//! ```
//!
//! Every step but the last has its way back, so that several namespaces can cross together ([`super::together`]). How far
//! one is, is read from its mounts and never remembered: whoever comes after a crash sees the same.

use super::mountinfo::{Mount, MountTable};
use super::namespaces::Namespace;
use super::placement::{Placement, What, brought, place};
use super::refusal::Refusal;
use crate::sys::Kernel;
use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// How far a namespace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// On the old overlay, nothing else on its root.
    Old,
    /// The new overlay lies on its root; submounts may have moved into it.
    Laid,
    /// Its processes are on the new overlay with all submounts, and the old one lies on that still.
    Pivoted,
    /// On the new overlay, nothing else on its root.
    New,
}

/// A namespace that crosses.
#[derive(Debug)]
pub(super) struct Crossing {
    /// Opened while the host's `/proc` could be reached: inside a namespace it cannot.
    namespace: OwnedFd,
    /// The overlay that its processes are on.
    root: OwnedFd,
    /// The overlay that lies on that.
    over: Option<OwnedFd>,
    stage: Stage,
    placement: Placement,
    /// Where the submounts are that moved into the new overlay.
    brought: Vec<PathBuf>,
    /// A process in it.
    speaker: u32,
}

impl Crossing {
    /// Looks how far the namespace is on its way to the overlay called `label`. In the host's namespace.
    pub(super) fn of(
        kernel: &dyn Kernel,
        namespace: &Namespace,
        label: &str,
    ) -> Result<Self, Refusal> {
        let speaker = namespace.speaker.ok_or_else(|| {
            let why = "no process in it sees its root";
            namespace.refuse(why)
        })?;
        let refused = |step: &'static str| Refusal::of(speaker, step);
        let table = &namespace.table;
        let own = table
            .get(namespace.root)
            .filter(|own| own.label().is_some());
        let own = own.ok_or_else(|| namespace.refuse("its root is another file system"))?;
        let stage = stage(table, own, label).map_err(|why| namespace.refuse(why))?;
        let proc = |name: &str| PathBuf::from(format!("/proc/{speaker}/{name}"));
        let root = kernel.open_path(&proc("root"));
        let open = kernel.open_file(&proc("ns/mnt"));
        let (mut placement, mut there) = (Placement::nothing(), Vec::new());
        match stage {
            Stage::Old => {
                placement = place(table, own.id).map_err(|why| namespace.refuse(&why))?;
            }
            Stage::Laid => there = brought(table, own, table.top_of(own)),
            Stage::Pivoted | Stage::New => {}
        }
        Ok(Self {
            namespace: open.map_err(refused("open a mount namespace"))?,
            root: root.map_err(refused("open its root"))?,
            over: None,
            stage,
            placement,
            brought: there,
            speaker,
        })
    }

    pub(super) const fn stage(&self) -> Stage {
        self.stage
    }

    /// What a refused step in this namespace is.
    pub(super) fn refused(&self, step: impl Into<String>) -> impl FnOnce(io::Error) -> Refusal {
        Refusal::of(self.speaker, step)
    }

    /// Enters the namespace, with the root that its processes have: a pivot acts on those who have the same.
    fn enter(&mut self, kernel: &dyn Kernel) -> Result<(), Refusal> {
        let entered = kernel.enter_mounts(&self.namespace);
        entered.map_err(self.refused("enter a mount namespace"))?;
        if self.over.is_none() && matches!(self.stage, Stage::Laid | Stage::Pivoted) {
            let over = kernel.open_path(Path::new("/"));
            self.over = Some(over.map_err(self.refused("open what lies on its root"))?);
        }
        let changed = kernel.change_root(&self.root);
        changed.map_err(self.refused("enter its root"))
    }

    /// The overlay that lies on the root, after [`Crossing::enter`].
    fn over(&self) -> Result<&OwnedFd, Refusal> {
        let nothing = || self.refused("find what lies on its root")(io::ErrorKind::NotFound.into());
        self.over.as_ref().ok_or_else(nothing)
    }

    /// More mounts of the new overlay, for other namespaces.
    pub(super) fn copies(
        &mut self,
        kernel: &dyn Kernel,
        number: usize,
    ) -> Result<Vec<OwnedFd>, Refusal> {
        if number == 0 {
            return Ok(Vec::new());
        }
        self.enter(kernel)?;
        let new = match self.stage {
            Stage::Laid => self.over()?,
            _ => &self.root,
        };
        let copies = (0..number).map(|_| kernel.clone_mount(Some(new), Path::new(""), false));
        let copies = copies.map(|copy| {
            let copy = copy?;
            // One of a shared mount is shared with it.
            kernel.set_shared(&copy, false)?;
            Ok(copy)
        });
        let copies: io::Result<Vec<OwnedFd>> = copies.collect();
        copies.map_err(self.refused("mount the new version once more"))
    }

    /// Lays the new overlay on the old one and moves every submount into it.
    pub(super) fn lay(&mut self, kernel: &dyn Kernel, new: OwnedFd) -> Result<(), Refusal> {
        self.enter(kernel)?;
        let sources = self.sources(kernel)?;
        self.set_shared(kernel, false)?;
        let laid = kernel.attach(&new, &self.root);
        laid.map_err(self.refused("lay the new version on the old"))?;
        self.over = Some(new);
        self.stage = Stage::Laid;
        let clones = self.clones(kernel)?;
        // Not an iterator: what was moved is noted step by step.
        for number in 0..self.placement.steps.len() {
            self.put(kernel, number, &sources, &clones)?;
        }
        let flags = kernel.replace_attributes(self.over()?, self.placement.attributes);
        flags.map_err(self.refused("give the new root the flags of the old"))
    }

    /// Makes the mounts of the overlay that were shared so again on the overlay that the processes are on, or private. After
    /// a crash in between they stay private: they were shared with nobody.
    fn set_shared(&self, kernel: &dyn Kernel, shared: bool) -> Result<(), Refusal> {
        for at in &self.placement.shared {
            let refused = || self.refused(format!("share its mount `/{}`", at.display()));
            let path = if at.as_os_str().is_empty() {
                Path::new(".")
            } else {
                at
            };
            let mount = kernel.open_beneath(&self.root, path).map_err(refused())?;
            kernel.set_shared(&mount, shared).map_err(refused())?;
        }
        Ok(())
    }

    /// Opens the submounts that move, by the number of their step.
    fn sources(&self, kernel: &dyn Kernel) -> Result<BTreeMap<usize, OwnedFd>, Refusal> {
        let mut sources = BTreeMap::new();
        for (number, step) in self.placement.steps.iter().enumerate() {
            if let What::Move(id) = step.what {
                let refused = || self.refused(format!("open its mount `/{}`", step.at.display()));
                let source = kernel.open_beneath(&self.root, &step.at);
                let source = source.map_err(refused())?;
                if kernel.mount_id(&source).map_err(refused())? != id {
                    return Err(refused()(io::Error::other("another one is there now")));
                }
                sources.insert(number, source);
            }
        }
        Ok(sources)
    }

    /// Mounts what shows a part of the overlay once more, from the new one: all of them before the first is attached, for
    /// the new overlay shows nothing but itself now.
    fn clones(&self, kernel: &dyn Kernel) -> Result<BTreeMap<usize, OwnedFd>, Refusal> {
        let mut clones = BTreeMap::new();
        for (number, step) in self.placement.steps.iter().enumerate() {
            if let What::Bind { path, attributes } = &step.what {
                let refused = || self.refused(format!("bind `/{}` again", step.at.display()));
                let clone = kernel.clone_mount(Some(self.over()?), path, false);
                let clone = clone.map_err(refused())?;
                let flags = kernel.replace_attributes(&clone, *attributes);
                flags.map_err(refused())?;
                clones.insert(number, clone);
            }
        }
        Ok(clones)
    }

    /// Puts one submount into the new overlay.
    fn put(
        &mut self,
        kernel: &dyn Kernel,
        number: usize,
        sources: &BTreeMap<usize, OwnedFd>,
        clones: &BTreeMap<usize, OwnedFd>,
    ) -> Result<(), Refusal> {
        let Some(step) = self.placement.steps.get(number) else {
            return Ok(());
        };
        let refused = || self.refused(format!("move its mount `/{}`", step.at.display()));
        let target = kernel.open_beneath(self.over()?, &step.at);
        let target = target.map_err(refused())?;
        if let Some(clone) = clones.get(&number) {
            return kernel.attach(clone, &target).map_err(refused());
        }
        let Some(source) = sources.get(&number) else {
            return Ok(());
        };
        match kernel.attach(source, &target) {
            // A mount that is locked to its place can only be copied.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                let copy = kernel.clone_mount(Some(source), Path::new(""), true);
                let copy = copy.map_err(refused())?;
                kernel.attach(&copy, &target).map_err(refused())
            }
            Err(error) => Err(refused()(error)),
            Ok(()) => {
                self.brought.push(step.at.clone());
                Ok(())
            }
        }
    }

    /// Undoes [`Crossing::lay`], also one that was cut short.
    pub(super) fn take_off(&mut self, kernel: &dyn Kernel) -> Result<(), Refusal> {
        self.enter(kernel)?;
        while let Some(at) = self.brought.last() {
            let refused = || self.refused(format!("move its mount `/{}` back", at.display()));
            let source = kernel.open_beneath(self.over()?, at).map_err(refused())?;
            let place = kernel.open_beneath(&self.root, at).map_err(refused())?;
            kernel.attach(&source, &place).map_err(refused())?;
            self.brought.pop();
        }
        let off = kernel.detach_mount(self.over()?);
        off.map_err(self.refused("take the new version off"))?;
        self.over = None;
        self.stage = Stage::Old;
        self.set_shared(kernel, true)
    }

    /// The processes go to the overlay that lies on theirs: to the new one, or back.
    pub(super) fn pivot(&mut self, kernel: &dyn Kernel) -> Result<(), Refusal> {
        self.enter(kernel)?;
        let pivoted = kernel.pivot_to(self.over()?);
        pivoted.map_err(self.refused("change its root"))?;
        if let Some(over) = &mut self.over {
            mem::swap(over, &mut self.root);
        }
        self.stage = match self.stage {
            Stage::Pivoted => Stage::Laid,
            _ => Stage::Pivoted,
        };
        Ok(())
    }

    /// Takes the old overlay off.
    pub(super) fn leave(&mut self, kernel: &dyn Kernel) -> Result<(), Refusal> {
        self.enter(kernel)?;
        let off = kernel.detach_mount(self.over()?);
        off.map_err(self.refused("take the old version off"))?;
        self.over = None;
        self.stage = Stage::New;
        self.set_shared(kernel, true)
    }
}

/// How far a namespace is whose processes have the root `own`. No overlay of the container shows in it but the one that it
/// comes from and the one that it goes to.
fn stage(table: &MountTable, own: &Mount, label: &str) -> Result<Stage, &'static str> {
    let top = table.top_of(own);
    let is_new = own.label() == Some(label);
    let stage = match (is_new, top.id == own.id) {
        (true, true) => Stage::New,
        (true, false) if top.label().is_some() => Stage::Pivoted,
        (false, true) => Stage::Old,
        (false, false) if top.label() == Some(label) => Stage::Laid,
        _ => return Err("another mount lies on its root"),
    };
    let known = |mount: &Mount| {
        let between = matches!(stage, Stage::Laid | Stage::Pivoted);
        mount.device == own.device || (between && mount.device == top.device)
    };
    let mut ours = table.mounts.iter().filter(|one| one.label().is_some());
    if ours.any(|mount| !known(mount)) {
        return Err("it shows an earlier version");
    }
    Ok(stage)
}

//! All mount namespaces of a container cross to another overlay together, or none does.
//!
//! Two of them on different overlays are two overlays on one upper. So all of them are laid out before the first pivots, and
//! all have pivoted before the first leaves its old overlay: until then everything can be taken back.

use super::crossing::{Crossing, Stage};
use super::namespaces::Namespaces;
use super::refusal::Refusal;
use crate::sys::Kernel;
use std::io;
use std::os::fd::OwnedFd;

/// The namespaces that show the container's files, that of process 1 first.
#[derive(Debug)]
pub(super) struct Together {
    all: Vec<Crossing>,
}

/// Why not all of them crossed.
#[derive(Debug)]
pub(super) enum Halt {
    /// Here; nothing was taken back yet.
    Refused(Refusal),
    /// The new overlay cannot be mounted.
    NoOverlay(String),
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Halt {
    /// The line that says it. In the host's namespace.
    pub(super) fn line(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.line(),
            Self::NoOverlay(why) => format!("cannot mount the new version: {why}"),
        }
    }
}

impl Together {
    /// Looks how far each is on its way to the overlay called `label`. In the host's namespace.
    pub(super) fn gather(
        kernel: &dyn Kernel,
        namespaces: &Namespaces,
        label: &str,
    ) -> Result<Self, Refusal> {
        let ours = namespaces.all.iter().filter(|(_, one)| one.shows_ours());
        let (mut all, mut others) = (Vec::new(), Vec::new());
        for (id, namespace) in ours {
            let crossing = Crossing::of(kernel, namespace, label)?;
            if *id == namespaces.first {
                all.push(crossing);
            } else {
                others.push(crossing);
            }
        }
        all.append(&mut others);
        Ok(Self { all })
    }

    fn all_are(&self, stage: Stage) -> bool {
        self.all.iter().all(|one| one.stage() == stage)
    }

    fn at(&mut self, stage: Stage) -> impl Iterator<Item = &mut Crossing> {
        self.all.iter_mut().filter(move |one| one.stage() == stage)
    }

    /// Whether everybody has arrived, and nothing of the old overlay is left.
    pub(super) fn has_arrived(&self) -> bool {
        self.all_are(Stage::New)
    }

    /// Whether nobody has set out.
    pub(super) fn is_untouched(&self) -> bool {
        self.all_are(Stage::Old)
    }

    /// Takes the new overlay off wherever it was laid and not pivoted to. Returns whether it was anywhere.
    pub(super) fn clear(&mut self, kernel: &dyn Kernel) -> Result<bool, Refusal> {
        let mut any = false;
        for one in self.at(Stage::Laid) {
            one.take_off(kernel)?;
            any = true;
        }
        Ok(any)
    }

    /// Takes everybody, who is on the old overlay or has pivoted, to the new one. It is made by `make` where nobody has it.
    pub(super) fn go(
        &mut self,
        kernel: &dyn Kernel,
        make: impl FnOnce() -> Result<OwnedFd, String>,
    ) -> Result<(), Halt> {
        self.lay(kernel, make)?;
        for one in self.at(Stage::Laid) {
            one.pivot(kernel)?;
        }
        for one in self.at(Stage::Pivoted) {
            one.leave(kernel)?;
        }
        Ok(())
    }

    fn lay(
        &mut self,
        kernel: &dyn Kernel,
        make: impl FnOnce() -> Result<OwnedFd, String>,
    ) -> Result<(), Halt> {
        let mut waiting = self.at(Stage::Old).count();
        if waiting == 0 {
            return Ok(());
        }
        // There must be one new overlay, not several over one upper: who has it lends it.
        let has_it = |one: &Crossing| matches!(one.stage(), Stage::Pivoted | Stage::New);
        let lender = if let Some(place) = self.all.iter().position(has_it) {
            place
        } else {
            let new = make().map_err(Halt::NoOverlay)?;
            let Some(first) = self.all.first_mut() else {
                return Ok(());
            };
            first.lay(kernel, new)?;
            waiting -= 1;
            0
        };
        let copies = match self.all.get_mut(lender) {
            Some(lender) => lender.copies(kernel, waiting)?,
            None => Vec::new(),
        };
        for (one, copy) in self.at(Stage::Old).zip(copies) {
            one.lay(kernel, copy)?;
        }
        Ok(())
    }

    /// Takes everybody back to the old overlay, as far as [`Together::go`] came.
    pub(super) fn back(&mut self, kernel: &dyn Kernel) -> Result<(), Refusal> {
        if let Some(one) = self.at(Stage::New).next() {
            let why = io::Error::other("it has left the old version");
            return Err(one.refused("go back")(why));
        }
        for one in self.at(Stage::Pivoted) {
            one.pivot(kernel)?;
        }
        self.clear(kernel).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::super::mountinfo::MountTable;
    use super::super::namespaces::Namespace;
    use super::*;
    use crate::sys::Recording;
    use std::path::Path;

    const FIRST: &str = "\
10 1 0:39 / / rw,relatime - overlay vzpkg:work.1 rw
11 10 0:40 / /proc rw - proc proc rw
12 10 0:39 /usr /usr ro,relatime - overlay vzpkg:work.1 rw
";
    const SECOND: &str = "\
30 2 0:39 / / rw,relatime - overlay vzpkg:work.1 rw
31 30 0:40 / /proc rw - proc proc rw
";
    /// The new overlay is laid, /proc has moved, /usr is not bound again yet.
    const LAID: &str = "\
10 1 0:39 / / rw,relatime - overlay vzpkg:work.1 rw
12 10 0:39 /usr /usr ro,relatime - overlay vzpkg:work.1 rw
20 10 0:45 / / rw,relatime - overlay vzpkg:work.2 rw
11 20 0:40 / /proc rw - proc proc rw
";
    /// The processes are on the new overlay, and the old one lies on it.
    const PIVOTED: &str = "\
20 1 0:45 / / rw,relatime - overlay vzpkg:work.2 rw
11 20 0:40 / /proc rw - proc proc rw
10 20 0:39 / / rw,relatime - overlay vzpkg:work.1 rw
12 10 0:39 /usr /usr ro,relatime - overlay vzpkg:work.1 rw
";
    const NEW: &str = "20 1 0:45 / / rw,relatime - overlay vzpkg:work.2 rw\n";

    /// Of processes 7, 8…, each in a namespace of its own.
    fn gathered(kernel: &Recording, tables: &[&str]) -> Result<Together, Refusal> {
        let mut namespaces = Namespaces::default();
        for (pid, text) in (7..).zip(tables) {
            let table = MountTable::parse(text.as_bytes()).unwrap();
            let namespace = Namespace {
                member: pid,
                speaker: Some(pid),
                users: b"user:[1]".to_vec(),
                root: table.mounts[0].id,
                table,
                needs: None,
            };
            // That of process 1 is not the first by name.
            let id = format!("mnt:[{}]", 100 - pid).into_bytes();
            if pid == 7 {
                namespaces.first.clone_from(&id);
            }
            namespaces.all.insert(id, namespace);
        }
        Together::gather(kernel, &namespaces, "work.2")
    }

    fn kernel() -> Recording {
        Recording::new()
            .with_mount("/proc/7/root/proc", 11)
            .with_mount("/proc/8/root/proc", 31)
    }

    fn go(all: &mut Together, kernel: &Recording) -> Result<(), Halt> {
        all.go(kernel, || Ok(kernel.open_path(Path::new("NEW")).unwrap()))
    }

    #[test]
    fn all_are_laid_before_one_pivots_and_all_pivot_before_one_leaves() {
        let kernel = kernel();
        let mut all = gathered(&kernel, &[FIRST, SECOND]).unwrap();
        assert!(all.is_untouched() && !all.clear(&kernel).unwrap());
        go(&mut all, &kernel).unwrap();
        assert!(all.has_arrived());
        insta::assert_snapshot!(kernel.calls().join("\n"), @r"
        enter /proc/7/ns/mnt
        root is /proc/7/root
        attach NEW at /proc/7/root
        clone NEWusr
        make clone of NEWusr rdonly
        attach /proc/7/root/proc at NEW/proc
        attach clone of NEWusr at NEW/usr
        make NEW rw
        enter /proc/7/ns/mnt
        root is /proc/7/root
        clone NEW
        unshare clone of NEW
        enter /proc/8/ns/mnt
        root is /proc/8/root
        attach clone of NEW at /proc/8/root
        attach /proc/8/root/proc at clone of NEW/proc
        make clone of NEW rw
        enter /proc/7/ns/mnt
        root is /proc/7/root
        pivot to NEW
        enter /proc/8/ns/mnt
        root is /proc/8/root
        pivot to clone of NEW
        enter /proc/7/ns/mnt
        root is NEW
        detach /proc/7/root lazily
        enter /proc/8/ns/mnt
        root is clone of NEW
        detach /proc/8/root lazily
        ");
    }

    #[test]
    fn refused_anywhere_all_go_back() {
        // The whole way, to know where it can be refused.
        let whole = kernel();
        go(&mut gathered(&whole, &[FIRST, SECOND]).unwrap(), &whole).unwrap();
        let calls = whole.calls();
        let first_to_leave = calls.iter().position(|call| call.starts_with("detach"));
        for refused in &calls[..=first_to_leave.unwrap()] {
            if refused.starts_with("attach /proc") {
                // Copied instead.
                continue;
            }
            let kernel = kernel().refusing(refused);
            let mut all = gathered(&kernel, &[FIRST, SECOND]).unwrap();
            go(&mut all, &kernel).unwrap_err();
            all.back(&kernel).unwrap();
            assert!(all.is_untouched(), "{refused}");
            let after = kernel.calls();
            let count = |word: &str| after.iter().filter(|call| call.starts_with(word)).count();
            // Whoever pivoted did it again, and what was laid is off.
            let refused_pivot = usize::from(refused.starts_with("pivot"));
            assert_eq!((count("pivot") - refused_pivot) % 2, 0, "{refused}");
        }
    }

    #[test]
    fn what_was_moved_is_moved_back() {
        let kernel = kernel().refusing("pivot to clone of NEW");
        let mut all = gathered(&kernel, &[FIRST, SECOND]).unwrap();
        let why = go(&mut all, &kernel).unwrap_err();
        let Halt::Refused(why) = why else {
            panic!("{why:?}")
        };
        assert!(why.to_string().contains("change its root"), "{why}");
        let before = kernel.calls().len();
        all.back(&kernel).unwrap();
        insta::assert_snapshot!(kernel.calls()[before..].join("\n"), @r"
        enter /proc/7/ns/mnt
        root is NEW
        pivot to /proc/7/root
        enter /proc/7/ns/mnt
        root is /proc/7/root
        attach NEW/proc at /proc/7/root/proc
        detach NEW lazily
        enter /proc/8/ns/mnt
        root is /proc/8/root
        attach clone of NEW/proc at /proc/8/root/proc
        detach clone of NEW lazily
        ");
    }

    #[test]
    fn a_mount_that_is_locked_to_its_place_is_copied_and_not_moved_back() {
        let kernel = kernel().refusing("attach /proc/7/root/proc at NEW");
        let mut all = gathered(&kernel, &[FIRST]).unwrap();
        let kernel = kernel.refusing("pivot");
        go(&mut all, &kernel).unwrap_err();
        let before = kernel.calls();
        assert!(
            before.contains(&"clone /proc/7/root/proc and below".to_owned()),
            "{before:?}"
        );
        all.back(&kernel).unwrap();
        let after = &kernel.calls()[before.len()..];
        assert!(
            !after.iter().any(|call| call.starts_with("attach")),
            "{after:?}"
        );
    }

    #[test]
    fn what_was_half_laid_is_taken_off_and_the_rest_goes_on_where_it_stopped() {
        let first = kernel();
        let mut all = gathered(&first, &[LAID, SECOND]).unwrap();
        assert!(!all.is_untouched() && all.clear(&first).unwrap());
        assert!(all.is_untouched());
        insta::assert_snapshot!(first.calls().join("\n"), @r"
        enter /proc/7/ns/mnt
        root is /proc/7/root
        attach //proc at /proc/7/root/proc
        detach / lazily
        ");
        // One has pivoted, one has not set out, one is there: it is their overlay, and no other one.
        let second = kernel();
        let mut all = gathered(&second, &[PIVOTED, SECOND, NEW]).unwrap();
        assert!(!all.clear(&second).unwrap() && !all.is_untouched());
        all.go(&second, || Err("there is one".to_owned())).unwrap();
        assert!(all.has_arrived());
        insta::assert_snapshot!(second.calls().join("\n"), @r"
        enter /proc/7/ns/mnt
        root is /proc/7/root
        clone /proc/7/root
        unshare clone of /proc/7/root
        enter /proc/8/ns/mnt
        root is /proc/8/root
        attach clone of /proc/7/root at /proc/8/root
        attach /proc/8/root/proc at clone of /proc/7/root/proc
        make clone of /proc/7/root rw
        enter /proc/8/ns/mnt
        root is /proc/8/root
        pivot to clone of /proc/7/root
        enter /proc/7/ns/mnt
        root is /proc/7/root
        detach / lazily
        enter /proc/8/ns/mnt
        root is clone of /proc/7/root
        detach /proc/8/root lazily
        ");
        // Nobody goes back when one has left.
        let third = kernel();
        assert!(
            gathered(&third, &[SECOND, NEW])
                .unwrap()
                .back(&third)
                .is_err()
        );
        assert!(third.calls().is_empty());
        assert!(gathered(&third, &[NEW, NEW]).unwrap().has_arrived());
    }

    #[test]
    fn shared_mounts_are_private_in_between_and_shared_after_it_or_back() {
        let shared = FIRST.replace("relatime -", "relatime shared:5 -");
        let shares = |kernel: &Recording| -> Vec<String> {
            let calls = kernel.calls().into_iter();
            calls.filter(|call| call.contains("share ")).collect()
        };
        let there = kernel();
        go(&mut gathered(&there, &[&shared]).unwrap(), &there).unwrap();
        let before = ["unshare /proc/7/root/.", "unshare /proc/7/root/usr"];
        let after = ["share NEW/.", "share NEW/usr"];
        assert_eq!(shares(&there), [before, after].concat());
        let back = kernel().refusing("pivot");
        let mut all = gathered(&back, &[&shared]).unwrap();
        go(&mut all, &back).unwrap_err();
        all.back(&back).unwrap();
        let after = ["share /proc/7/root/.", "share /proc/7/root/usr"];
        assert_eq!(shares(&back), [before, after].concat());
    }

    #[test]
    fn a_namespace_that_shows_another_version_does_not_cross() {
        for (text, why) in [
            (
                "30 2 0:39 / / rw - overlay vzpkg:work.1 rw\n31 30 0:7 / /old rw - overlay vzpkg:work.0 rw\n",
                "an earlier version",
            ),
            (
                "20 2 0:45 / / rw - overlay vzpkg:work.2 rw\n31 20 0:7 /a /a rw - overlay vzpkg:work.1 rw\n",
                "an earlier version",
            ),
            (
                "30 2 0:39 / / rw - overlay vzpkg:work.1 rw\n31 30 0:7 / / rw - tmpfs t rw\n",
                "another mount lies",
            ),
            (
                "30 2 0:7 / / rw - tmpfs t rw\n31 30 0:39 / /a rw - overlay vzpkg:work.1 rw\n",
                "another file system",
            ),
        ] {
            let refusal = gathered(&kernel(), &[FIRST, text]).unwrap_err();
            let line = refusal.line();
            assert!(
                line.contains(why) && line.starts_with("process 8 "),
                "{line}"
            );
        }
    }
}

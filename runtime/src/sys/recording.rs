//! A kernel that only writes down what it is asked for: the order of calls can be tested without root.

use super::{CapabilitySet, FilterInstruction, Kernel, MountAttributes, Namespaces, Setting};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Records calls as lines of text. Descriptors it hands out are real but empty, and are shown by what they stand for.
#[derive(Debug, Default)]
pub struct Recording {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<String>,
    names: BTreeMap<RawFd, String>,
    refusals: Vec<String>,
    mounts: BTreeMap<String, u64>,
}

impl Recording {
    /// A recording without calls.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first call whose line begins with `prefix` fails with `EINVAL`.
    #[must_use]
    pub fn refusing(self, prefix: &str) -> Self {
        self.with(|state| state.refusals.push(prefix.to_owned()));
        self
    }

    /// What is opened as `name` lies in mount `id`; everything else in mount 0.
    #[must_use]
    pub fn with_mount(self, name: &str, id: u64) -> Self {
        self.with(|state| state.mounts.insert(name.to_owned(), id));
        self
    }

    /// What was called so far, one line per call.
    pub fn calls(&self) -> Vec<String> {
        self.with(|state| state.calls.clone())
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn name(&self, descriptor: RawFd) -> String {
        self.with(|state| {
            let known = state.names.get(&descriptor).cloned();
            known.unwrap_or_else(|| "?".to_owned())
        })
    }

    fn call(&self, line: String) -> io::Result<()> {
        self.with(|state| {
            let refused = state
                .refusals
                .iter()
                .position(|prefix| line.starts_with(prefix.as_str()));
            state.calls.push(line);
            if let Some(place) = refused {
                state.refusals.remove(place);
                return Err(io::Error::from_raw_os_error(libc::EINVAL));
            }
            Ok(())
        })
    }

    fn opened(&self, name: String) -> io::Result<OwnedFd> {
        let descriptor = OwnedFd::from(File::open("/dev/null")?);
        self.with(|state| state.names.insert(descriptor.as_raw_fd(), name));
        Ok(descriptor)
    }
}

impl Kernel for Recording {
    fn new_filesystem(&self, kind: &str) -> io::Result<OwnedFd> {
        self.call(format!("fsopen {kind}"))?;
        self.opened(kind.to_owned())
    }

    fn configure(&self, context: &OwnedFd, key: &str, value: Setting<'_>) -> io::Result<()> {
        let kind = self.name(context.as_raw_fd());
        self.call(match value {
            Setting::Flag => format!("{kind}: {key}"),
            Setting::Text(text) => format!("{kind}: {key}={}", text.display()),
            Setting::Descriptor(descriptor) => {
                format!("{kind}: {key}=<{}>", self.name(descriptor.as_raw_fd()))
            }
        })
    }

    fn create(&self, context: &OwnedFd, attributes: MountAttributes) -> io::Result<OwnedFd> {
        let kind = self.name(context.as_raw_fd());
        self.call(format!("create {kind} {}", describe(attributes)))?;
        self.opened(format!("{kind} mount"))
    }

    fn create_as(
        &self,
        context: &OwnedFd,
        attributes: MountAttributes,
        owner: u32,
    ) -> io::Result<OwnedFd> {
        let kind = self.name(context.as_raw_fd());
        self.call(format!("create {kind} {} as {owner}", describe(attributes)))?;
        self.opened(format!("{kind} mount"))
    }

    fn explain(&self, _context: &OwnedFd) -> String {
        "recorded refusal".to_owned()
    }

    fn open_path(&self, path: &Path) -> io::Result<OwnedFd> {
        self.opened(path.display().to_string())
    }

    fn open_file(&self, path: &Path) -> io::Result<OwnedFd> {
        self.opened(path.display().to_string())
    }

    fn open_beneath(&self, directory: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
        let directory = self.name(directory.as_raw_fd());
        self.opened(format!("{directory}/{}", path.display()))
    }

    fn make_directory(&self, directory: &OwnedFd, name: &str) -> io::Result<()> {
        let directory = self.name(directory.as_raw_fd());
        self.call(format!("make directory {name} in {directory}"))
    }

    fn clone_mount(
        &self,
        directory: Option<&OwnedFd>,
        path: &Path,
        recursive: bool,
    ) -> io::Result<OwnedFd> {
        let mut name = directory.map_or_else(String::new, |fd| self.name(fd.as_raw_fd()));
        name.push_str(&path.display().to_string());
        let all = if recursive { " and below" } else { "" };
        self.call(format!("clone {name}{all}"))?;
        self.opened(format!("clone of {name}"))
    }

    fn replace_attributes(&self, mount: &OwnedFd, attributes: MountAttributes) -> io::Result<()> {
        let mount = self.name(mount.as_raw_fd());
        self.call(format!("make {mount} {}", describe(attributes)))
    }

    fn set_shared(&self, mount: &OwnedFd, shared: bool) -> io::Result<()> {
        let mount = self.name(mount.as_raw_fd());
        let word = if shared { "share" } else { "unshare" };
        self.call(format!("{word} {mount}"))
    }

    fn set_attributes(
        &self,
        mount: &OwnedFd,
        set: MountAttributes,
        recursive: bool,
    ) -> io::Result<()> {
        let mount = self.name(mount.as_raw_fd());
        let all = if recursive { " and below" } else { "" };
        self.call(format!("set {} on {mount}{all}", describe(set)))
    }

    fn shift_owners(&self, mount: &OwnedFd, namespace: &OwnedFd) -> io::Result<()> {
        let mount = self.name(mount.as_raw_fd());
        self.call(format!(
            "shift {mount} by {}",
            self.name(namespace.as_raw_fd())
        ))
    }

    fn user_namespace(&self, first: u32, count: u32) -> io::Result<OwnedFd> {
        self.opened(format!("{count} ids from {first}"))
    }

    fn attach(&self, mount: &OwnedFd, target: &OwnedFd) -> io::Result<()> {
        let mount = self.name(mount.as_raw_fd());
        self.call(format!(
            "attach {mount} at {}",
            self.name(target.as_raw_fd())
        ))
    }

    fn detach(&self, path: &Path, lazy: bool) -> io::Result<()> {
        let how = if lazy { " lazily" } else { "" };
        self.call(format!("detach {}{how}", path.display()))
    }

    fn unshare(&self, namespaces: Namespaces) -> io::Result<()> {
        let names: Vec<&str> = namespaces.iter_names().map(|(name, _)| name).collect();
        self.call(format!("unshare {}", names.join(" ")))
    }

    fn make_mounts_private(&self) -> io::Result<()> {
        self.call("make mounts private".to_owned())
    }

    fn make_mounts_followers(&self) -> io::Result<()> {
        self.call("make mounts followers".to_owned())
    }

    fn mount_id(&self, file: &OwnedFd) -> io::Result<u64> {
        let name = self.name(file.as_raw_fd());
        Ok(self.with(|state| state.mounts.get(&name).copied().unwrap_or_default()))
    }

    fn detach_mount(&self, mount: &OwnedFd) -> io::Result<()> {
        let mount = self.name(mount.as_raw_fd());
        self.call(format!("detach {mount} lazily"))
    }

    fn enter_mounts(&self, namespace: &OwnedFd) -> io::Result<()> {
        let namespace = self.name(namespace.as_raw_fd());
        self.call(format!("enter {namespace}"))
    }

    fn change_root(&self, root: &OwnedFd) -> io::Result<()> {
        let root = self.name(root.as_raw_fd());
        self.call(format!("root is {root}"))
    }

    fn pivot_to(&self, root: &OwnedFd) -> io::Result<()> {
        let root = self.name(root.as_raw_fd());
        self.call(format!("pivot to {root}"))
    }

    fn forget_names(&self, path: &Path) -> io::Result<()> {
        self.call(format!("forget names at {}", path.display()))
    }

    fn pivot_into(&self, root: &OwnedFd) -> io::Result<()> {
        let root = self.name(root.as_raw_fd());
        self.call(format!("pivot into {root}"))
    }

    fn set_hostname(&self, name: &str) -> io::Result<()> {
        self.call(format!("hostname {name}"))
    }

    fn bring_up_loopback(&self) -> io::Result<()> {
        self.call("loopback up".to_owned())
    }

    fn keep_capabilities(&self, keep: CapabilitySet) -> io::Result<()> {
        let names: Vec<&str> = keep.iter_names().map(|(name, _)| name).collect();
        self.call(format!("keep capabilities {}", names.join(" ")))
    }

    fn no_new_privileges(&self) -> io::Result<()> {
        self.call("no new privileges".to_owned())
    }

    fn filter_system_calls(&self, program: &[FilterInstruction]) -> io::Result<()> {
        let known = if program.is_empty() { "empty" } else { "a" };
        self.call(format!("install {known} filter"))
    }
}

fn describe(attributes: MountAttributes) -> String {
    let names: Vec<String> = attributes
        .iter_names()
        .filter(|(name, _)| *name != "MOUNT_ATTR_RELATIME")
        .map(|(name, _)| name.trim_start_matches("MOUNT_ATTR_").to_lowercase())
        .collect();
    if names.is_empty() {
        return "rw".to_owned();
    }
    names.join(",")
}

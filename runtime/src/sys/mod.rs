//! System calls: the trait [`Kernel`], the real one and a recording one; the only unsafe code of this crate.
//!
//! What a mount or a sandbox is made of is decided elsewhere; here a method is one system call (or two that only
//! make sense together), with descriptors that close themselves and errors that are plain [`io::Error`]s. Safe calls
//! of `rustix` are used wherever there is one.

mod linux;
mod process;
pub mod quota;
mod recording;

pub use linux::Linux;
pub use process::{
    Forked, close_on_exec_from, fork, kill_everyone_else, leave_session_keyring, others_live,
};
pub use recording::Recording;
pub use rustix::mount::MountAttrFlags as MountAttributes;
pub use rustix::thread::{CapabilitySet, UnshareFlags as Namespaces};

use std::ffi::OsStr;
use std::fmt::Debug;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

/// The value of one option of a file system that is being configured.
#[derive(Debug, Clone, Copy)]
pub enum Setting<'a> {
    /// The option is a word of its own, such as `ro`.
    Flag,
    /// `key=text`.
    Text(&'a OsStr),
    /// `key=` what this descriptor refers to. Must stay open until the file system is created.
    Descriptor(BorrowedFd<'a>),
}

/// One classic BPF instruction, as the kernel lays it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct FilterInstruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip if true.
    pub jump_true: u8,
    /// Instructions to skip if false.
    pub jump_false: u8,
    /// Operand.
    pub operand: u32,
}

/// What of the kernel this crate uses to mount and to confine. One call per method; every descriptor closes on exec.
///
/// [`Linux`] does it, [`Recording`] writes it down. Methods that change "the calling process" are for the
/// single-threaded helper only; of a process with more threads they change the calling thread.
pub trait Kernel: Debug + Sync {
    /// Opens a context to configure a file system of this type (`fsopen`).
    ///
    /// # Errors
    /// `ENODEV` where the kernel does not know the type.
    fn new_filesystem(&self, kind: &str) -> io::Result<OwnedFd>;

    /// Sets one option; the order of calls is the order of layers (`fsconfig`).
    ///
    /// # Errors
    /// `EINVAL` for an option the file system does not know.
    fn configure(&self, context: &OwnedFd, key: &str, value: Setting<'_>) -> io::Result<()>;

    /// Creates the file system and a mount of it that is attached nowhere (`FSCONFIG_CMD_CREATE`, `fsmount`).
    ///
    /// # Errors
    /// Whatever the file system objects to; [`Kernel::explain`] has its words.
    fn create(&self, context: &OwnedFd, attributes: MountAttributes) -> io::Result<OwnedFd>;

    /// [`Kernel::create`] as this user and group, with all rights of root. An overlay writes to its upper as whoever
    /// created it, and in an upper whose owners are shifted the host's root has no id to write with: the overlay would
    /// be read-only.
    ///
    /// # Errors
    /// As [`Kernel::create`], and `EPERM` where the rights cannot be kept.
    fn create_as(
        &self,
        context: &OwnedFd,
        attributes: MountAttributes,
        owner: u32,
    ) -> io::Result<OwnedFd>;

    /// What the file system said about the last error, or nothing.
    fn explain(&self, context: &OwnedFd) -> String;

    /// Opens a path as a mere reference (`O_PATH`), through symbolic links.
    ///
    /// # Errors
    /// As `open`.
    fn open_path(&self, path: &Path) -> io::Result<OwnedFd>;

    /// Opens a file to be read, such as a namespace in `/proc`.
    ///
    /// # Errors
    /// As `open`.
    fn open_file(&self, path: &Path) -> io::Result<OwnedFd>;

    /// Opens `path` below `directory` as a mere reference, refusing every symbolic link (`openat2`).
    ///
    /// # Errors
    /// `ELOOP` where a component is a symbolic link.
    fn open_beneath(&self, directory: &OwnedFd, path: &Path) -> io::Result<OwnedFd>;

    /// Makes a directory of this name in `directory`, which only its owner may enter (`mkdirat`).
    ///
    /// # Errors
    /// As `mkdir`.
    fn make_directory(&self, directory: &OwnedFd, name: &str) -> io::Result<()>;

    /// Makes a second, detached mount of what is at `path` below `directory`; with everything mounted below it if
    /// `recursive` (`open_tree`).
    ///
    /// # Errors
    /// As `open_tree`; in words where there may be no more mounts.
    fn clone_mount(
        &self,
        directory: Option<&OwnedFd>,
        path: &Path,
        recursive: bool,
    ) -> io::Result<OwnedFd>;

    /// Changes the attributes of a mount, and of all below it if `recursive` (`mount_setattr`).
    ///
    /// # Errors
    /// As `mount_setattr`.
    fn set_attributes(
        &self,
        mount: &OwnedFd,
        set: MountAttributes,
        recursive: bool,
    ) -> io::Result<()>;

    /// Gives one mount exactly these flags: those that it has besides go.
    ///
    /// # Errors
    /// `EPERM` for a flag that is locked.
    fn replace_attributes(&self, mount: &OwnedFd, attributes: MountAttributes) -> io::Result<()>;

    /// Makes one mount shared, in a group of its own, or private.
    ///
    /// # Errors
    /// As `mount_setattr`.
    fn set_shared(&self, mount: &OwnedFd, shared: bool) -> io::Result<()>;

    /// Shifts the owners on a detached mount as this user namespace says (`mount_setattr`).
    ///
    /// # Errors
    /// `EINVAL` where the file system cannot be shifted.
    fn shift_owners(&self, mount: &OwnedFd, namespace: &OwnedFd) -> io::Result<()>;

    /// Makes a user namespace whose ids `0..count` are `first..first + count` outside; the descriptor keeps it alive.
    /// For shifting mounts.
    ///
    /// # Errors
    /// In words where there is none to be had: too many of them, none in this kernel, no privilege, or inside a chroot.
    fn user_namespace(&self, first: u32, count: u32) -> io::Result<OwnedFd>;

    /// Attaches a mount on what `target` refers to; one that is attached elsewhere moves (`move_mount`).
    ///
    /// # Errors
    /// As `move_mount`; in words where the namespace has as many mounts as it may have.
    fn attach(&self, mount: &OwnedFd, target: &OwnedFd) -> io::Result<()>;

    /// Takes the topmost mount off `path`. `lazy` succeeds while it is in use; it then vanishes with its last user.
    ///
    /// # Errors
    /// `EINVAL` where nothing is mounted there, `EBUSY` where it is in use.
    fn detach(&self, path: &Path, lazy: bool) -> io::Result<()>;

    /// Gives the calling process namespaces of its own.
    ///
    /// # Errors
    /// `EPERM` without privilege.
    fn unshare(&self, namespaces: Namespaces) -> io::Result<()>;

    /// No mount travels into or out of the calling process's mount namespace any more.
    ///
    /// # Errors
    /// As `mount`.
    fn make_mounts_private(&self) -> io::Result<()>;

    /// No mount travels out of the calling process's mount namespace any more; those of the namespace it came from still
    /// travel in.
    ///
    /// # Errors
    /// As `mount`.
    fn make_mounts_followers(&self) -> io::Result<()>;

    /// The number of the mount that an open file lies in, as in `/proc/PID/mountinfo` (`statx`).
    ///
    /// # Errors
    /// `EOPNOTSUPP` before Linux 5.8.
    fn mount_id(&self, file: &OwnedFd) -> io::Result<u64>;

    /// Takes the mount that `mount` was opened at out of the calling process's mount namespace, with everything in it;
    /// lazily.
    ///
    /// # Errors
    /// As `umount2`.
    fn detach_mount(&self, mount: &OwnedFd) -> io::Result<()>;

    /// The calling process sees the mounts of this namespace from now on; its root and directory are the uppermost of the
    /// mounts that lie on each other at the root of it.
    ///
    /// # Errors
    /// `EINVAL` in a process with more than one thread.
    fn enter_mounts(&self, namespace: &OwnedFd) -> io::Result<()>;

    /// The calling process has this root and directory from now on (`chroot`).
    ///
    /// # Errors
    /// As `fchdir` and `chroot`.
    fn change_root(&self, root: &OwnedFd) -> io::Result<()>;

    /// Makes `root` the root of the calling process's mount namespace and of every process whose root or directory the
    /// present one was. One of the two lies on the other; they change places, so that doing it again with the other one
    /// undoes it.
    ///
    /// # Errors
    /// `EINVAL` where the present root is a ramdisk or shared, `EBUSY` where it is `root` already.
    fn pivot_to(&self, root: &OwnedFd) -> io::Result<()>;

    /// The file system at `path` forgets what it remembers of names that nobody uses (a reconfiguration of nothing).
    ///
    /// # Errors
    /// As `fspick` and `fsconfig`.
    fn forget_names(&self, path: &Path) -> io::Result<()>;

    /// Makes a detached mount the root of the calling process's mount namespace; nothing else stays reachable.
    ///
    /// # Errors
    /// `EINVAL` where the present root is a ramdisk.
    fn pivot_into(&self, root: &OwnedFd) -> io::Result<()>;

    /// Names the calling process's uts namespace.
    ///
    /// # Errors
    /// `EINVAL` for a name of more than 64 bytes.
    fn set_hostname(&self, name: &str) -> io::Result<()>;

    /// Brings up `lo` in the calling process's net namespace.
    ///
    /// # Errors
    /// As `ioctl`.
    fn bring_up_loopback(&self) -> io::Result<()>;

    /// Gives up every capability but these, in all sets, for ever.
    ///
    /// # Errors
    /// As `prctl` and `capset`.
    fn keep_capabilities(&self, keep: CapabilitySet) -> io::Result<()>;

    /// No program that is executed from now on gains privileges.
    ///
    /// # Errors
    /// As `prctl`.
    fn no_new_privileges(&self) -> io::Result<()>;

    /// Every system call of the calling process and its children passes this filter from now on.
    ///
    /// # Errors
    /// `EINVAL` for a program that the kernel's checker refuses.
    fn filter_system_calls(&self, program: &[FilterInstruction]) -> io::Result<()>;
}

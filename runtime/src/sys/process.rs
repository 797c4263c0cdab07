//! Processes: forking the single-threaded helper, a user namespace without a process, and the end of everyone.
#![expect(unsafe_code, reason = "fork, clone and kill(-1) have no safe form")]

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

/// Which side of a fork this is.
#[derive(Debug)]
pub enum Forked {
    /// The new process.
    Child,
    /// The old one, with the number of the new.
    Parent(Pid),
}

/// Forks. For processes with one thread only: the child of another may find any lock held.
///
/// # Errors
/// `EINVAL` where this process has more than one thread, else as `fork`.
pub fn fork() -> io::Result<Forked> {
    let threads = fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: there is no other thread, so the child starts from a consistent state.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        child => Pid::from_raw(child)
            .map(Forked::Parent)
            .ok_or_else(|| io::ErrorKind::InvalidData.into()),
    }
}

/// Kills every process of this pid namespace but the caller, which must be its PID 1 (elsewhere it does nothing).
pub fn kill_everyone_else() {
    signal_everyone_else(libc::SIGKILL);
}

/// Whether any other process, even a dead one not yet waited for, is in this pid namespace. Asked by its PID 1.
pub fn others_live() -> bool {
    signal_everyone_else(0)
}

fn signal_everyone_else(signal: libc::c_int) -> bool {
    if std::process::id() != 1 {
        return false;
    }
    // SAFETY: kill touches no memory of ours. As PID 1 of a namespace, -1 is everyone in it but ourselves.
    unsafe { libc::kill(-1, signal) == 0 }
}

/// Every descriptor from `first` on closes when this process executes something.
///
/// # Errors
/// `ENOSYS` before Linux 5.11.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: only flags of descriptors change; none is closed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The calling process no longer possesses the keys of whoever started it. Kernels without keys are fine.
pub fn leave_session_keyring() {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name makes a new anonymous keyring; no memory is passed.
    unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, 0_usize) };
}

/// [`super::Kernel::user_namespace`]. About 0.1 ms; safe with any number of threads.
///
/// The child that holds it shares our memory, so that no page tables are copied, and has a stack of its own. It is ended
/// by a signal, not by the end of a pipe: a child that another thread makes at the same time has copies of all our
/// descriptors, and two such children would wait for each other for ever.
pub(super) fn user_namespace(first: u32, count: u32) -> io::Result<OwnedFd> {
    let mut stack = vec![0_u128; CHILD_STACK / size_of::<u128>()];
    let top = stack.as_mut_ptr_range().end;
    let parent = rustix::process::getpid().as_raw_pid();
    // The child inherits it: no handler of ours runs on that stack, and no call there is interrupted and writes `errno`,
    // which is this thread's too.
    let blocked = SignalsBlocked::new()?;
    let flags = libc::CLONE_NEWUSER | libc::CLONE_VM | libc::SIGCHLD;
    let parent_number = std::ptr::without_provenance_mut(usize::try_from(parent).unwrap_or(0));
    // SAFETY: the stack is aligned, lives until the child was waited for below, and is large enough for what the child
    // does: system calls that cannot fail. It touches no lock, no allocator, no descriptor and no other memory of ours.
    let child = unsafe { libc::clone(wait_for_the_end, top.cast(), flags, parent_number) };
    let error = io::Error::last_os_error();
    drop(blocked);
    let Some(pid) = Pid::from_raw(child).filter(|_| child > 0) else {
        return Err(no_user_namespace(error));
    };
    let namespace = map_ids(child, first, count);
    // It is ours and not waited for yet, so it is there. Its stack must not go before it does.
    rustix::process::kill_process(pid, Signal::KILL).ok();
    while matches!(
        rustix::process::waitpid(Some(pid), WaitOptions::empty()),
        Err(Errno::INTR)
    ) {}
    drop(stack);
    namespace
}

/// What the numbers of this one call mean: `ENOSPC` would be taken for a full disk.
fn no_user_namespace(error: io::Error) -> io::Error {
    let why = match error.raw_os_error() {
        Some(libc::ENOSPC) => {
            "this host gives out no more user namespaces (sysctl user.max_user_namespaces)"
        }
        Some(libc::EINVAL) => "this kernel was built without user namespaces (CONFIG_USER_NS)",
        Some(libc::EPERM) => {
            "this process may make no user namespace: it has no right to, or runs in a chroot"
        }
        _ => return error,
    };
    io::Error::other(why)
}

/// Bytes of stack for [`wait_for_the_end`], which needs a few hundred.
const CHILD_STACK: usize = 16 << 10;

/// The child of [`user_namespace`]: does nothing until it is killed, at the latest when its parent ends.
extern "C" fn wait_for_the_end(parent: *mut libc::c_void) -> libc::c_int {
    // SAFETY: one flag of this process; no memory is passed.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // SAFETY: asks for a number. Another parent than ours: it ended before the line above.
    while usize::try_from(unsafe { libc::getppid() }) == Ok(parent.addr()) {
        // SAFETY: waits for a signal, and all but the one that ends this process are blocked.
        unsafe { libc::pause() };
    }
    // SAFETY: ends without running anything of the parent's.
    unsafe { libc::_exit(0) }
}

/// This thread gets no signals while it lives.
struct SignalsBlocked {
    before: libc::sigset_t,
}

impl SignalsBlocked {
    fn new() -> io::Result<Self> {
        let mut all = std::mem::MaybeUninit::uninit();
        // SAFETY: writes the whole set.
        unsafe { libc::sigfillset(all.as_mut_ptr()) };
        let mut before = std::mem::MaybeUninit::uninit();
        let how = libc::SIG_SETMASK;
        // SAFETY: reads the set that was filled above, writes the other one.
        match unsafe { libc::pthread_sigmask(how, all.as_ptr(), before.as_mut_ptr()) } {
            0 => Ok(Self {
                // SAFETY: the call above succeeded, so it wrote it.
                before: unsafe { before.assume_init() },
            }),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: reads a set that the kernel gave.
        unsafe {
            libc::pthread_sigmask(
                libc::SIG_SETMASK,
                &raw const self.before,
                std::ptr::null_mut(),
            )
        };
    }
}

fn map_ids(child: libc::pid_t, first: u32, count: u32) -> io::Result<OwnedFd> {
    for map in ["uid_map", "gid_map"] {
        // One write each: the kernel takes a map whole or not at all.
        let mut file = fs::OpenOptions::new()
            .write(true)
            .open(format!("/proc/{child}/{map}"))?;
        file.write_all(format!("0 {first} {count}\n").as_bytes())?;
    }
    Ok(fs::File::open(format!("/proc/{child}/ns/user"))?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_user_namespaces_is_not_taken_for_a_full_disk() {
        for (number, words) in [
            (libc::ENOSPC, "user.max_user_namespaces"),
            (libc::EINVAL, "CONFIG_USER_NS"),
            (libc::EPERM, "chroot"),
        ] {
            let error = no_user_namespace(io::Error::from_raw_os_error(number));
            assert_eq!(error.kind(), io::ErrorKind::Other);
            assert!(error.to_string().contains(words), "{error}");
        }
        let other = no_user_namespace(io::Error::from_raw_os_error(libc::ENOMEM));
        assert_eq!(other.raw_os_error(), Some(libc::ENOMEM));
    }
}

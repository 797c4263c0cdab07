//! Projects and their quotas: which files belong to one, and how many bytes these may have on disk. ext4, xfs and f2fs know
//! both; the calls are the same.
#![expect(unsafe_code, reason = "ioctl and quotactl_fd have no safe form")]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd as _};

/// `struct fsxattr` of `linux/fs.h`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
struct Attributes {
    flags: u32,
    _extent_size: u32,
    _extents: u32,
    project: u32,
    _extent_size_of_copies: u32,
    _padding: [u8; 8],
}

/// `_IOR('X', 31, struct fsxattr)` and `_IOW('X', 32, struct fsxattr)`.
const GET_ATTRIBUTES: libc::Ioctl = 0x801c_581f;
const SET_ATTRIBUTES: libc::Ioctl = 0x401c_5820;

/// What is made in the directory belongs to its project (`FS_XFLAG_PROJINHERIT`).
const INHERIT: u32 = 0x200;

/// The kind of quota in the lowest byte of a command (`QCMD`, `PRJQUOTA`).
const OF_PROJECTS: u32 = 2;
const GET_QUOTA: u32 = 0x80_0007;
const SET_QUOTA: u32 = 0x80_0008;
/// `Q_XGETQSTAT`, which ext4 knows too.
const GET_STATE: u32 = 0x5805;

/// Limits of projects are obeyed (`FS_QUOTA_PDQ_ENFD`).
const ENFORCED: u16 = 1 << 5;

/// `struct fs_quota_stat` of `linux/dqblk_xfs.h`, of which the flags are read.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
struct State {
    _version: i8,
    flags: u16,
    _rest: [u64; 16],
}

/// What a project has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectUse {
    /// Bytes on disk.
    pub bytes: u64,
    /// Files, directories and everything else.
    pub inodes: u64,
    /// How many bytes it may have; 0 is any number.
    pub limit: u64,
}

/// Whether the file system of an open file obeys limits of projects.
///
/// # Errors
/// `ENOSYS` where they are off, or neither kernel nor file system knows them.
pub fn project_quotas_are_on(file: impl AsFd) -> io::Result<bool> {
    let mut state = State::default();
    // SAFETY: the kernel writes a structure of this command's, which is no larger than `state`.
    unsafe { quotactl(file, GET_STATE, 0, (&raw mut state).cast()) }?;
    Ok(state.flags & ENFORCED != 0)
}

/// The project of an open file; 0 is none.
///
/// # Errors
/// `ENOTTY` where the file system knows no projects.
pub fn project(file: impl AsFd) -> io::Result<u32> {
    Ok(attributes(file)?.project)
}

/// Makes an open directory one of this project, and what is made in it from now on.
///
/// # Errors
/// `EOPNOTSUPP` where the file system knows no projects.
pub fn set_project(directory: impl AsFd, project: u32) -> io::Result<()> {
    let mut attributes = attributes(directory.as_fd())?;
    attributes.flags |= INHERIT;
    attributes.project = project;
    let descriptor = directory.as_fd().as_raw_fd();
    // SAFETY: the command reads an fsxattr, which `attributes` is.
    check(unsafe { libc::ioctl(descriptor, SET_ATTRIBUTES, &raw const attributes) }.into())
}

/// What a project has on the file system of an open file.
///
/// # Errors
/// `ESRCH` where quotas of projects are off.
pub fn project_use(file: impl AsFd, project: u32) -> io::Result<ProjectUse> {
    let quota = quota(file, project)?;
    Ok(ProjectUse {
        bytes: quota.dqb_curspace,
        inodes: quota.dqb_curinodes,
        limit: quota.dqb_bhardlimit.saturating_mul(1024),
    })
}

/// Limits the bytes of a project on the file system of an open file, to whole KiB; 0 is no limit.
///
/// # Errors
/// `ESRCH` where quotas of projects are off.
pub fn limit_project(file: impl AsFd, project: u32, bytes: u64) -> io::Result<()> {
    const BLOCK_LIMITS: u32 = 1; // QIF_BLIMITS
    // SAFETY: all-zero bytes are a valid dqblk.
    let mut quota: libc::dqblk = unsafe { mem::zeroed() };
    quota.dqb_bhardlimit = bytes.div_ceil(1024);
    quota.dqb_valid = BLOCK_LIMITS;
    // SAFETY: the command reads a dqblk, which `quota` is.
    unsafe { quotactl(file, SET_QUOTA, project, (&raw mut quota).cast()) }
}

fn attributes(file: impl AsFd) -> io::Result<Attributes> {
    let mut attributes = Attributes::default();
    let descriptor = file.as_fd().as_raw_fd();
    // SAFETY: the command writes an fsxattr, which `attributes` is.
    check(unsafe { libc::ioctl(descriptor, GET_ATTRIBUTES, &raw mut attributes) }.into())?;
    Ok(attributes)
}

fn quota(file: impl AsFd, project: u32) -> io::Result<libc::dqblk> {
    // SAFETY: all-zero bytes are a valid dqblk.
    let mut quota: libc::dqblk = unsafe { mem::zeroed() };
    // SAFETY: the command writes a dqblk, which `quota` is.
    match unsafe { quotactl(file, GET_QUOTA, project, (&raw mut quota).cast()) } {
        // xfs knows nothing of a project that never had anything.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(quota),
    }
}

/// # Safety
/// `data` must point to what the kernel reads or writes for this command.
unsafe fn quotactl(
    file: impl AsFd,
    command: u32,
    project: u32,
    data: *mut libc::c_void,
) -> io::Result<()> {
    let command = command << 8 | OF_PROJECTS;
    let descriptor = file.as_fd().as_raw_fd();
    // SAFETY: as the caller promises.
    check(unsafe { libc::syscall(libc::SYS_quotactl_fd, descriptor, command, project, data) })
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

//! The real kernel.
#![expect(unsafe_code, reason = "calls that rustix has no safe form of")]

use super::{CapabilitySet, FilterInstruction, Kernel, MountAttributes, Namespaces, Setting};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags,
};
use rustix::thread::{CapabilitySets, Gid, LinkNameSpaceType, Uid};
use std::io;
use std::mem;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// Every flag of a mount that can be set and cleared alone.
const FLAGS: MountAttributes = MountAttributes::MOUNT_ATTR_RDONLY
    .union(MountAttributes::MOUNT_ATTR_NOSUID)
    .union(MountAttributes::MOUNT_ATTR_NODEV)
    .union(MountAttributes::MOUNT_ATTR_NOEXEC)
    .union(MountAttributes::MOUNT_ATTR_NODIRATIME)
    .union(MountAttributes::MOUNT_ATTR_NOSYMFOLLOW);

/// The kernel this process runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Linux;

impl Kernel for Linux {
    fn new_filesystem(&self, kind: &str) -> io::Result<OwnedFd> {
        Ok(rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?)
    }

    fn configure(&self, context: &OwnedFd, key: &str, value: Setting<'_>) -> io::Result<()> {
        match value {
            Setting::Flag => rustix::mount::fsconfig_set_flag(context, key)?,
            Setting::Text(text) => rustix::mount::fsconfig_set_string(context, key, text)?,
            Setting::Descriptor(descriptor) => {
                rustix::mount::fsconfig_set_fd(context, key, descriptor)?;
            }
        }
        Ok(())
    }

    fn create(&self, context: &OwnedFd, attributes: MountAttributes) -> io::Result<OwnedFd> {
        rustix::mount::fsconfig_create(context)?;
        let flags = FsMountFlags::FSMOUNT_CLOEXEC;
        Ok(rustix::mount::fsmount(context, flags, attributes)?)
    }

    fn create_as(
        &self,
        context: &OwnedFd,
        attributes: MountAttributes,
        owner: u32,
    ) -> io::Result<OwnedFd> {
        // Ids are a thread's own for the kernel; this one ends with the borrowed identity.
        let create = || {
            become_with_all_rights(owner)?;
            self.create(context, attributes)
        };
        let created = std::thread::scope(|scope| scope.spawn(create).join());
        created.unwrap_or_else(|_| Err(io::Error::other("the mounting thread ended early")))
    }

    fn explain(&self, context: &OwnedFd) -> String {
        let mut words = Vec::new();
        let mut line = [0_u8; 512];
        // One message per read, `ENODATA` after the last; the kernel keeps eight.
        while let Ok(length) = rustix::io::read(context, &mut line)
            && length > 0
        {
            let text = String::from_utf8_lossy(&line[..length]);
            // "e overlay: text": first comes one letter, the severity.
            let text = text.trim();
            words.push(text.get(2..).unwrap_or(text).to_owned());
        }
        words.join("; ")
    }

    fn open_path(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        Ok(rustix::fs::open(path, flags, Mode::empty())?)
    }

    fn open_file(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(path, flags, Mode::empty())?)
    }

    fn open_beneath(&self, directory: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
        Ok(rustix::fs::openat2(
            directory,
            path,
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        )?)
    }

    fn make_directory(&self, directory: &OwnedFd, name: &str) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(directory, name, Mode::RWXU)?)
    }

    fn clone_mount(
        &self,
        directory: Option<&OwnedFd>,
        path: &Path,
        recursive: bool,
    ) -> io::Result<OwnedFd> {
        let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH;
        if recursive {
            flags |= OpenTreeFlags::AT_RECURSIVE;
        }
        let directory = directory.map_or(CWD, |directory| directory.as_fd());
        rustix::mount::open_tree(directory, path, flags).map_err(too_many_mounts)
    }

    fn set_attributes(
        &self,
        mount: &OwnedFd,
        set: MountAttributes,
        recursive: bool,
    ) -> io::Result<()> {
        mount_setattr(mount, setting(set), recursive)
    }

    fn replace_attributes(&self, mount: &OwnedFd, attributes: MountAttributes) -> io::Result<()> {
        // The kinds of access time are one value of several bits, of which zero is one: they are cleared together.
        let cleared = FLAGS.difference(attributes) | MountAttributes::MOUNT_ATTR__ATIME;
        let exactly = libc::mount_attr {
            attr_clr: u64::from(cleared.bits()),
            ..setting(attributes)
        };
        mount_setattr(mount, exactly, false)
    }

    fn set_shared(&self, mount: &OwnedFd, shared: bool) -> io::Result<()> {
        let propagation = if shared {
            libc::MS_SHARED
        } else {
            libc::MS_PRIVATE
        };
        let attributes = libc::mount_attr {
            propagation,
            ..setting(MountAttributes::empty())
        };
        mount_setattr(mount, attributes, false)
    }

    fn shift_owners(&self, mount: &OwnedFd, namespace: &OwnedFd) -> io::Result<()> {
        let attributes = libc::mount_attr {
            userns_fd: namespace.as_raw_fd().unsigned_abs().into(),
            ..setting(MountAttributes::MOUNT_ATTR_IDMAP)
        };
        mount_setattr(mount, attributes, false)
    }

    fn user_namespace(&self, first: u32, count: u32) -> io::Result<OwnedFd> {
        super::process::user_namespace(first, count)
    }

    fn attach(&self, mount: &OwnedFd, target: &OwnedFd) -> io::Result<()> {
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(mount, "", target, "", flags).map_err(too_many_mounts)
    }

    fn detach(&self, path: &Path, lazy: bool) -> io::Result<()> {
        let mut flags = UnmountFlags::NOFOLLOW;
        if lazy {
            flags |= UnmountFlags::DETACH;
        }
        Ok(rustix::mount::unmount(path, flags)?)
    }

    fn unshare(&self, namespaces: Namespaces) -> io::Result<()> {
        // SAFETY: no FILES flag is passed by this crate, so no descriptor that another thread relies on changes.
        unsafe { rustix::thread::unshare_unsafe(namespaces) }?;
        Ok(())
    }

    fn make_mounts_private(&self) -> io::Result<()> {
        let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        Ok(rustix::mount::mount_change("/", flags)?)
    }

    fn make_mounts_followers(&self) -> io::Result<()> {
        let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        Ok(rustix::mount::mount_change("/", flags)?)
    }

    fn mount_id(&self, file: &OwnedFd) -> io::Result<u64> {
        let found = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
        if found.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(found.stx_mnt_id)
    }

    fn detach_mount(&self, mount: &OwnedFd) -> io::Result<()> {
        rustix::process::fchdir(mount)?;
        Ok(rustix::mount::unmount(".", UnmountFlags::DETACH)?)
    }

    fn enter_mounts(&self, namespace: &OwnedFd) -> io::Result<()> {
        let kind = Some(LinkNameSpaceType::Mount);
        for _ in 0..100 {
            match rustix::thread::move_into_link_name_space(namespace.as_fd(), kind) {
                // A thread that has been joined shares our root for a moment more, until the kernel is done with it.
                Err(Errno::INVAL) => std::thread::sleep(Duration::from_millis(1)),
                other => return Ok(other?),
            }
        }
        Err(Errno::INVAL.into())
    }

    fn forget_names(&self, path: &Path) -> io::Result<()> {
        let context = rustix::mount::fspick(CWD, path, FsPickFlags::FSPICK_CLOEXEC)?;
        Ok(rustix::mount::fsconfig_reconfigure(&context)?)
    }

    fn pivot_into(&self, root: &OwnedFd) -> io::Result<()> {
        let here = self.open_path(Path::new("/"))?;
        self.attach(root, &here)?;
        self.pivot_to(root)?;
        // What lies on the directory goes, not what the directory is in.
        rustix::mount::unmount(".", UnmountFlags::DETACH)?;
        Ok(rustix::process::chdir("/")?)
    }

    fn change_root(&self, root: &OwnedFd) -> io::Result<()> {
        rustix::process::fchdir(root)?;
        Ok(rustix::process::chroot(".")?)
    }

    fn pivot_to(&self, root: &OwnedFd) -> io::Result<()> {
        rustix::process::fchdir(root)?;
        // Both the same directory: of two roots that lie on each other, the lower one comes to lie on the upper.
        Ok(rustix::process::pivot_root(".", ".")?)
    }

    fn set_hostname(&self, name: &str) -> io::Result<()> {
        // SAFETY: pointer and length are those of one live string.
        check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) })
    }

    fn bring_up_loopback(&self) -> io::Result<()> {
        const UP: libc::c_short = 1; // IFF_UP, in the width that an ifreq has for it
        let socket = rustix::net::socket_with(
            rustix::net::AddressFamily::INET,
            rustix::net::SocketType::DGRAM,
            rustix::net::SocketFlags::CLOEXEC,
            None,
        )?;
        // SAFETY: all-zero bytes are a valid ifreq.
        let mut request: libc::ifreq = unsafe { mem::zeroed() };
        for (place, byte) in request.ifr_name.iter_mut().zip(b"lo") {
            *place = byte.cast_signed();
        }
        request.ifr_ifru.ifru_flags = UP;
        // SAFETY: SIOCSIFFLAGS reads an ifreq, which `request` is.
        check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) })
    }

    fn keep_capabilities(&self, keep: CapabilitySet) -> io::Result<()> {
        for number in 0..64 {
            let capability = CapabilitySet::from_bits_retain(1 << number);
            if keep.contains(capability) {
                continue;
            }
            match rustix::thread::remove_capability_from_bounding_set(capability) {
                Err(Errno::INVAL) => break, // beyond the last one this kernel knows
                other => other?,
            }
        }
        rustix::thread::clear_ambient_capability_set()?;
        let held = rustix::thread::capabilities(None)?.permitted & keep;
        let sets = CapabilitySets {
            effective: held,
            permitted: held,
            inheritable: CapabilitySet::empty(),
        };
        Ok(rustix::thread::set_capabilities(None, sets)?)
    }

    fn no_new_privileges(&self) -> io::Result<()> {
        Ok(rustix::thread::set_no_new_privs(true)?)
    }

    fn filter_system_calls(&self, program: &[FilterInstruction]) -> io::Result<()> {
        let length = u16::try_from(program.len()).map_err(io::Error::other)?;
        let program = libc::sock_fprog {
            len: length,
            filter: program.as_ptr().cast_mut().cast(),
        };
        // SAFETY: FilterInstruction has the layout of sock_filter, `len` is the slice's, and the kernel only reads it.
        check(unsafe {
            libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            )
        })
    }
}

/// What `ENOSPC` means of a mount that is made or attached: it would be taken for a full disk.
fn too_many_mounts(error: Errno) -> io::Error {
    if error == Errno::NOSPC {
        return io::Error::other("there may be no more mounts here (sysctl fs.mount-max)");
    }
    error.into()
}

/// The calling thread becomes this user and group and keeps every capability.
fn become_with_all_rights(id: u32) -> io::Result<()> {
    let bits = rustix::thread::capabilities_secure_bits()?;
    let keep = rustix::thread::CapabilitiesSecureBits::NO_SETUID_FIXUP;
    rustix::thread::set_capabilities_secure_bits(bits | keep)?;
    let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
    rustix::thread::set_thread_res_gid(group, group, group)?;
    Ok(rustix::thread::set_thread_res_uid(user, user, user)?)
}

/// `mount_setattr` that sets these flags and no others.
fn setting(set: MountAttributes) -> libc::mount_attr {
    libc::mount_attr {
        attr_set: u64::from(set.bits()),
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    }
}

fn mount_setattr(mount: &OwnedFd, attributes: libc::mount_attr, recursive: bool) -> io::Result<()> {
    let mut flags = libc::AT_EMPTY_PATH;
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: the path is a constant C string, and the size is that of the structure passed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    check(if result == 0 { 0 } else { -1 })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

//! An open file as `/proc/PID/fdinfo` describes it: where it lies, what it was opened for, whether it is locked.

/// Whether a file that is open to read and write is nevertheless nobody's to lock: a journal of systemd. journald keeps
/// these open, mapped, in every container whose journals outlast a restart; it alone writes them, by design, whoever reads
/// them takes no lock, and data is the same through both overlays. To tie them would tie every such container, to a
/// service that comes back as fast as it is stopped.
pub(super) fn has_one_writer(path: &[u8]) -> bool {
    path.starts_with(b"/var/log/journal/") && path.ends_with(b".journal")
}

/// What a file was opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
    Both,
}

/// What `/proc/PID/fdinfo/N` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Descriptor {
    pub(super) mount: u64,
    pub(super) access: Access,
    pub(super) locked: bool,
}

impl Descriptor {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (mut mount, mut flags, mut locked) = (None, 0, false);
        let bytes = String::from_utf8_lossy(bytes);
        for line in bytes.lines() {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            match key {
                "mnt_id" => mount = value.trim().parse().ok(),
                "flags" => flags = u32::from_str_radix(value.trim(), 8).ok()?,
                "lock" => locked = true,
                _ => {}
            }
        }
        Some(Self {
            mount: mount?,
            access: match flags & 3 {
                0 => Access::Read,
                1 => Access::Write,
                // O_RDWR; and 3, for which there is no name.
                _ => Access::Both,
            },
            locked,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_access_and_lock_are_read() {
        let info = b"pos:\t0\nflags:\t02100001\nmnt_id:\t68\nino:\t5\nlock:\t1: FLOCK  ADVISORY  WRITE 3 00:27:5 0 EOF\n";
        let info = Descriptor::parse(info).unwrap();
        assert_eq!((info.mount, info.locked), (68, true));
        assert_eq!(Descriptor::parse(b"flags:\t0\n"), None);
        for (flags, access) in [
            ("0100000", Access::Read),
            ("02100001", Access::Write),
            ("02", Access::Both),
        ] {
            let info = format!("flags:\t{flags}\nmnt_id:\t68\n");
            assert_eq!(Descriptor::parse(info.as_bytes()).unwrap().access, access);
        }
    }

    #[test]
    fn only_journals_have_one_writer() {
        assert!(has_one_writer(b"/var/log/journal/0123/user-1000.journal"));
        for other in [
            &b"/var/log/journal/0123/x.db"[..],
            b"/var/lib/app.journal",
            b"/var/lib/app.db-journal",
        ] {
            assert!(!has_one_writer(other));
        }
    }
}

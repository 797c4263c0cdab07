//! The processes of a running container, for who wants to know no more than that.

use super::freezer::Freezer;
use super::look::{Look as _, Procfs};
use crate::container::ContainerPaths;
use std::io;

/// Everybody in the cgroups of one container.
#[derive(Debug)]
pub(in crate::container) struct Members(Procfs);

impl Members {
    /// Of the container whose process 1 is `init`.
    pub(in crate::container) fn of(paths: &ContainerPaths, init: u32) -> io::Result<Self> {
        let freezer = Freezer::find(init, &paths.cgroup())?;
        let freezer = freezer.ok_or_else(|| io::Error::other("it is in no cgroup of its own"))?;
        Ok(Self(Procfs::open(freezer.group().to_owned())?))
    }

    /// Their numbers on the host, sorted.
    pub(in crate::container) fn pids(&self) -> io::Result<Vec<u32>> {
        self.0.processes()
    }

    /// A file below `/proc/PID`; [`io::ErrorKind::NotFound`] for a process that has ended.
    pub(in crate::container) fn read(&self, pid: u32, name: &str) -> io::Result<Vec<u8>> {
        self.0.read(pid, name)
    }
}

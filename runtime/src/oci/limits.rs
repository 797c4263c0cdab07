//! The limits of a running container, written into its cgroups in both kinds of hierarchy.
//!
//! A start leaves them to the OCI runtime; runtimes differ in what they can change later (runc's `update` knows no rate
//! of a disk), the kernel does not.

use super::Disk;
use crate::cgroup_mounts::hierarchies;
use crate::container::NoQuota;
use crate::container::config::Limits;
use std::fs;
use std::path::{Path, PathBuf};
use vzpkg_metadata::ByteSize;
use vzpkg_metadata::durable::FileError;

/// Microseconds in which a quota of processor time is given out.
pub(super) const PERIOD: u64 = 100_000;

/// The microseconds of each period for so many thousandths of a processor.
pub(super) fn quota(thousandths: u32) -> i64 {
    i64::from(thousandths) * 100
}

/// Why a limit was not changed.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// No mounted hierarchy of cgroups knows this limit.
    #[error("this host cannot limit {what}: no cgroup hierarchy has the controller `{controller}`")]
    NoController {
        /// What was to be limited.
        what: &'static str,
        /// What is missing.
        controller: &'static str,
    },
    /// The private area lies on no one disk.
    #[error("this host cannot limit input and output: `{}` is not on a disk of its own", path.display())]
    NoDisk {
        /// The private area.
        path: PathBuf,
    },
    /// The file system of the private area cannot limit it.
    #[error("{}", no_quota(path, *why))]
    NoQuota {
        /// The private area.
        path: PathBuf,
        /// Why.
        why: NoQuota,
    },
    /// It has more than it is to have.
    #[error("its private area has {used} already")]
    Full {
        /// What it has.
        used: ByteSize,
    },
    /// The kernel would not have it.
    #[error("the kernel refuses the limit of {what}")]
    Refused {
        /// What was to be limited.
        what: &'static str,
        /// Why.
        source: FileError,
    },
    /// The mounts cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

fn no_quota(path: &Path, why: NoQuota) -> String {
    let path = path.display();
    match why {
        NoQuota::Off => format!("the file system of `{path}` keeps no quotas of projects"),
        NoQuota::Older => {
            format!("`{path}` was made when its file system kept no quotas of projects")
        }
    }
}

/// One limit, as both kinds of hierarchy take it.
#[derive(Debug)]
struct Limit {
    what: &'static str,
    /// The controller in version 1, and the files with what goes into them.
    classic: (&'static str, Vec<(&'static str, String)>),
    /// The same in cgroup2.
    unified: (&'static str, Vec<(&'static str, String)>),
    /// Whether this limits; a controller that would only be told not to may be missing.
    limits: bool,
}

/// Gives the group `path` (as in `cgroupsPath`) these limits, and takes away those that are `None`. `disk` is that of the
/// private area `private`.
///
/// # Errors
/// [`LimitError`]; some may be changed then: apply the old ones.
pub fn apply(
    path: &Path,
    limits: &Limits,
    private: &Path,
    disk: Option<Disk>,
) -> Result<(), LimitError> {
    if limits.io.is_some() && disk.is_none() {
        let path = private.to_owned();
        return Err(LimitError::NoDisk { path });
    }
    let relative = path.strip_prefix("/").unwrap_or(path);
    let hierarchies = hierarchies()?;
    for limit in all(limits, disk) {
        let found = hierarchies.iter().find_map(|hierarchy| {
            let (controller, lines) = if hierarchy.is_unified() {
                &limit.unified
            } else {
                &limit.classic
            };
            let group = hierarchy.group_with(relative, controller)?;
            Some((group, lines))
        });
        match found {
            Some((group, lines)) => write(&group, limit.what, lines)?,
            None if limit.limits => {
                return Err(LimitError::NoController {
                    what: limit.what,
                    controller: limit.unified.0,
                });
            }
            None => {}
        }
    }
    Ok(())
}

fn all(limits: &Limits, disk: Option<Disk>) -> Vec<Limit> {
    let or = |value: Option<String>, none: &str| value.unwrap_or_else(|| none.to_owned());
    let memory = limits.memory.map(|memory| memory.0.to_string());
    let quota = limits.milli_cpus.map(|cpus| quota(cpus).to_string());
    let processes = or(limits.processes.map(|count| count.to_string()), "max");
    let mut all = vec![
        Limit {
            what: "memory",
            limits: memory.is_some(),
            classic: (
                "memory",
                vec![("memory.limit_in_bytes", or(memory.clone(), "-1"))],
            ),
            unified: ("memory", vec![("memory.max", or(memory, "max"))]),
        },
        Limit {
            what: "processor time",
            limits: quota.is_some(),
            classic: (
                "cpu",
                vec![
                    ("cpu.cfs_period_us", PERIOD.to_string()),
                    ("cpu.cfs_quota_us", or(quota.clone(), "-1")),
                ],
            ),
            unified: (
                "cpu",
                vec![("cpu.max", format!("{} {PERIOD}", or(quota, "max")))],
            ),
        },
        Limit {
            what: "the number of processes",
            limits: limits.processes.is_some(),
            classic: ("pids", vec![("pids.max", processes.clone())]),
            unified: ("pids", vec![("pids.max", processes)]),
        },
    ];
    all.extend(disk.map(|disk| input_and_output(limits.io, disk)));
    all
}

fn input_and_output(rate: Option<ByteSize>, disk: Disk) -> Limit {
    // 0 is no limit in version 1.
    let classic = format!("{disk} {}", rate.map_or(0, |rate| rate.0));
    let most = rate.map_or_else(|| "max".to_owned(), |rate| rate.0.to_string());
    Limit {
        what: "input and output",
        limits: rate.is_some(),
        classic: (
            "blkio",
            vec![
                ("blkio.throttle.read_bps_device", classic.clone()),
                ("blkio.throttle.write_bps_device", classic),
            ],
        ),
        unified: (
            "io",
            vec![("io.max", format!("{disk} rbps={most} wbps={most}"))],
        ),
    }
}

fn write(
    group: &Path,
    what: &'static str,
    lines: &[(&'static str, String)],
) -> Result<(), LimitError> {
    for (file, text) in lines {
        let path = group.join(file);
        fs::write(&path, text).map_err(|error| LimitError::Refused {
            what,
            source: FileError::on("write", path)(error),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(limits: &Limits, unified: bool) -> Vec<String> {
        let disk = Some(Disk {
            major: 8,
            minor: 16,
        });
        let all = all(limits, disk);
        let lines = all.into_iter().flat_map(|limit| {
            if unified {
                limit.unified.1
            } else {
                limit.classic.1
            }
        });
        lines.map(|(file, text)| format!("{file} {text}")).collect()
    }

    #[test]
    fn each_kind_of_hierarchy_is_told_in_its_own_words() {
        let limits = Limits {
            memory: Some(ByteSize(1 << 20)),
            milli_cpus: Some(1500),
            processes: Some(9),
            io: Some(ByteSize(4096)),
            disk: None,
        };
        assert_eq!(
            lines(&limits, true),
            [
                "memory.max 1048576",
                "cpu.max 150000 100000",
                "pids.max 9",
                "io.max 8:16 rbps=4096 wbps=4096",
            ]
        );
        assert_eq!(
            lines(&limits, false),
            [
                "memory.limit_in_bytes 1048576",
                "cpu.cfs_period_us 100000",
                "cpu.cfs_quota_us 150000",
                "pids.max 9",
                "blkio.throttle.read_bps_device 8:16 4096",
                "blkio.throttle.write_bps_device 8:16 4096",
            ]
        );
    }

    #[test]
    fn what_is_not_limited_is_let_go() {
        let none = Limits::default();
        assert_eq!(
            lines(&none, true),
            [
                "memory.max max",
                "cpu.max max 100000",
                "pids.max max",
                "io.max 8:16 rbps=max wbps=max",
            ]
        );
        assert!(lines(&none, false).contains(&"memory.limit_in_bytes -1".to_owned()));
        assert!(all(&none, None).iter().all(|limit| !limit.limits));
    }
}

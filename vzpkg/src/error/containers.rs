//! Errors of running containers to exit codes and advice: mounts, the OCI runtime, private areas, relinks. What is not
//! named here is of the environment.

use super::{CommandError, Kind};
use vzpkg_cache::changes::ResetError;
use vzpkg_runtime::container::{ContainerError, NoQuota, RelinkError};
use vzpkg_runtime::oci::{LimitError, OciError};
use vzpkg_runtime::rootfs::MountError;

/// What lets a file system keep quotas of projects.
const QUOTAS_ON: &str = "ext4: tune2fs -O project -Q prjquota DEVICE while it is not mounted, then mount -o prjquota; \
                         xfs: mount -o prjquota";

/// What helps where the kernel gives out no user namespace.
const NO_USER_NAMESPACE: &str = "sysctl -w user.max_user_namespaces=65536; or a container without ids of its own: \
                                 vzpkg ct create --user-namespace host";

impl From<MountError> for CommandError {
    fn from(error: MountError) -> Self {
        Self::new(Kind::Environment, error).hint("vzpkg doctor")
    }
}

impl From<OciError> for CommandError {
    fn from(error: OciError) -> Self {
        let none = matches!(error, OciError::NoneWorks { .. });
        let error = Self::new(Kind::Environment, error);
        if none {
            error.hint("install one: apt-get install runc")
        } else {
            error
        }
    }
}

impl From<ContainerError> for CommandError {
    fn from(error: ContainerError) -> Self {
        match error {
            ContainerError::File(error) => error.into(),
            ContainerError::Oci(error) => error.into(),
            ContainerError::Journal(error) => error.into(),
            ContainerError::NotRunning(ref id) => {
                let hint = format!("vzpkg ct start {id}");
                Self::new(Kind::Unmet, error).hint(hint)
            }
            ContainerError::NeverMade(ref id) => {
                let hint = format!("remove what is there of it: vzpkg ct destroy {id}");
                Self::new(Kind::Unmet, error).hint(hint)
            }
            ContainerError::Limit {
                source: LimitError::NoQuota { why, .. },
                ref container,
            } => {
                let hint = match why {
                    NoQuota::Off => QUOTAS_ON.to_owned(),
                    NoQuota::Older => {
                        format!("a copy of it can be limited: vzpkg ct clone {container} NAME")
                    }
                };
                Self::new(Kind::Unmet, error).hint(hint)
            }
            ContainerError::Limit { .. } => Self::new(Kind::Unmet, error),
            ContainerError::Mount {
                source: MountError::NoUserNamespace { .. },
                ..
            } => Self::new(Kind::Environment, error).hint(NO_USER_NAMESPACE),
            ContainerError::Unknown(_) | ContainerError::Exists(_) | ContainerError::Running(_) => {
                Self::new(Kind::Unmet, error)
            }
            other => Self::new(Kind::Environment, other),
        }
    }
}

impl From<ResetError> for CommandError {
    fn from(error: ResetError) -> Self {
        let hint = match &error {
            ResetError::NotPrivate { .. } => "vzpkg ct diff CT shows what is private".to_owned(),
            ResetError::Hidden { above, .. } => format!("reset that: /{above}"),
        };
        Self::new(Kind::Unmet, error).hint(hint)
    }
}

impl From<RelinkError> for CommandError {
    fn from(error: RelinkError) -> Self {
        match error {
            RelinkError::File(error) => error.into(),
            RelinkError::Container(error) => (*error).into(),
            RelinkError::Unknown(_)
            | RelinkError::Running(_)
            | RelinkError::Stale { .. }
            | RelinkError::Changed { .. }
            | RelinkError::NoUndo(_) => Self::new(Kind::Unmet, error),
            RelinkError::Bound { ref container, .. } => {
                let hint = format!("vzpkg ct relink --restart {container}");
                Self::new(Kind::Unmet, error).hint(hint)
            }
            RelinkError::Stuck { ref container, .. }
            | RelinkError::Helper { ref container, .. } => {
                let hint = format!(
                    "every command tries again; this one ends it, and the relink with it: vzpkg ct stop {container}"
                );
                Self::new(Kind::Environment, error).hint(hint)
            }
            RelinkError::Refused { ref container, .. } => {
                let hint = format!("stop it first: vzpkg ct stop {container}");
                Self::new(Kind::Unmet, error).hint(hint)
            }
            other => Self::new(Kind::Environment, other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_host_without_user_namespaces_is_not_told_to_free_its_disk() {
        let source = MountError::NoUserNamespace {
            path: "image".into(),
            source: io::Error::other("no more of them"),
        };
        let container = "web".parse().unwrap();
        let error = CommandError::from(ContainerError::Mount { container, source });
        assert_eq!(error.kind, Kind::Environment);
        assert_eq!(error.hints, [NO_USER_NAMESPACE]);
    }
}

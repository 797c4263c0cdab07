//! Errors of running containers to exit codes and advice: mounts, the OCI runtime, private areas, relinks. As exhaustive
//! as [`super::libraries`].

use super::{CommandError, Kind};
use vzpkg_cache::changes::ResetError;
use vzpkg_runtime::container::{ContainerError, NoQuota, RelinkError};
use vzpkg_runtime::oci::{LimitError, OciError};
use vzpkg_runtime::rootfs::MountError;

/// What lets a file system keep quotas of projects.
const QUOTAS_ON: &str = "ext4: tune2fs -O project -Q prjquota DEVICE while it is not mounted, then mount -o prjquota; \
                         xfs: mount -o prjquota";

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

//! Users and groups by name, in the container's own databases.

use super::beneath::open_file_inside;
use super::exec::running_root;
use super::{ContainerError, ContainerPaths};
use crate::oci::OciRuntime;
use std::io::Read as _;
use std::os::fd::AsFd;
use std::path::Path;

/// A user database is a few kilobytes; what is longer is not read.
const BYTES: u64 = 16 << 20;

/// The user and group ids of `user` in a running container, a name or a number. Without `group` a user has the one of its
/// line; one that is a number without a line has the group of its own number. `None` where there is no such user or group.
///
/// # Errors
/// [`ContainerError::Unknown`], [`ContainerError::NotRunning`], [`ContainerError::Oci`]
pub fn ids_of(
    paths: &ContainerPaths,
    user: &str,
    group: Option<&str>,
    runtime: &dyn OciRuntime,
) -> Result<Option<(u32, u32)>, ContainerError> {
    Ok(look_up(running_root(paths, runtime)?, user, group))
}

fn look_up(root: impl AsFd, user: &str, group: Option<&str>) -> Option<(u32, u32)> {
    let uid: Option<u32> = user.parse().ok();
    let line = match uid {
        Some(_) => line_where(&root, "/etc/passwd", 2, user),
        None => Some(line_where(&root, "/etc/passwd", 0, user)?),
    };
    let field = |at: usize| line.as_ref().and_then(|line| line.get(at)?.parse().ok());
    let uid = uid.or_else(|| field(2))?;
    let gid = match group {
        None => line.as_ref().map_or(Some(uid), |_| field(3))?,
        Some(group) => group.parse().ok().or_else(|| {
            let line = line_where(&root, "/etc/group", 0, group)?;
            line.get(2)?.parse().ok()
        })?,
    };
    Some((uid, gid))
}

/// The fields of the first line that has this text in the field of this number.
fn line_where(root: impl AsFd, file: &str, at: usize, text: &str) -> Option<Vec<String>> {
    let wanted = text;
    let text = database(root, file)?;
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    text.lines()
        .map(fields)
        .find(|fields| fields.get(at).is_some_and(|field| field == wanted))
}

/// The text of `/etc/passwd` and the like in the container; `None` where that is no file of its own.
pub(super) fn database(root: impl AsFd, file: &str) -> Option<String> {
    let file = open_file_inside(root, Path::new(file)).ok()?;
    let mut bytes = Vec::new();
    file.take(BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::beneath::open_root;
    use super::*;
    use std::fs;

    #[test]
    fn users_and_groups_are_those_of_the_container() {
        let directory = tempfile::tempdir().unwrap();
        let etc = directory.path().join("etc");
        fs::create_dir(&etc).unwrap();
        let root = open_root(directory.path()).unwrap();
        assert_eq!(look_up(&root, "web", None), None);
        assert_eq!(look_up(&root, "7", None), Some((7, 7)));
        fs::write(
            etc.join("passwd"),
            "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\nbad\n",
        )
        .unwrap();
        fs::write(etc.join("group"), "root:x:0:\nlog:x:4:web\n").unwrap();
        for (user, group, ids) in [
            ("web", None, Some((33, 34))),
            ("web", Some("log"), Some((33, 4))),
            ("web", Some("5"), Some((33, 5))),
            ("33", None, Some((33, 34))),
            ("33", Some("log"), Some((33, 4))),
            ("33", Some("1"), Some((33, 1))),
            ("web", Some("nogroup"), None),
            ("bad", None, None),
            ("", None, None),
        ] {
            assert_eq!(look_up(&root, user, group), ids, "{user} {group:?}");
        }
    }
}

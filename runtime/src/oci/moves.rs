//! The kernel's wait before a process moves between control groups, begun while there is other work.
//!
//! All moves take one lock, which forks and exits only look at. Whoever takes it waits until every processor knows, a grace
//! period of RCU: 5 to 12 ms, which is a third of what an OCI runtime takes to make a container. A move that follows within
//! some 15 ms does not wait again. (`favordynmods` in the kernel's cgroup-v2.rst makes that last for ever, and every fork
//! dearer.) So a move that changes nothing is made ahead of the runtime's: ours, to where we are.

use crate::cgroup_mounts::hierarchies;
use std::fs;
use std::path::PathBuf;

/// Moves this process to the control group it is in. Takes as long as the kernel waits, and makes the next move of any
/// process quick. That is all it is for, so nothing is lost where it cannot be done.
///
/// Meanwhile nobody can make or remove a group.
pub fn begin() {
    if let Some(group) = own_group() {
        let own = std::process::id().to_string();
        drop(fs::write(group.join("cgroup.procs"), own));
    }
}

/// Our group in a hierarchy without controllers, which have nothing to do then.
fn own_group() -> Option<PathBuf> {
    let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
    let hierarchies = hierarchies().ok()?;
    let delegated = hierarchies.iter().filter(|one| one.is_delegated());
    let mut groups = delegated.filter_map(|one| {
        let path = one.path_of(&membership)?;
        Some(one.place(one.below(path)?))
    });
    groups.find(|group| group.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "needs root: make check runs it"]
    fn privileged_a_move_to_where_we_are_changes_nothing() {
        let own = std::process::id().to_string();
        let group = own_group().unwrap();
        let is_member = || {
            let members = fs::read_to_string(group.join("cgroup.procs")).unwrap();
            members.lines().any(|member| member == own)
        };
        let before = fs::read_to_string("/proc/self/cgroup").unwrap();
        assert!(is_member(), "{group:?}");
        fs::write(group.join("cgroup.procs"), &own).unwrap();
        begin();
        assert!(is_member(), "{group:?}");
        assert_eq!(fs::read_to_string("/proc/self/cgroup").unwrap(), before);
    }
}

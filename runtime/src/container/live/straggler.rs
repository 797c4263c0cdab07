//! Which process keeps a container from standing still: one that waits for a disk or a file server cannot be frozen before
//! it has its answer.

use super::look::{Look, Procfs};
use std::path::Path;

/// What is said of a container whose processes of this cgroup did not stand still in time.
pub(super) fn complaint(group: &Path, seconds: u64) -> String {
    let found = Procfs::open(group.to_owned())
        .ok()
        .and_then(|look| straggler(&look));
    let why = match found {
        Some(process) => {
            format!("{process} waits for a disk or a file server that does not answer (state D)")
        }
        None => "the machine may be too busy".to_owned(),
    };
    format!("it did not stand still within {seconds} seconds: {why}; try again later")
}

/// The first process with a thread that nothing can interrupt: `process 4711 (tar)`.
fn straggler(look: &dyn Look) -> Option<String> {
    for pid in look.processes().ok()? {
        let Ok(threads) = look.list(pid, "task") else {
            continue;
        };
        for thread in threads {
            let stat = look.read(pid, &format!("task/{thread}/stat"));
            if !stat.is_ok_and(|stat| is_waiting(&stat)) {
                continue;
            }
            // The freezer of the first version of cgroups shows whom it has frozen in this state too.
            let where_to = look.read(pid, &format!("task/{thread}/wchan"));
            if where_to.is_ok_and(|name| String::from_utf8_lossy(&name).contains("refrigerator")) {
                continue;
            }
            let name = look.read(pid, "comm").unwrap_or_default();
            let name = String::from_utf8_lossy(&name);
            return Some(format!("process {pid} ({})", name.trim_end()));
        }
    }
    None
}

/// Whether a thread is in state D, by its line of `/proc`: `7 (a name) with ) in it) D 1 …`.
fn is_waiting(stat: &[u8]) -> bool {
    let end = stat.iter().rposition(|&byte| byte == b')');
    let after = end.and_then(|end| stat.get(end..));
    after.is_some_and(|after| after.starts_with(b") D "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_what_follows_the_name() {
        assert!(is_waiting(b"7 (tar) D 1 7 7"));
        assert!(is_waiting(b"7 (a) S 1) D 1 7 7"));
        for other in [&b"7 (tar) S 1 7 7"[..], b"7 (a) D 1) S 1", b""] {
            assert!(!is_waiting(other));
        }
    }

    #[test]
    fn the_complaint_says_what_was_waited_for_and_what_helps() {
        let nowhere = complaint(Path::new("/nonexistent"), 2);
        assert_eq!(
            nowhere,
            "it did not stand still within 2 seconds: the machine may be too busy; try again later"
        );
    }
}

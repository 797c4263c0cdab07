//! Files that give rights to whoever runs them: setuid, setgid, capabilities.

use super::Facts;
use super::view::View;
use crate::import::rpm::capability;
use vzpkg_metadata::tree::Meta;

const SETUID: u16 = 0o4000;
const SETGID: u16 = 0o2000;

/// Each such file under its path, and each further right of it: `/usr/bin/passwd` → `runs as user 0`.
pub(super) fn facts(view: &View<'_>) -> Facts {
    let mut facts = Facts::new();
    for (path, _) in view.tree.iter() {
        let Some(node) = view.tree.node(path).filter(|node| node.is_file()) else {
            continue;
        };
        let rights = rights(&node.meta);
        if !rights.is_empty() {
            facts.insert(format!("/{path}"), rights.join(", "));
        }
    }
    facts
}

fn rights(meta: &Meta) -> Vec<String> {
    let mut rights = Vec::new();
    if meta.mode & SETUID != 0 {
        rights.push(format!("runs as user {}", meta.uid));
    }
    // Without the right to execute for the group, setgid once meant mandatory locking and gives nothing.
    if meta.mode & SETGID != 0 && meta.mode & 0o010 != 0 {
        rights.push(format!("runs as group {}", meta.gid));
    }
    if let Some(attribute) = meta.xattrs.get(capability::XATTR) {
        rights.push(format!("has {}", capability::describe(attribute)));
    }
    rights
}

//! Users and groups, and who may log in with a password.

use super::Facts;
use super::view::View;
use crate::store::ObjectError;
use std::collections::BTreeSet;

/// Each user and group by name: ids, home, shell, members; whether a password is set.
pub(super) fn facts(view: &View<'_>) -> Result<Facts, ObjectError> {
    let shadow = view.text("etc/shadow")?.unwrap_or_default();
    let with_password = with_password(&shadow);
    let mut facts = Facts::new();
    for line in view.text("etc/passwd")?.unwrap_or_default().lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, shell] = fields.as_slice() else {
            continue;
        };
        let password = if with_password.contains(*name) {
            ", with a password"
        } else {
            ""
        };
        let what = format!("uid {uid}, gid {gid}, home {home}, shell {shell}{password}");
        facts.insert(format!("user {name}"), what);
    }
    for line in view.text("etc/group")?.unwrap_or_default().lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, gid, members] = fields.as_slice() else {
            continue;
        };
        let what = if members.is_empty() {
            format!("gid {gid}")
        } else {
            format!("gid {gid}, members {members}")
        };
        facts.insert(format!("group {name}"), what);
    }
    Ok(facts)
}

/// The users whose password field is a hash, or empty: both let somebody in.
fn with_password(shadow: &str) -> BTreeSet<&str> {
    shadow
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.split_once(':')?;
            let (password, _) = rest.split_once(':')?;
            (!password.starts_with(['!', '*'])).then_some(name)
        })
        .collect()
}

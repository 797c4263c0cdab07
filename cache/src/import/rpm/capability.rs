//! File capabilities: from the text that packages carry (`cap_net_raw,cap_net_admin+ep`) to the bytes of the extended
//! attribute `security.capability`, as libcap writes them.

/// The name of the attribute.
pub(crate) const XATTR: &[u8] = b"security.capability";

/// Capabilities by number, as Linux has them.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// `VFS_CAP_REVISION_2`, the form without a user namespace.
const REVISION_2: u32 = 0x0200_0000;

/// Set where the permitted capabilities are effective at once.
const EFFECTIVE: u32 = 1;

#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u64,
    permitted: u64,
    inheritable: u64,
}

/// The attribute for a text; `Ok(None)` for a text that gives none (`=`, nothing).
///
/// # Errors
/// The clause that cannot be understood.
pub(super) fn xattr(text: &str) -> Result<Option<Vec<u8>>, String> {
    let mut sets = Sets::default();
    for clause in text.split_whitespace() {
        apply(clause, &mut sets).ok_or_else(|| clause.to_owned())?;
    }
    if sets.permitted | sets.inheritable | sets.effective == 0 {
        return Ok(None);
    }
    let magic = REVISION_2 | if sets.effective == 0 { 0 } else { EFFECTIVE };
    let halves = |set: u64| [set & 0xffff_ffff, set >> 32];
    let [permitted, inheritable] = [sets.permitted, sets.inheritable].map(halves);
    let words = [permitted[0], inheritable[0], permitted[1], inheritable[1]];
    let mut bytes = magic.to_le_bytes().to_vec();
    for word in words {
        bytes.extend(u32::try_from(word).unwrap_or_default().to_le_bytes());
    }
    Ok(Some(bytes))
}

/// The text for an attribute, as `getcap` prints it: `cap_net_raw=ep`. Of one that cannot be understood, its digits.
pub(crate) fn describe(attribute: &[u8]) -> String {
    let words: Vec<u32> = attribute
        .chunks_exact(4)
        .map(|word| word.try_into().map_or(0, u32::from_le_bytes))
        .collect();
    // Revision 3 says in a sixth word for the root of which user namespace.
    let (magic, [low, inheritable_low, high, inheritable_high]) = match *words.as_slice() {
        [magic, a, b, c, d] | [magic, a, b, c, d, _] => (magic, [a, b, c, d]),
        _ => {
            let digits = attribute
                .iter()
                .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
            return format!("capabilities 0x{digits}");
        }
    };
    let set = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
    let (permitted, inheritable) = (set(low, high), set(inheritable_low, inheritable_high));
    let effective = if magic & EFFECTIVE == 0 { "" } else { "e" };
    let clause = |bits: u64, flags: &str| {
        let names: Vec<String> = (0..64)
            .filter(|number| bits >> number & 1 == 1)
            .map(|number| {
                let known = NAMES.get(number).map(|name| format!("cap_{name}"));
                known.unwrap_or_else(|| number.to_string())
            })
            .collect();
        (bits != 0).then(|| format!("{}={effective}{flags}", names.join(",")))
    };
    let clauses = [
        clause(permitted & inheritable, "ip"),
        clause(permitted & !inheritable, "p"),
        clause(inheritable & !permitted, "i"),
    ];
    clauses.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// One clause: names, then one or more of `=`, `+`, `-` each with flags of `eip`.
fn apply(clause: &str, sets: &mut Sets) -> Option<()> {
    let operators = ['=', '+', '-'];
    let start = clause.find(operators)?;
    let (names, mut actions) = clause.split_at_checked(start)?;
    let which = named(names, actions.starts_with('='))?;
    while let Some(operator) = actions.chars().next() {
        let rest = actions.strip_prefix(operator)?;
        let end = rest.find(operators).unwrap_or(rest.len());
        let (flags, next) = rest.split_at_checked(end)?;
        if !flags.chars().all(|flag| "eip".contains(flag)) || flags.is_empty() && operator != '=' {
            return None;
        }
        let change = |set: &mut u64, flag: char| match (operator, flags.contains(flag)) {
            ('=', false) | ('-', true) => *set &= !which,
            (_, true) => *set |= which,
            (_, false) => {}
        };
        change(&mut sets.effective, 'e');
        change(&mut sets.permitted, 'p');
        change(&mut sets.inheritable, 'i');
        actions = next;
    }
    Some(())
}

/// The bits of a comma-separated list; of all capabilities for `all`, or for nothing before `=`.
fn named(names: &str, may_be_empty: bool) -> Option<u64> {
    let all = (1_u64 << NAMES.len()) - 1;
    if names.is_empty() {
        return may_be_empty.then_some(all);
    }
    names.split(',').try_fold(0, |bits, name| {
        let name = name.to_ascii_lowercase();
        if name == "all" {
            return Some(all);
        }
        let name = name.strip_prefix("cap_")?;
        let number = NAMES.iter().position(|known| *known == name)?;
        Some(bits | 1 << number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Option<Vec<u32>> {
        let bytes = xattr(text).unwrap()?;
        let words = bytes.chunks_exact(4);
        Some(
            words
                .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
                .collect(),
        )
    }

    #[test]
    fn texts_become_the_bytes_that_setcap_writes() {
        // magic, permitted, inheritable, then their high halves; as `getfattr -e hex` shows them after setcap
        for (text, expected) in [
            ("cap_net_raw+ep", [0x0200_0001, 0x2000, 0, 0, 0]),
            (
                "cap_net_admin,cap_net_raw+p",
                [0x0200_0000, 0x3000, 0, 0, 0],
            ),
            (
                "= cap_chown,cap_dac_override+i",
                [0x0200_0000, 0, 0x3, 0, 0],
            ),
            ("cap_net_raw=ep", [0x0200_0001, 0x2000, 0, 0, 0]),
            ("cap_perfmon=p", [0x0200_0000, 0, 0, 0x40, 0]),
            ("cap_chown=p cap_chown+e", [0x0200_0001, 1, 0, 0, 0]),
            (
                "cap_chown,cap_fowner+ep cap_fowner-e",
                [0x0200_0001, 0x9, 0, 0, 0],
            ),
        ] {
            assert_eq!(words(text).as_deref(), Some(&expected[..]), "{text}");
        }
    }

    #[test]
    fn attributes_are_described_as_getcap_does() {
        for (text, described) in [
            ("cap_net_raw+ep", "cap_net_raw=ep"),
            ("cap_chown,cap_perfmon=p", "cap_chown,cap_perfmon=p"),
            ("cap_kill+eip", "cap_kill=eip"),
            ("cap_kill+ip cap_bpf+i", "cap_kill=ip cap_bpf=i"),
        ] {
            let attribute = xattr(text).unwrap().unwrap();
            assert_eq!(describe(&attribute), described);
        }
        assert_eq!(describe(&[1, 2]), "capabilities 0x0102");
        assert_eq!(describe(&[]), "capabilities 0x");
    }

    #[test]
    fn no_capability_is_no_attribute_and_nonsense_is_named() {
        for text in ["", "=", " = "] {
            assert_eq!(words(text), None, "{text:?}");
        }
        for text in [
            "cap_nonsense+p",
            "cap_chown",
            "cap_chown+x",
            "cap_chown+",
            "+p",
        ] {
            assert_eq!(xattr(text), Err(text.to_owned()));
        }
    }
}

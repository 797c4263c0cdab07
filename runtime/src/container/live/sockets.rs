//! Unix sockets with a name in a file system, as `/proc/PID/net/unix` lists them.

use std::collections::BTreeMap;

/// The name that each socket was bound to, by its number. Sockets without a name and abstract ones are left out.
pub(super) fn named(table: &[u8]) -> BTreeMap<u64, Vec<u8>> {
    let lines = table.split(|&byte| byte == b'\n').skip(1);
    lines.filter_map(parse_line).collect()
}

/// `0000: 00000002 00000000 00010000 0001 01 12345 /run/dbus/socket`: the number is the seventh field, and the name is the
/// rest of the line, blanks included.
fn parse_line(line: &[u8]) -> Option<(u64, Vec<u8>)> {
    let mut rest = line;
    let mut number = None;
    for field in 0..7 {
        let start = rest.iter().position(|byte| *byte != b' ')?;
        rest = rest.get(start..)?;
        let end = rest
            .iter()
            .position(|byte| *byte == b' ')
            .unwrap_or(rest.len());
        if field == 6 {
            number = std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok();
        }
        rest = rest.get(end..)?;
    }
    let name = rest.strip_prefix(b" ")?;
    (!name.is_empty() && !name.starts_with(b"@")).then(|| Some((number?, name.to_vec())))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_in_file_systems_are_found() {
        let table = b"Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01  1189 /var/lib/x/a socket
0000000000000000: 00000002 00000000 00010000 0001 01  1190 @abstract
0000000000000000: 00000003 00000000 00000000 0001 03  1191
0000000000000000: 00000002 00000000 00000000 0002 01  1192 public/pickup
rubbish
";
        let found = named(table);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[&1189], b"/var/lib/x/a socket");
        assert_eq!(found[&1192], b"public/pickup");
        assert!(named(b"").is_empty());
    }
}

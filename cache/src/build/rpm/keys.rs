//! Whether somebody who changed a database touched its packages, or only imported keys, which rpm keeps in it as packages
//! that have no files (`gpg-pubkey`).

use super::database::KEY;
use super::form::Form;
use super::headers::Header;
use std::collections::BTreeSet;
use vzpkg_metadata::Digest;

/// Whether a file of this name holds the headers of a database; the others beside it can be made from them.
pub(crate) fn holds_headers(name: &[u8]) -> bool {
    Form::of(name).is_some()
}

/// The keys that a database has now and had not before, by the names that rpm gives them; `None` where anything else of
/// it changed, or where one of the two cannot be understood.
pub(crate) fn added(name: &[u8], mut before: Vec<u8>, mut now: Vec<u8>) -> Option<Vec<String>> {
    let form = Form::of(name)?;
    let mut left = BTreeSet::new();
    let read = form.for_each_header(&mut before, &mut |header| {
        left.insert(Digest::of(header));
        Ok(())
    });
    read.ok()?;
    let mut keys = Vec::new();
    let read = form.for_each_header(&mut now, &mut |header| {
        if left.remove(&Digest::of(header)) {
            return Ok(());
        }
        match Header(header).identity() {
            Some((name, version, _)) if name == KEY => {
                keys.push(format!("{name}-{version}"));
                Ok(())
            }
            _ => Err("a package was changed"),
        }
    });
    read.ok()?;
    left.is_empty().then_some(keys)
}

/// A database in SQLite with these names, versions and releases.
#[cfg(test)]
pub(crate) fn database(packages: &[(&str, &str, &str)]) -> Vec<u8> {
    let mut connection = rusqlite::Connection::open_in_memory().unwrap();
    let table = "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)";
    connection.execute(table, ()).unwrap();
    for (name, version, release) in packages {
        let (mut index, mut store) = (Vec::new(), Vec::new());
        for (tag, text) in [(1000_u32, name), (1001, version), (1002, release)] {
            let place = u32::try_from(store.len()).unwrap();
            index.extend([tag, 6, place, 1].map(u32::to_be_bytes).concat());
            store.extend_from_slice(text.as_bytes());
            store.push(0);
        }
        let length = u32::try_from(store.len()).unwrap();
        let mut header = [3, length].map(u32::to_be_bytes).concat();
        header.extend(index);
        header.extend(store);
        let insert = "INSERT INTO Packages (blob) VALUES (?1)";
        connection.execute(insert, (header,)).unwrap();
    }
    connection.serialize(rusqlite::MAIN_DB).unwrap().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"rpmdb.sqlite";
    const BASH: (&str, &str, &str) = ("bash", "4.2", "1");
    const VENDOR: (&str, &str, &str) = (KEY, "f4a80eb5", "53a7ff4b");
    const MINE: (&str, &str, &str) = (KEY, "01234567", "89abcdef");

    fn added(before: &[(&str, &str, &str)], now: &[(&str, &str, &str)]) -> Option<Vec<String>> {
        super::added(FILE, database(before), database(now))
    }

    #[test]
    fn keys_that_came_are_told_from_packages_that_changed() {
        assert_eq!(added(&[BASH], &[BASH]), Some(vec![]));
        let with_key = added(&[BASH, VENDOR], &[VENDOR, BASH, MINE]);
        assert_eq!(with_key.unwrap(), ["gpg-pubkey-01234567-89abcdef"]);
        for now in [
            &[][..],
            &[MINE],
            &[BASH],
            &[BASH, VENDOR, ("mine", "1", "1")],
            &[("bash", "4.2", "2"), VENDOR],
        ] {
            assert_eq!(added(&[BASH, VENDOR], now), None, "{now:?}");
        }
    }

    #[test]
    fn what_cannot_be_understood_counts_as_changed() {
        let whole = database(&[BASH]);
        for other in [&b""[..], b"rubbish", &whole[..100]] {
            assert_eq!(super::added(FILE, whole.clone(), other.to_vec()), None);
            assert_eq!(super::added(FILE, other.to_vec(), whole.clone()), None);
        }
        assert_eq!(super::added(b"Name", whole.clone(), whole), None);
        assert!(holds_headers(b"Packages") && !holds_headers(b"Group"));
    }
}

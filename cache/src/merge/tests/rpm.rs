//! rpm's database: a container that imported keys goes along, one that changed packages does not.

use super::model::{Thing, Version, data};
use super::{Model, file, path, tree};
use crate::build::rpm::keys::database;
use crate::merge::{Decision, Merge, Obstacle};
use vzpkg_metadata::Family;
use vzpkg_runtime::container::UpperEdit;

const PLACE: &str = "var/lib/rpm/rpmdb.sqlite";
const OLD: (&str, &str, &str) = ("bash", "4.2", "1");
const NEW: (&str, &str, &str) = ("bash", "4.2", "2");
const KEY: (&str, &str, &str) = ("gpg-pubkey", "01234567", "89abcdef");

fn version(packages: &[(&str, &str, &str)]) -> Version {
    let mut version = tree(&[]);
    version.put(&path(PLACE), bytes(packages));
    version
}

fn bytes(packages: &[(&str, &str, &str)]) -> Thing {
    data(&database(packages))
}

/// A container whose database has these packages goes from the old version to the new one.
fn moved(packages: &[(&str, &str, &str)], more: &[(&str, &str)]) -> Merge {
    let (old, new) = (version(&[OLD]), version(&[NEW]));
    let mut model = Model::new(&[&old, &new]);
    model.write(&old, &path(PLACE), bytes(packages));
    for (at, content) in more {
        model.write(&old, &path(at), file(content));
    }
    model.merge_of(Family::Rpm, &old, &new, None, &mut |_| Ok(()))
}

#[test]
fn imported_keys_stop_no_move_and_are_named() {
    let merge = moved(&[OLD, KEY], &[("var/lib/rpm/.rpm.lock", "")]);
    assert_eq!(merge.report.obstacles, []);
    let revealed = UpperEdit::Reveal { path: path(PLACE) };
    assert!(merge.plan.edits.contains(&revealed), "{:?}", merge.plan);
    let keys = vec!["gpg-pubkey-01234567-89abcdef".to_owned()];
    let line = &merge.report.lines[0];
    assert_eq!(line.decision, Decision::KeysGone { keys });
    assert!(line.needs_attention());
}

#[test]
fn changed_packages_stop_a_move() {
    for packages in [&[][..], &[OLD, ("mine", "1", "1")], &[("bash", "5", "1")]] {
        let merge = moved(packages, &[]);
        let database = Obstacle::Database { path: PLACE.into() };
        assert_eq!(merge.report.obstacles, [database], "{packages:?}");
    }
}

#[test]
fn a_log_that_is_not_in_the_database_yet_stops_a_move() {
    let log = "var/lib/rpm/rpmdb.sqlite-wal";
    let merge = moved(&[OLD, KEY], &[(log, "packages")]);
    let stopped =
        |obstacle: &Obstacle| matches!(obstacle, Obstacle::Database { path } if path == log);
    assert!(
        merge.report.obstacles.iter().any(stopped),
        "{:?}",
        merge.report
    );
    assert_eq!(moved(&[OLD, KEY], &[(log, "")]).report.obstacles, []);
}

//! What holds for every pair of versions and every private change.

use super::{Model, dir, file, link, path};
use crate::merge::tests::model::{Thing, Version};
use proptest::prelude::*;
use vzpkg_metadata::RelPath;

/// What may stand at a path.
fn thing() -> impl Strategy<Value = Option<Thing>> {
    prop_oneof![
        2 => Just(None),
        4 => (0..3_u8, prop_oneof![Just(0o644_u16), Just(0o600)])
            .prop_map(|(content, mode)| Some(file(&content.to_string()).mode(mode))),
        1 => (0..2_u8).prop_map(|to| Some(link(&to.to_string()))),
        2 => prop_oneof![Just(0o755_u16), Just(0o700)].prop_map(|mode| Some(dir().mode(mode))),
    ]
}

const PLACES: [&str; 8] = ["a", "d", "d/x", "d/y", "d/s", "d/s/x", "srv", "srv/data"];

fn version() -> impl Strategy<Value = Version> {
    prop::collection::vec(thing(), PLACES.len()).prop_map(|things| {
        let mut version = super::tree(&[]);
        for (place, thing) in PLACES.iter().zip(things) {
            let place = path(place);
            let parent = place.parent().unwrap();
            let holds = version
                .0
                .get(&parent)
                .is_some_and(|thing| thing.node.is_directory());
            if let Some(thing) = thing.filter(|_| holds) {
                version.put(&place, thing);
            }
        }
        version
    })
}

/// What a container may do.
#[derive(Debug, Clone)]
enum Act {
    Put(usize, Thing),
    Chmod(usize, u16),
    Remove(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let place = 0..PLACES.len();
    let act = prop_oneof![
        (
            place.clone(),
            thing().prop_filter_map("something", |thing| thing)
        )
            .prop_map(|(at, thing)| Act::Put(at, thing)),
        (place.clone(), prop_oneof![Just(0o640_u16), Just(0o711)])
            .prop_map(|(at, mode)| Act::Chmod(at, mode)),
        place.prop_map(Act::Remove),
    ];
    prop::collection::vec(act, 0..6)
}

fn act(model: &mut Model, version: &Version, acts: &[Act]) {
    for act in acts {
        match act {
            Act::Put(at, thing) => {
                let at = path(PLACES[*at]);
                let seen = model.view(version);
                let parent = at.parent().unwrap();
                let holds = parent.is_root()
                    || seen
                        .get(&parent)
                        .is_some_and(|thing| thing.node.is_directory());
                let there = seen.get(&at);
                if !holds || there.is_some_and(|there| there.node.is_directory()) {
                    continue;
                }
                if there.is_some() {
                    model.remove(version, &at);
                }
                model.write(version, &at, thing.clone());
            }
            Act::Chmod(at, mode) => {
                let at = path(PLACES[*at]);
                let is_link = model.view(version).get(&at).is_some_and(|thing| {
                    matches!(
                        thing.node.kind,
                        vzpkg_metadata::tree::NodeKind::Symlink { .. }
                    )
                });
                if !is_link {
                    model.chmod(version, &at, *mode);
                }
            }
            Act::Remove(at) => model.remove(version, &path(PLACES[*at])),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn there_and_back_leaves_the_upper_as_it_was(a in version(), b in version(), acts in acts()) {
        let mut model = Model::new(&[&a, &b]);
        act(&mut model, &a, &acts);
        let upper = model.upper.clone();
        let forward = model.merge(&a, &b, None);
        let record = model.relink(&forward, 1);
        let back = model.merge(&b, &a, Some(&record));
        model.relink(&back, 2);
        prop_assert_eq!(model.upper, upper);
    }

    #[test]
    fn there_and_back_and_there_again_is_once_there(a in version(), b in version(), acts in acts()) {
        let mut model = Model::new(&[&a, &b]);
        act(&mut model, &a, &acts);
        let forward = model.merge(&a, &b, None);
        let there = model.relink(&forward, 1);
        let upper = model.upper.clone();
        let back = model.merge(&b, &a, Some(&there));
        let back = model.relink(&back, 2);
        let again = model.merge(&a, &b, Some(&back));
        model.relink(&again, 3);
        prop_assert_eq!(model.upper, upper);
    }

    #[test]
    fn edits_carried_out_twice_are_edits_carried_out_once(a in version(), b in version(), acts in acts()) {
        let mut model = Model::new(&[&a, &b]);
        act(&mut model, &a, &acts);
        let merge = model.merge(&a, &b, None);
        model.relink(&merge, 1);
        let once = model.upper.clone();
        model.apply(&merge.plan.edits);
        prop_assert_eq!(model.upper, once);
    }

    #[test]
    fn a_relink_that_is_undone_leaves_the_upper_as_it_was(a in version(), b in version(), acts in acts()) {
        let mut model = Model::new(&[&a, &b]);
        act(&mut model, &a, &acts);
        let upper = model.upper.clone();
        let merge = model.merge(&a, &b, None);
        let record = model.relink(&merge, 1);
        model.apply(&record.inverse());
        prop_assert_eq!(model.upper, upper);
    }

    #[test]
    fn an_untouched_container_shows_the_new_version_but_for_its_state(a in version(), b in version()) {
        let mut model = Model::new(&[&a, &b]);
        let merge = model.merge(&a, &b, None);
        model.relink(&merge, 1);
        let state = |path: &RelPath| path.is_within(&"srv".parse().unwrap());
        let seen: Vec<_> = model.view(&b).into_iter().filter(|(path, _)| !state(path)).collect();
        let wanted: Vec<_> = b.0.into_iter().filter(|(path, _)| !state(path)).collect();
        prop_assert_eq!(seen, wanted);
    }

    #[test]
    fn what_the_container_wrote_is_never_lost(a in version(), b in version(), acts in acts()) {
        let mut model = Model::new(&[&a, &b]);
        act(&mut model, &a, &acts);
        // Private contents that are not the old version's, as bytes.
        let own: Vec<Vec<u8>> = model
            .upper
            .iter()
            .filter(|(path, (entry, bytes))| {
                let old = a.0.get(*path).map(|thing| thing.node.kind.clone());
                let same = matches!(old, Some(vzpkg_metadata::tree::NodeKind::File { digest, .. })
                    if digest == vzpkg_metadata::Digest::of(bytes));
                matches!(entry.kind, vzpkg_runtime::container::UpperKind::File { .. }) && !same
            })
            .map(|(_, (_, bytes))| bytes.clone())
            .collect();
        let merge = model.merge(&a, &b, None);
        model.relink(&merge, 1);
        let view = model.view(&b);
        for bytes in own {
            let digest = vzpkg_metadata::Digest::of(&bytes);
            let found = view.values().any(|thing| matches!(thing.node.kind,
                vzpkg_metadata::tree::NodeKind::File { digest: of, .. } if of == digest));
            prop_assert!(found, "{:?} is gone", bytes);
        }
    }
}

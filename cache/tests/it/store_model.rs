//! Any sequence of commands leaves the store in the state that a plain map says.

use crate::fixtures::{self, age, build, open, store};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use vzpkg_cache::store::{DatabaseError, GcMode, GcOptions, Retention, Store, VerifyReporter};
use vzpkg_metadata::{Digest, VersionName, VersionNumber};

#[derive(Debug, Clone)]
enum Command {
    Publish { template: u8, files: Vec<u8> },
    Remove { template: u8, number: u64 },
    SetHead { template: u8, number: u64 },
    Keep { template: u8, number: u64 },
    Collect { keep_newest: usize },
    Reopen,
}

fn command() -> impl Strategy<Value = Command> {
    let template = 0..2_u8;
    let number = 1..8_u64;
    let files = prop::collection::vec(0..6_u8, 1..4);
    prop_oneof![
        4 => (template.clone(), files)
            .prop_map(|(template, files)| Command::Publish { template, files }),
        2 => (template.clone(), number.clone())
            .prop_map(|(template, number)| Command::Remove { template, number }),
        1 => (template.clone(), number.clone())
            .prop_map(|(template, number)| Command::SetHead { template, number }),
        1 => (template, number).prop_map(|(template, number)| Command::Keep { template, number }),
        2 => (0..4_usize).prop_map(|keep_newest| Command::Collect { keep_newest }),
        1 => Just(Command::Reopen),
    ]
}

/// One template of the model: number → contents and whether it is kept; the head; the next number.
#[derive(Debug, Default)]
struct Template {
    versions: BTreeMap<u64, (BTreeSet<u8>, bool)>,
    head: Option<u64>,
    last: u64,
}

impl Template {
    fn publish(&mut self, files: BTreeSet<u8>) {
        let same = self.versions.iter().find(|(_, (other, _))| *other == files);
        let number = same.map_or(self.last + 1, |(number, _)| *number);
        self.last = self.last.max(number);
        self.versions.entry(number).or_insert((files, false));
        self.head = Some(number);
    }

    fn remove(&mut self, number: u64) -> bool {
        let Some((_, kept)) = self.versions.get(&number) else {
            return false;
        };
        if *kept || (self.head == Some(number) && self.versions.len() > 1) {
            return false;
        }
        self.versions.remove(&number);
        if self.head == Some(number) {
            self.head = None;
        }
        true
    }

    fn collect(&mut self, keep_newest: usize) {
        let newest: BTreeSet<u64> = self
            .versions
            .keys()
            .rev()
            .take(keep_newest)
            .copied()
            .collect();
        let head = self.head;
        self.versions
            .retain(|number, (_, kept)| *kept || head == Some(*number) || newest.contains(number));
    }
}

fn name(template: u8, number: u64) -> VersionName {
    VersionName {
        template: format!("template-{template}").parse().unwrap(),
        number: VersionNumber::new(number).unwrap(),
    }
}

fn content(file: u8) -> Vec<u8> {
    vec![file; usize::from(file) + 1]
}

fn publish(store: &Store, template: u8, files: &BTreeSet<u8>) {
    let contents: Vec<(String, Vec<u8>)> = files
        .iter()
        .map(|file| (format!("f{file}"), content(*file)))
        .collect();
    let contents: Vec<(&str, &[u8])> = contents
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    let draft = build(store, &format!("template-{template}"), &contents);
    store.publish(draft).unwrap();
}

fn check(store: &Store, model: &BTreeMap<u8, Template>) {
    struct Silent;
    impl VerifyReporter for Silent {}
    for (template, expected) in model {
        let template = name(*template, 1).template;
        let rows = store.db.versions(&template).unwrap();
        let found: Vec<(u64, bool)> = rows
            .iter()
            .map(|row| (row.name.number.get(), row.kept))
            .collect();
        let versions = expected.versions.iter();
        let versions: Vec<(u64, bool)> = versions
            .map(|(number, (_, kept))| (*number, *kept))
            .collect();
        assert_eq!(found, versions);
        let head = store.db.head(&template).unwrap();
        assert_eq!(head.map(|row| row.name.number.get()), expected.head);
        for row in rows {
            let tree = store.images.read(&row.digest).unwrap();
            let objects: BTreeSet<Digest> = tree.objects().map(|(digest, _)| digest).collect();
            let (files, _) = &expected.versions[&row.name.number.get()];
            let files: BTreeSet<Digest> = files
                .iter()
                .map(|file| Digest::of(&content(*file)))
                .collect();
            assert_eq!(objects, files);
        }
    }
    assert_eq!(store.verify(&[], 1, &Silent).unwrap(), []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_commands_does_what_a_map_does(commands in prop::collection::vec(command(), 1..20)) {
        let (directory, mut store) = store();
        let mut model: BTreeMap<u8, Template> = BTreeMap::new();
        for command in commands {
            match command {
                Command::Publish { template, files } => {
                    let files: BTreeSet<u8> = files.into_iter().collect();
                    publish(&store, template, &files);
                    model.entry(template).or_default().publish(files);
                }
                Command::Remove { template, number } => {
                    let removed = store.db.remove_version(&name(template, number));
                    let expected = model.entry(template).or_default().remove(number);
                    assert_eq!(removed.is_ok(), expected, "{removed:?}");
                }
                Command::SetHead { template, number } => {
                    let set = store.db.set_head(&name(template, number));
                    let model = model.entry(template).or_default();
                    if model.versions.contains_key(&number) {
                        set.unwrap();
                        model.head = Some(number);
                    } else {
                        let unknown = matches!(set, Err(DatabaseError::Unknown { .. }));
                        assert!(unknown, "{set:?}");
                    }
                }
                Command::Keep { template, number } => {
                    let set = store.db.set_kept(&name(template, number), true);
                    let model = model.entry(template).or_default();
                    if let Some((_, kept)) = model.versions.get_mut(&number) {
                        set.unwrap();
                        *kept = true;
                    }
                }
                Command::Collect { keep_newest } => {
                    drop(store);
                    age(&directory);
                    store = open(&directory);
                    let options = GcOptions { mode: GcMode::Remove, keep: Retention::newest(keep_newest) };
                    fixtures::gc(&store, options).unwrap();
                    let mut used = BTreeSet::new();
                    for template in model.values_mut() {
                        template.collect(keep_newest);
                        used.extend(template.versions.values().flat_map(|(files, _)| files.clone()));
                    }
                    for file in 0..6 {
                        let there = store.objects.contains(&Digest::of(&content(file)));
                        assert_eq!(there, used.contains(&file), "object {file}");
                    }
                }
                Command::Reopen => {
                    drop(store);
                    store = open(&directory);
                }
            }
            check(&store, &model);
        }
    }
}

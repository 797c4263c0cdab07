//! Publishing, heads, marks, containers and ids through the database.

use crate::fixtures::{build, draft, open, store};
use std::collections::BTreeMap;
use std::fs;
use std::thread;
use vzpkg_cache::store::{
    CachedTree, ContainerRow, DatabaseError, Follow, Hold, PublishError, Published, VersionState,
};
use vzpkg_metadata::lock::Ids;
use vzpkg_metadata::name::Which;
use vzpkg_metadata::{Digest, TemplateName, VersionName, VersionReference};

const TEMPLATE: &str = "debian-13-x86_64";

fn template() -> TemplateName {
    TEMPLATE.parse().unwrap()
}

#[test]
fn a_published_version_is_the_head_and_survives_reopening() {
    let (directory, store) = store();
    let draft = build(&store, TEMPLATE, &[("etc/issue", b"1")]);
    let published = store.publish(draft.clone()).unwrap();
    assert!(matches!(published, Published::New(_)));
    assert_eq!(published.record().name().to_string(), "debian-13-x86_64@1");
    drop(store);
    let store = open(&directory);
    let head = store.db.head(&template()).unwrap().unwrap();
    assert_eq!(head.digest, draft.digest);
    let record = store.versions.read(&template(), &head.digest).unwrap();
    assert_eq!(*record, draft);
}

#[test]
fn the_same_tree_again_changes_nothing_but_the_head() {
    let (_directory, store) = store();
    let first = build(&store, TEMPLATE, &[("a", b"1")]);
    let second = build(&store, TEMPLATE, &[("a", b"2")]);
    let one = store.publish(first.clone()).unwrap().record().name();
    let two = store.publish(second.clone()).unwrap().record().name();
    assert!(matches!(
        store.publish(first).unwrap(),
        Published::Unchanged(_)
    ));
    assert_eq!(store.db.head(&template()).unwrap().unwrap().name, one);
    store.db.set_head(&two).unwrap();
    store.db.roll_back(&one, "nginx does not start").unwrap();
    // A version that was rolled back from is not chosen again.
    assert!(matches!(
        store.publish(second).unwrap(),
        Published::Unchanged(_)
    ));
    assert_eq!(store.db.head(&template()).unwrap().unwrap().name, one);
    assert_eq!(
        store.db.version(&two).unwrap().state,
        VersionState::Bad("nginx does not start".to_owned())
    );
}

#[test]
fn the_same_tree_again_leaves_the_head_where_that_is_asked_for() {
    let (_directory, store) = store();
    let first = build(&store, TEMPLATE, &[("a", b"1")]);
    let second = build(&store, TEMPLATE, &[("a", b"2")]);
    let one = store.publish_if_new(first.clone()).unwrap().record().name();
    assert_eq!(store.db.head(&template()).unwrap().unwrap().name, one);
    let two = store.publish_if_new(second).unwrap().record().name();
    let again = store.publish_if_new(first).unwrap();
    assert!(matches!(again, Published::Unchanged(_)));
    assert_eq!(again.record().name(), one);
    assert_eq!(store.db.head(&template()).unwrap().unwrap().name, two);
}

#[test]
fn going_forward_again_undoes_a_rollback() {
    let (_directory, store) = store();
    let mut versions = Vec::new();
    for content in [b"1", b"2"] {
        let draft = build(&store, TEMPLATE, &[("a", content)]);
        versions.push(store.publish(draft).unwrap().record().name());
    }
    store.db.roll_back(&versions[0], "slow").unwrap();
    store.db.roll_back(&versions[1], "").unwrap();
    assert_eq!(
        store.db.head(&template()).unwrap().unwrap().name,
        versions[1]
    );
    for row in store.db.versions(&template()).unwrap() {
        assert_eq!(row.state, VersionState::Good, "{}", row.name);
    }
}

#[test]
fn versions_are_found_by_the_first_digits_of_their_digest() {
    let (_directory, store) = store();
    let one = build(&store, TEMPLATE, &[("a", b"1")]);
    store.publish(one.clone()).unwrap();
    store
        .publish(build(&store, TEMPLATE, &[("a", b"2")]))
        .unwrap();
    let digits = one.digest.to_string();
    for text in [&digits[..8], &digits[..63], &digits] {
        let reference: VersionReference = format!("@sha256:{text}").parse().unwrap();
        let Which::Digest(prefix) = reference.which else {
            panic!("{reference:?}")
        };
        let found = store.db.versions_beginning(&prefix).unwrap();
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].digest, one.digest);
    }
}

#[test]
fn two_templates_may_have_equal_trees() {
    let (_directory, store) = store();
    let one = build(&store, TEMPLATE, &[("a", b"1")]);
    let two = build(&store, "debian-13-x86_64-minimal", &[("a", b"1")]);
    assert_eq!(one.digest, two.digest);
    store.publish(one.clone()).unwrap();
    store.publish(two.clone()).unwrap();
    assert_eq!(*store.versions.read(&template(), &one.digest).unwrap(), one);
    assert_eq!(
        *store.versions.read(&two.template, &one.digest).unwrap(),
        two
    );
    assert_eq!(store.db.versions_with(&one.digest).unwrap().len(), 2);
}

#[test]
fn a_version_without_an_image_is_not_published() {
    let (_directory, store) = store();
    let error = store
        .publish(draft(TEMPLATE, Digest::of(b"x")))
        .unwrap_err();
    assert!(matches!(error, PublishError::NoImage(_)));
    assert!(store.db.versions(&template()).unwrap().is_empty());
    assert!(store.versions.list().unwrap().is_empty());
}

#[test]
fn numbers_are_never_used_twice() {
    let (_directory, store) = store();
    let publish = |content: &[u8]| {
        let draft = build(&store, TEMPLATE, &[("a", content)]);
        store.publish(draft).unwrap().record().name()
    };
    let one = publish(b"1");
    let two = publish(b"2");
    store.db.remove_version(&one).unwrap();
    store.db.remove_version(&two).unwrap();
    assert!(store.db.head(&template()).unwrap().is_none());
    assert_eq!(publish(b"3").number.get(), 3);
}

#[test]
fn threads_and_stores_that_publish_at_once_get_different_numbers() {
    let (directory, first) = store();
    let second = open(&directory);
    thread::scope(|scope| {
        for worker in 0..4_u8 {
            let store = if worker % 2 == 0 { &first } else { &second };
            scope.spawn(move || {
                for content in 0..5_u8 {
                    let draft = build(store, TEMPLATE, &[("a", &[worker, content])]);
                    store.publish(draft).unwrap();
                }
            });
        }
    });
    let versions = first.db.versions(&template()).unwrap();
    let numbers: Vec<u64> = versions.iter().map(|row| row.name.number.get()).collect();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    for row in versions {
        let record = second.versions.read(&template(), &row.digest).unwrap();
        assert_eq!(record.number, row.name.number);
    }
}

#[test]
fn a_version_in_use_cannot_be_removed() {
    let (_directory, store) = store();
    let one = store
        .publish(build(&store, TEMPLATE, &[("a", b"1")]))
        .unwrap();
    let one = one.record();
    let head = store
        .publish(build(&store, TEMPLATE, &[("a", b"2")]))
        .unwrap();
    let refused = |version: &VersionName| match store.db.remove_version(version) {
        Err(DatabaseError::InUse { user, .. }) => user,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&head.record().name()), "it is the head");
    store.db.set_kept(&one.name(), true).unwrap();
    assert_eq!(refused(&one.name()), "it is kept");
    store.db.set_kept(&one.name(), false).unwrap();
    let stable = "stable".parse().unwrap();
    store.db.tag(&one.name(), &stable).unwrap();
    assert_eq!(refused(&one.name()), "it has the tag stable");
    store.db.untag(&template(), &stable).unwrap();
    let row = container("web1", one.digest);
    store.db.insert_container(&row).unwrap();
    assert_eq!(refused(&one.name()), "container web1 is linked to it");
    store.db.remove_container(&row.id).unwrap();
    store.db.remove_version(&one.name()).unwrap();
    assert!(matches!(
        store.db.version(&one.name()),
        Err(DatabaseError::Unknown { .. })
    ));
}

fn container(id: &str, link: Digest) -> ContainerRow {
    ContainerRow {
        id: id.parse().unwrap(),
        template: template(),
        link,
        os_digest: link,
        follow: Follow::Head,
        applications: vec!["debian-13-x86_64/nginx".parse().unwrap()],
        packages: vec!["mc".parse().unwrap()],
        first_uid: 0,
        generation: 1,
        created: 5,
    }
}

/// Every command opens the database for itself: the log that one leaves is read whole by the next.
#[test]
fn the_log_of_the_database_does_not_grow_from_command_to_command() {
    let (directory, store) = store();
    let version = build(&store, TEMPLATE, &[("a", b"1")]);
    let link = version.digest;
    store.publish(version).unwrap();
    let log = store.layout.database().with_extension("db-wal");
    drop(store);
    let mut longest = 0;
    for serial in 0..60 {
        let store = open(&directory);
        let row = container(&format!("ct{serial}"), link);
        store.db.insert_container(&row).unwrap();
        drop(store);
        longest = longest.max(fs::metadata(&log).unwrap().len());
    }
    assert!((1..80 * 4120).contains(&longest), "{longest} bytes");
    let store = open(&directory);
    assert_eq!(store.db.containers().unwrap().len(), 60);
    assert!(store.db.check().unwrap().is_empty());
}

#[test]
fn containers_get_ranges_of_ids_that_do_not_meet() {
    let (_directory, store) = store();
    let version = build(&store, TEMPLATE, &[("a", b"1")]);
    let link = version.digest;
    store.publish(version).unwrap();
    let first = |id| {
        let row = store.db.insert_container_with_ids(&container(id, link));
        row.unwrap().first_uid
    };
    assert_eq!((first("a"), first("b")), (0x8_0000, 0x9_0000));
    let mut b = store.db.container(&"b".parse().unwrap()).unwrap();
    assert_eq!(
        b,
        ContainerRow {
            first_uid: 0x9_0000,
            ..container("b", link)
        }
    );
    store.db.remove_container(&"a".parse().unwrap()).unwrap();
    assert_eq!(first("c"), 0x8_0000);
    assert!(matches!(
        store.db.insert_container(&container("b", link)),
        Err(DatabaseError::Exists { .. })
    ));
    b.follow = Follow::Pinned;
    b.applications.clear();
    store
        .db
        .update_container_and_journal(&b, Some("{}"))
        .unwrap();
    assert_eq!(store.db.container(&b.id).unwrap(), b);
    assert_eq!(store.db.journal(&b.id).unwrap().as_deref(), Some("{}"));
    store.db.set_journal(&b.id, None).unwrap();
    assert!(store.db.journals().unwrap().is_empty());
}

#[test]
fn a_container_is_linked_only_to_what_is_there() {
    let (_directory, store) = store();
    let link = Digest::of(b"tree");
    let error = store
        .db
        .insert_container(&container("a", link))
        .unwrap_err();
    assert!(error.to_string().contains(&link.to_string()), "{error}");
    assert!(store.db.containers().unwrap().is_empty());
    let cached = CachedTree {
        kind: "appcache".to_owned(),
        key: Digest::of(b"key"),
        digest: link,
        template: template(),
        description: "{}".to_owned(),
        created: 7,
    };
    store.db.insert_cached_tree(&cached).unwrap();
    store.db.insert_container(&container("a", link)).unwrap();
    let found = store.db.cached_tree("appcache", &cached.key).unwrap();
    assert_eq!(found.as_ref(), Some(&cached));
    assert_eq!(
        store.db.cached_tree("rpm-tools", &cached.key).unwrap(),
        None
    );
    store
        .db
        .remove_cached_tree("appcache", &cached.key)
        .unwrap();
    assert!(store.db.cached_trees("appcache").unwrap().is_empty());
}

#[test]
fn a_name_has_one_id_for_ever() {
    let (_directory, store) = store();
    let reserve = |name: &str, uid, gid| {
        let ids = BTreeMap::from([
            (
                "other".to_owned(),
                Ids {
                    uid: Some(1),
                    gid: None,
                },
            ),
            (name.to_owned(), Ids { uid, gid }),
        ]);
        store.db.reserve(&template(), &ids)
    };
    reserve("postgres", Some(412), None).unwrap();
    reserve("postgres", None, Some(500)).unwrap();
    reserve("postgres", Some(412), Some(500)).unwrap();
    for (name, uid, gid) in [
        ("postgres", Some(413), None),
        ("redis", Some(412), None),
        ("redis", None, Some(500)),
    ] {
        let error = reserve(name, uid, gid).unwrap_err();
        assert!(matches!(error, DatabaseError::IdClash(_)));
        assert!(
            error.to_string().ends_with("`postgres` has 412:500"),
            "{error}"
        );
    }
    let registry = store.db.ids_for(&template()).unwrap();
    assert_eq!(registry.keys().collect::<Vec<_>>(), ["other", "postgres"]);
    assert!(
        store
            .db
            .ids_for(&"centos-9-x86_64".parse().unwrap())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn holds_and_tags_are_per_template() {
    let (_directory, store) = store();
    let mut hold = Hold {
        pattern: "nginx*".parse().unwrap(),
        until: None,
        reason: String::new(),
        since: 100,
    };
    store.db.hold(&template(), &hold).unwrap();
    hold.until = Some(200);
    hold.reason = "1.27 does not start".to_owned();
    store.db.hold(&template(), &hold).unwrap();
    assert_eq!(
        store.db.holds(&template()).unwrap(),
        std::slice::from_ref(&hold)
    );
    assert!(hold.is_active(199) && !hold.is_active(200));
    assert_eq!(store.db.holds(&"other".parse().unwrap()).unwrap(), []);
    let unhold = || store.db.unhold(&template(), &hold.pattern).unwrap();
    assert_eq!(unhold().as_ref(), Some(&hold));
    assert_eq!(unhold(), None);
    let one = store
        .publish(build(&store, TEMPLATE, &[("a", b"1")]))
        .unwrap();
    let two = store
        .publish(build(&store, TEMPLATE, &[("a", b"2")]))
        .unwrap();
    let stable = "stable".parse().unwrap();
    store.db.tag(&one.record().name(), &stable).unwrap();
    store.db.tag(&two.record().name(), &stable).unwrap();
    let tagged = store.db.tagged(&template(), &stable).unwrap().unwrap();
    assert_eq!(tagged.name, two.record().name());
    assert_eq!(tagged.tags, [stable]);
}

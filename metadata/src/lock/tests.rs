//! What a lock says, how it is written, and how one follows from another.

use super::*;
use crate::transaction::Step;
use proptest::prelude::*;

fn sample() -> String {
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    format!(
        "vzpkg-lock 1\nfamily deb\narch amd64\nbase none\nepoch 17\nid mail 8:8\nid ssl-cert -:412\n\
         package apt 2.6.1 amd64 {a} 1200 requested\npackage libc6 2.36-9 amd64 {b} 7 dependency:apt\n"
    )
}

#[test]
fn a_lock_prints_what_it_parses() {
    let lock: Lock = sample().parse().unwrap();
    assert_eq!(lock.packages.len(), 2);
    assert_eq!(lock.to_string(), sample());
}

#[test]
fn bad_lines_are_named() {
    for (from, to) in [
        ("epoch 17", "epoch x"),
        ("base none", "base nothing"),
        ("id mail 8:8", "id ../x 8:8"),
        ("requested", "because"),
        ("requested", "requested twice"),
        ("apt 2.6.1", "../apt 2.6.1"),
        ("family deb", "colour blue"),
        ("epoch 17", "epoch 17\nepoch 18"),
    ] {
        let error = sample().replace(from, to).parse::<Lock>().unwrap_err();
        assert!(matches!(error, LockError::Line { .. }), "{to}: {error}");
    }
    assert!(matches!("x".parse::<Lock>(), Err(LockError::NotALock)));
    assert!(matches!(
        "vzpkg-lock 99\n".parse::<Lock>(),
        Err(LockError::Newer(99))
    ));
}

#[test]
fn a_transaction_changes_exactly_its_packages() {
    let lock: Lock = sample().parse().unwrap();
    let package = |name: &str, version: &str| PackageRef {
        name: name.parse().unwrap(),
        arch: "amd64".parse().unwrap(),
        version: version.to_owned(),
        sha256: Digest::of(version.as_bytes()),
        size: ByteSize(1),
        installed_size: ByteSize(1),
        repository: None,
        location: String::new(),
    };
    let step = |action, package| Step {
        action,
        package,
        reason: Reason::Requested,
    };
    let steps = vec![
        step(Action::Remove, package("apt", "2.6.1")),
        step(
            Action::Upgrade {
                from: "2.36-9".into(),
            },
            package("libc6", "2.41-1"),
        ),
        step(Action::Install, package("bash", "5.2-1")),
    ];
    let after = lock.after(&Transaction {
        family: Family::Deb,
        steps,
    });
    let shown: Vec<String> = after
        .packages
        .iter()
        .map(|p| format!("{} {}", p.name, p.version))
        .collect();
    assert_eq!(shown, ["bash 5.2-1", "libc6 2.41-1"]);
}

fn package(name: &str, version: u8, arch: &str) -> LockedPackage {
    let version = format!("{version}-1");
    LockedPackage {
        name: name.parse().unwrap(),
        arch: arch.parse().unwrap(),
        sha256: Digest::of(format!("{name} {version} {arch}").as_bytes()),
        version,
        size: ByteSize(17),
        reason: Reason::Requested,
    }
}

/// A version of each of some packages, and ids of some names.
fn any_lock() -> impl Strategy<Value = Lock> {
    let packages = prop::collection::btree_map("[a-d]", (1..4_u8, 0..3_usize), 0..4);
    let ids = prop::collection::btree_map("[xyz]", 100..103_u32, 0..3);
    (packages, ids, 0..9_i64).prop_map(|(packages, ids, epoch)| {
        let mut lock = Lock::empty(Family::Deb, "amd64".parse().unwrap());
        let arch = |number: usize| ["amd64", "i386", "all"][number];
        let packages = packages.iter();
        lock.packages = packages
            .map(|(name, (version, arch_number))| package(name, *version, arch(*arch_number)))
            .collect();
        lock.packages.sort();
        let both = |id| Ids {
            uid: Some(id),
            gid: None,
        };
        lock.ids = ids.into_iter().map(|(name, id)| (name, both(id))).collect();
        lock.epoch = epoch;
        lock
    })
}

fn transaction(from: &Lock, to: &Lock) -> Transaction {
    let step = |Change { action, package }: Change| Step {
        action,
        package: PackageRef {
            name: package.name,
            arch: package.arch,
            version: package.version,
            sha256: package.sha256,
            size: package.size,
            installed_size: ByteSize(0),
            repository: None,
            location: String::new(),
        },
        reason: package.reason,
    };
    Transaction {
        family: from.family,
        steps: from.changes_to(to).into_iter().map(step).collect(),
    }
}

proptest! {
    #[test]
    fn changes_lead_from_one_lock_to_the_other(from in any_lock(), to in any_lock()) {
        prop_assert_eq!(from.after(&transaction(&from, &to)).packages, to.packages);
    }

    #[test]
    fn a_chain_is_read_back_and_gives_every_version(locks in prop::collection::vec(any_lock(), 1..5)) {
        let tree = |number: usize| Digest::of(&[u8::try_from(number).unwrap()]);
        let mut built: Vec<Lock> = Vec::new();
        for lock in locks {
            let next = match built.last() {
                Some(below) => lock.built_on(tree(built.len()), below),
                None => lock,
            };
            built.push(next);
        }
        let last = built.last().unwrap();
        prop_assert_eq!(&last.to_string().parse::<Lock>().unwrap(), last);
        for (count, lock) in built.iter().rev().enumerate() {
            let below = last.below(count);
            prop_assert_eq!(below.as_ref(), Some(lock));
        }
        prop_assert_eq!(last.below(built.len()), None);
    }
}

#[test]
fn a_version_beside_one_that_stays_replaces_nothing() {
    let lock = |versions: &[u8]| {
        let mut lock = Lock::empty(Family::Rpm, "x86_64".parse().unwrap());
        let kernels = versions.iter();
        lock.packages = kernels
            .map(|&version| package("kernel", version, "x86_64"))
            .collect();
        lock
    };
    let actions = |from: &[u8], to: &[u8]| -> Vec<Action> {
        let changes = lock(from).changes_to(&lock(to));
        changes.into_iter().map(|change| change.action).collect()
    };
    assert_eq!(actions(&[1, 2], &[2, 3]), [Action::Remove, Action::Install]);
    let from = "1-1".to_owned();
    assert_eq!(actions(&[1], &[2]), [Action::Upgrade { from }]);
    let from = "2-1".to_owned();
    assert_eq!(actions(&[2], &[1]), [Action::Downgrade { from }]);
}

#[test]
fn a_chain_that_does_not_hold_together_is_refused() {
    let below: Lock = sample().parse().unwrap();
    let tree = Digest::of(b"below");
    let mut lock = below.clone();
    lock.packages.pop();
    let text = lock.built_on(tree, &below).to_string();
    let other = Digest::of(b"other");
    for (from, to) in [
        (
            "base sha256:".to_owned() + &tree.to_string(),
            "base none".to_owned(),
        ),
        (
            format!("link sha256:{tree}"),
            format!("link sha256:{other}"),
        ),
        ("+package libc6 ".to_owned(), "-package libc6 ".to_owned()),
    ] {
        assert!(text.contains(&from), "{text}");
        let error = text.replace(&from, &to).parse::<Lock>().unwrap_err();
        assert!(matches!(error, LockError::Chain(_)), "{to}: {error}");
    }
    for line in [
        "id late 1:1",
        "+epoch 3",
        "+package x",
        "link sha256:x 1",
        "link 1",
        "++id a 1:1",
    ] {
        let error = format!("{text}{line}\n").parse::<Lock>().unwrap_err();
        assert!(matches!(error, LockError::Line { .. }), "{line}: {error}");
    }
    let error = format!("{}+id a 1:1\n", sample())
        .parse::<Lock>()
        .unwrap_err();
    assert!(matches!(error, LockError::Line { .. }), "{error}");
}

/// Two people update one version, each in a line of their own; a text merge takes both.
#[test]
fn two_updates_of_one_version_merge_line_by_line() {
    let tree = Digest::of(b"below");
    let mut below = Lock::empty(Family::Deb, "amd64".parse().unwrap());
    below.packages = ["a", "b", "c", "d"]
        .map(|name| package(name, 1, "amd64"))
        .to_vec();
    let updated = |names: &[&str]| {
        let mut lock = below.clone();
        for package in &mut lock.packages {
            if names.contains(&package.name.as_str()) {
                *package = self::package(package.name.as_str(), 2, "amd64");
            }
        }
        lock.built_on(tree, &below)
    };
    let lines =
        |lock: &Lock| -> BTreeSet<String> { lock.to_string().lines().map(str::to_owned).collect() };
    let (ours, theirs, both) = (
        lines(&updated(&["a"])),
        lines(&updated(&["d"])),
        lines(&updated(&["a", "d"])),
    );
    let untouched = lines(&updated(&[]));
    let merged: BTreeSet<String> = ours
        .union(&theirs)
        .filter(|line| {
            !untouched.contains(*line) || (ours.contains(*line) && theirs.contains(*line))
        })
        .cloned()
        .collect();
    assert_eq!(merged, both);
}

/// A tree that was committed is named, with the packages whose files nobody knows; it is no recipe, nor is what is built on
/// it.
#[test]
fn a_committed_tree_has_a_lock_that_says_so() {
    let tree = Digest::of(b"tree");
    let mut lock: Lock = sample().parse().unwrap();
    lock.base = Some(Digest::of(b"base"));
    lock.committed = Some(tree);
    lock.installed = [("mine", "1", "all"), ("other", "2:1-1", "amd64")]
        .into_iter()
        .map(|(name, version, arch)| Installed::new(name, version, arch).unwrap())
        .collect();
    let text = lock.to_string();
    assert!(text.starts_with("vzpkg-lock 2\n"), "{text}");
    assert!(
        text.contains(&format!("\ncommitted sha256:{tree}\n")),
        "{text}"
    );
    assert!(
        text.ends_with("\ninstalled mine 1 all\ninstalled other 2:1-1 amd64\n"),
        "{text}"
    );
    assert_eq!(text.parse::<Lock>().unwrap(), lock);
    assert!(!lock.has_whole_chain());
    let next = sample().parse::<Lock>().unwrap().built_on(tree, &lock);
    assert!(next.committed.is_none() && !next.has_whole_chain());
    // What is not of format 2 may not say so.
    let older = text.replace("vzpkg-lock 2", "vzpkg-lock 1");
    assert!(matches!(older.parse::<Lock>(), Err(LockError::Line { .. })));
    for line in [
        "installed mine 1 all",
        "installed x",
        "installed ../x 1 all",
        "installed x a/b all",
        "committed sha256:1",
    ] {
        let error = format!("{text}{line}\n").parse::<Lock>().unwrap_err();
        assert!(matches!(error, LockError::Line { .. }), "{line}: {error}");
    }
    assert!(
        Installed::new("../x", "1", "all").is_none() && Installed::new("x", "", "all").is_none()
    );
}

//! Plans print what they parse, and hostile ones are refused by name.

use super::*;

fn plan() -> SavedPlan {
    let package = |name: &str, version: &str, reason: &str| LockedPackage {
        name: name.parse().unwrap(),
        arch: "amd64".parse().unwrap(),
        version: version.to_owned(),
        sha256: Digest::of(name.as_bytes()),
        size: ByteSize(7),
        reason: reason.parse().unwrap(),
    };
    let from = "1".to_owned();
    SavedPlan {
        head: "debian-13-x86_64@4".parse().unwrap(),
        digest: Digest::of(b"tree"),
        template_digest: Digest::of(b"template"),
        from_nothing: false,
        epoch: 1_700_000_000,
        ids: BTreeMap::from([(
            "app".to_owned(),
            Ids {
                uid: Some(7),
                gid: None,
            },
        )]),
        why: "update --only a".to_owned(),
        family: Family::Deb,
        steps: vec![
            Change {
                action: Action::Remove,
                package: package("old", "1", "dependency:a"),
            },
            Change {
                action: Action::Upgrade { from },
                package: package("a", "2", "requested"),
            },
        ],
    }
}

#[test]
fn a_plan_reads_back_as_it_was() {
    let text = plan().to_string();
    assert_eq!(SavedPlan::parse(text.as_bytes()), Ok(plan()));
}

#[test]
fn what_is_no_plan_is_refused_by_what_is_wrong() {
    let good = plan().to_string();
    for (from, to, said) in [
        ("saved-plan.1", "saved-plan.2", "does not know"),
        ("vzpkg.saved-plan.1", "vzpkg.plan.1", "no plan"),
        ("\"epoch\"", "\"epoche\"", "unknown field"),
        ("\"head\": 4", "\"head\": 0", "damaged"),
        ("\"head\": 4", "\"head\": 4, \"head\": 5", "duplicate field"),
        (
            "debian-13-x86_64",
            "../etc",
            "`../etc` is no name of a template",
        ),
        ("\"upgrade\"", "\"install\"", "`install` is no action"),
        ("\"remove\"", "\"erase\"", "`erase` is no action"),
        (
            "\"version\": \"2\"",
            "\"version\": \"../2\"",
            "`../2` is no version",
        ),
        ("\"from\": \"1\"", "\"from\": \"\"", "`` is no version"),
        ("update --only a", "update\\u001b[31m", "is no command"),
        ("\"app\"", "\"a:b\"", "`a:b` is no user or group name"),
        ("dependency:a", "because", "no reason"),
    ] {
        assert!(good.contains(from), "{from}");
        let error = SavedPlan::parse(good.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(error.to_string().contains(said), "{to}: {error}");
        assert!(!error.to_string().contains('\u{1b}'), "{error:?}");
    }
    for text in [
        "",
        "{",
        "[]",
        "null",
        "{\"schema\": 1}",
        &good[..good.len() / 2],
    ] {
        assert!(SavedPlan::parse(text.as_bytes()).is_err(), "{text}");
    }
    let deep = "[".repeat(1 << 20);
    assert_eq!(SavedPlan::parse(deep.as_bytes()), Err(PlanError::NotAPlan));
    let size = usize::try_from(limits::PLAN_BYTES).unwrap() + 1;
    let large = vec![b' '; size];
    assert_eq!(SavedPlan::parse(&large), Err(PlanError::TooLarge(size)));
}

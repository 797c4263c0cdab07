//! A lock built again: for each version of its chain the transaction that made it, its packages wherever they are.

use super::sources::{self, Missing, Sources};
use crate::error::{CommandError, CommandResult, Kind};
use vzpkg_cache::store::Store;
use vzpkg_metadata::Digest;
use vzpkg_metadata::lock::Lock;
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::Transaction;
use vzpkg_repo_client::Repository;

/// One version of a chain, to be built on the one before it.
#[derive(Debug)]
pub(crate) struct Link {
    /// What it is made of.
    pub(crate) lock: Lock,
    /// The tree it must become, which the next link is built on; unknown for the last.
    pub(crate) tree: Option<Digest>,
    /// What is done to the version before it.
    pub(crate) transaction: Transaction,
}

/// What is to be built for a lock.
#[derive(Debug)]
pub(crate) struct Replay {
    /// The newest version of the chain that this node has: its tree and its lock.
    pub(crate) base: Option<(Digest, Lock)>,
    /// What comes after it, oldest first; at least one.
    pub(crate) links: Vec<Link>,
}

/// Works out how `lock` is built on this node. Its packages are taken from whichever repository has each hash, else from
/// those that this node has.
///
/// # Errors
/// [`Kind::Unmet`] naming the packages that are nowhere, with the nearest version; also for a lock that cannot be
/// repeated: without its chain, or with ids that this node gives to other names.
pub(crate) fn plan(
    store: Option<&Store>,
    template: &Template,
    repositories: &[Repository],
    lock: &Lock,
) -> CommandResult<Replay> {
    let mut locks = versions_of(lock)?;
    if let Some(store) = store {
        check_ids(store, template, &locks)?;
    }
    let base = known_base(store, &mut locks)?;
    let known = base.iter().map(|(_, lock)| lock).chain(&locks);
    let packages = known.flat_map(|lock| &lock.packages);
    let own = sources::own_packages(store, repositories, lock.family, packages)?;
    let sources = Sources::new(store, repositories, lock.family, &own)?;
    let mut missing = Missing::new();
    let mut links: Vec<Link> = Vec::new();
    for lock in locks {
        let below = links
            .last()
            .map(|link| &link.lock)
            .or(base.as_ref().map(|(_, lock)| lock));
        let transaction = sources.transaction(below, &lock, &mut missing)?;
        if missing.is_empty() {
            check_reasons(below, &lock, &transaction)?;
        }
        if let Some(last) = links.last_mut() {
            last.tree = lock.base;
        }
        links.push(Link {
            lock,
            tree: None,
            transaction,
        });
    }
    sources::check_found(template, missing)?;
    Ok(Replay { base, links })
}

/// A build gives a package a reason when it brings it, and never again.
fn check_reasons(below: Option<&Lock>, lock: &Lock, transaction: &Transaction) -> CommandResult {
    let empty = Lock::empty(lock.family, lock.arch.clone());
    let before = below.unwrap_or(&empty);
    if before.after(transaction).packages == lock.packages {
        return Ok(());
    }
    let text = "the lock gives packages another reason without changing them, which no build does";
    Err(CommandError::message(Kind::Unmet, text)
        .hint("take the reasons from the lock of its base, or from a version that was rebuilt"))
}

/// The locks of the chain, oldest first, `lock` itself last.
fn versions_of(lock: &Lock) -> CommandResult<Vec<Lock>> {
    if let Some(tree) = &lock.committed {
        let text = format!(
            "the lock is of tree {}, which was committed from a container: no repository has what that had changed",
            tree.short()
        );
        return Err(CommandError::message(Kind::Unmet, text)
            .hint("`vzpkg export` writes the tree of a version to take elsewhere"));
    }
    if !lock.has_whole_chain() {
        let text = "the lock is of a version that was built on another, and does not say how that was made";
        return Err(CommandError::message(Kind::Unmet, text)
            .hint("`vzpkg update --rebuild` makes a version that stands alone"));
    }
    let counts = (0..=lock.chain.len()).rev();
    Ok(counts.filter_map(|count| lock.below(count)).collect())
}

/// A name has one id in every version of a template; a lock that wants another cannot become the same tree here.
pub(crate) fn check_ids(store: &Store, template: &Template, locks: &[Lock]) -> CommandResult {
    let registered = store.db.ids_for(&template.name)?;
    let mut wanted = locks.iter().flat_map(|lock| &lock.ids);
    let clash = wanted.find_map(|(name, wanted)| {
        let here = registered.get(name)?;
        let both = [(here.uid, wanted.uid), (here.gid, wanted.gid)];
        let mut known = both
            .into_iter()
            .filter_map(|(here, wanted)| Some((here?, wanted?)));
        let (here, wanted) = known.find(|(here, wanted)| here != wanted)?;
        Some((name, here, wanted))
    });
    let Some((name, here, wanted)) = clash else {
        return Ok(());
    };
    let text = format!(
        "the lock gives `{name}` the id {wanted}, but versions of `{}` on this node gave it {here}",
        template.name
    );
    Err(CommandError::message(Kind::Unmet, text).hint(
        "build it below another root: vzpkg --root DIRECTORY create-cache --lock FILE TEMPLATE",
    ))
}

/// Takes away what this node has built already: the newest base of the chain whose version is here.
fn known_base(
    store: Option<&Store>,
    locks: &mut Vec<Lock>,
) -> CommandResult<Option<(Digest, Lock)>> {
    let Some(store) = store else {
        return Ok(None);
    };
    for position in (1..locks.len()).rev() {
        let Some(tree) = locks.get(position).and_then(|lock| lock.base) else {
            continue;
        };
        if !store.versions.read_all(&tree)?.is_empty() && store.images.contains(&tree) {
            let rest = locks.split_off(position);
            let below = std::mem::replace(locks, rest).pop();
            return Ok(below.map(|lock| (tree, lock)));
        }
    }
    Ok(None)
}

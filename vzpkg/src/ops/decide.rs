//! What an update of a template would do: from what was asked for to the transaction and everything else that decides
//! which tree comes out.

use super::plan::{Goal, Question};
use super::sources::{self, Missing, Sources};
use super::{build_version, chosen, commit, held_back, replay, saved, security};
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::held_back::HeldBack;
use std::collections::BTreeMap;
use vzpkg_cache::store::{Store, VersionRecord};
use vzpkg_metadata::lock::{Ids, Lock};
use vzpkg_metadata::saved_plan::SavedPlan;
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::Transaction;
use vzpkg_metadata::{PackageName, PackagePattern};
use vzpkg_repo_client::Repository;

/// What an update is asked to do.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    /// Everything newer.
    Everything,
    /// Everything from nothing.
    Rebuild,
    /// Only these packages, and what they need.
    Only(Vec<PackagePattern>),
    /// Only what has security updates, and what those need.
    Security,
    /// Exactly what this lock says.
    ToLock(Box<Lock>),
    /// What was planned before.
    Plan(Box<SavedPlan>),
}

impl Wish {
    /// The command, for the history.
    pub(crate) fn why(&self) -> String {
        match self {
            Self::Everything => "update".to_owned(),
            Self::Rebuild => "update --rebuild".to_owned(),
            Self::Only(patterns) => {
                let names: Vec<&str> = patterns.iter().map(PackagePattern::as_str).collect();
                format!("update --only {}", names.join(" "))
            }
            Self::Security => "update --security".to_owned(),
            Self::ToLock(_) => "update --to-lock".to_owned(),
            Self::Plan(plan) => plan.why.clone(),
        }
    }
}

/// What is done, and all that decides which tree it makes.
#[derive(Debug)]
pub(crate) struct Decision {
    /// The steps.
    pub(crate) transaction: Transaction,
    /// Whether they begin with nothing instead of with the head.
    pub(crate) from_nothing: bool,
    /// Times are clamped to this second.
    pub(crate) epoch: i64,
    /// Ids that a lock demands.
    pub(crate) ids: BTreeMap<String, Ids>,
    /// For the history.
    pub(crate) why: String,
    /// What stays although there is something newer, because it is held.
    pub(crate) held: Vec<HeldBack>,
    /// Security updates that do not fit to the rest.
    pub(crate) left_out: Vec<String>,
}

/// Works out what `wish` means for the version `base`.
///
/// # Errors
/// [`Kind::Unmet`] with the reasons for what cannot be had; nothing is changed.
pub(crate) fn decide(
    question: &Question<'_>,
    store: &Store,
    base: &VersionRecord,
    wish: &Wish,
) -> CommandResult<Decision> {
    let Question {
        context,
        template,
        repositories,
        ..
    } = *question;
    if let Some(error) = commit::why_not_updated(base) {
        return Err(error);
    }
    if matches!(wish, Wish::Rebuild | Wish::ToLock(_)) {
        commit::refuse_to_build(template)?;
    }
    if let Wish::Plan(plan) = wish {
        return saved::decision(question, store, base, plan);
    }
    let now = context.clock.now;
    let mut holds = store.db.holds(&template.name)?;
    let mut held = held_back::find(&holds, &base.lock, repositories, now);
    holds.retain(|hold| hold.is_active(now));
    let mut decision = Decision {
        transaction: Transaction {
            family: template.family,
            steps: Vec::new(),
        },
        from_nothing: matches!(wish, Wish::Rebuild),
        epoch: build_version::epoch(context, repositories),
        ids: BTreeMap::new(),
        why: wish.why(),
        held: Vec::new(),
        left_out: Vec::new(),
    };
    match wish {
        Wish::Everything => decision.transaction = question.transaction(Goal::Update(base))?,
        Wish::Rebuild => decision.transaction = question.transaction(Goal::Rebuild(base))?,
        Wish::Only(patterns) => {
            let targets = chosen::targets(base, repositories, &holds, patterns)?;
            decision.transaction = question.transaction(Goal::Move(base, &targets))?;
            held.retain(|held| patterns.iter().any(|pattern| pattern.matches(&held.name)));
        }
        Wish::Security => {
            security::check_known(template, repositories)?;
            let mut targets = security::updates(&base.lock, repositories)?;
            held.retain(|held| {
                let mut targets = targets.iter();
                targets.any(|target| target.name == held.name.as_str())
            });
            targets.retain(|target| {
                let name = target.name.parse::<PackageName>();
                let is_held = |name| holds.iter().any(|hold| hold.pattern.matches(&name));
                !name.is_ok_and(is_held)
            });
            let fitting = security::fit(question, base, &targets)?;
            decision.transaction = fitting.transaction;
            decision.left_out = fitting.left_out;
        }
        Wish::ToLock(lock) => {
            decision.transaction = to_lock(template, store, repositories, base, lock)?;
            decision.epoch = lock.epoch;
            decision.ids.clone_from(&lock.ids);
            held.clear();
        }
        Wish::Plan(_) => {}
    }
    decision.held = held;
    Ok(decision)
}

/// The steps from `base` to exactly the packages of `lock`, held or not: whoever hands over a lock has decided.
fn to_lock(
    template: &Template,
    store: &Store,
    repositories: &[Repository],
    base: &VersionRecord,
    lock: &Lock,
) -> CommandResult<Transaction> {
    let arch = template.arch.in_family(template.family);
    if (lock.family, &lock.arch) != (template.family, &arch) {
        let text = format!(
            "the lock is of {} packages for {}, `{}` has {} packages for {arch}",
            lock.family, lock.arch, template.name, template.family
        );
        return Err(CommandError::message(Kind::Unmet, text));
    }
    replay::check_ids(store, template, std::slice::from_ref(lock))?;
    let family = template.family;
    let packages = base.lock.packages.iter().chain(&lock.packages);
    let own = sources::own_packages(Some(store), repositories, family, packages)?;
    let from = Sources::new(Some(store), repositories, family, &own)?;
    let mut missing = Missing::new();
    let transaction = from.transaction(Some(&base.lock), lock, &mut missing)?;
    sources::check_found(template, missing)?;
    Ok(transaction)
}

//! Plans that are kept: written by a dry run, carried out later, and only on the version they were made for.

use super::decide::Decision;
use super::plan::Question;
use super::replay;
use super::sources::{self, Missing, Sources};
use crate::error::{CommandError, CommandResult, Kind};
use std::path::Path;
use vzpkg_cache::store::{Store, VersionRecord};
use vzpkg_metadata::lock::{Change, Lock, LockedPackage};
use vzpkg_metadata::saved_plan::SavedPlan;
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::{Action, Step, Transaction};
use vzpkg_metadata::{durable, limits};

/// Reads a plan.
///
/// # Errors
/// [`Kind::Usage`] for a file that is none.
pub(crate) fn read(path: &Path) -> CommandResult<SavedPlan> {
    let bytes = durable::read_file(path, limits::PLAN_BYTES)?;
    Ok(SavedPlan::parse(&bytes)?)
}

/// Writes what was decided for `base`.
///
/// # Errors
/// [`Kind::Environment`] where the file cannot be written.
pub(crate) fn write(
    path: &Path,
    template: &Template,
    base: &VersionRecord,
    decision: &Decision,
) -> CommandResult {
    let steps = decision.transaction.steps.iter().map(|step| {
        let package = step.package.clone();
        Change {
            action: step.action.clone(),
            package: LockedPackage {
                name: package.name,
                arch: package.arch,
                version: package.version,
                sha256: package.sha256,
                size: package.size,
                reason: step.reason.clone(),
            },
        }
    });
    let plan = SavedPlan {
        head: base.name(),
        digest: base.digest,
        template_digest: template.digest(),
        from_nothing: decision.from_nothing,
        epoch: decision.epoch,
        ids: decision.ids.clone(),
        why: decision.why.clone(),
        family: template.family,
        steps: steps.collect(),
    };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    durable::write_file(&path, 0o644, plan.to_string().as_bytes())?;
    Ok(())
}

/// What a plan says, if it is for `base` and everything it names can be had.
///
/// # Errors
/// [`Kind::Unmet`] for a plan of another version or template, one that does not fit to that version, and packages that
/// are nowhere.
pub(crate) fn decision(
    question: &Question<'_>,
    store: &Store,
    base: &VersionRecord,
    plan: &SavedPlan,
) -> CommandResult<Decision> {
    let template = question.template;
    check_head(base, plan)?;
    if plan.template_digest != template.digest() {
        let text = format!(
            "the template `{}` is not as it was when the plan was made",
            template.name
        );
        return Err(again(text, plan));
    }
    let below = (!plan.from_nothing).then_some(&base.lock);
    let arch = template.arch.in_family(template.family);
    let empty = Lock::empty(template.family, arch);
    check_fit(below.unwrap_or(&empty), plan)?;
    let wanted = Lock {
        ids: plan.ids.clone(),
        ..empty.clone()
    };
    replay::check_ids(store, template, std::slice::from_ref(&wanted))?;
    Ok(Decision {
        transaction: find(question, store, plan)?,
        from_nothing: plan.from_nothing,
        epoch: plan.epoch,
        ids: plan.ids.clone(),
        why: plan.why.clone(),
        held: Vec::new(),
        left_out: Vec::new(),
    })
}

fn check_head(base: &VersionRecord, plan: &SavedPlan) -> CommandResult {
    if plan.digest == base.digest {
        return Ok(());
    }
    let (head, made_for) = (base.name(), &plan.head);
    let what = if head == *made_for {
        format!("`{made_for}` is another build than the one the plan was made for")
    } else {
        format!("the plan was made for `{made_for}`, but the head is `{head}` now")
    };
    Err(again(what, plan))
}

fn again(text: String, plan: &SavedPlan) -> CommandError {
    let template = &plan.head.template;
    CommandError::message(Kind::Unmet, text).hint(format!(
        "make a new one: vzpkg update {template} --dry-run --save-plan FILE"
    ))
}

/// Every step must begin with what is there: a plan may have been edited.
fn check_fit(below: &Lock, plan: &SavedPlan) -> CommandResult {
    for Change { action, package } in &plan.steps {
        let has = |version: &str| {
            let mut named = below.packages.iter();
            named.any(|other| other.name == package.name && other.version == version)
        };
        let is_there = below
            .packages
            .iter()
            .any(|other| other.sha256 == package.sha256);
        let fits = match action {
            Action::Install => !is_there,
            Action::Remove => is_there,
            Action::Upgrade { from } | Action::Downgrade { from } => has(from) && !is_there,
        };
        if !fits {
            let LockedPackage { name, version, .. } = package;
            let text = format!("the plan does not fit to `{}`: {name} {version}", plan.head);
            return Err(again(text, plan));
        }
    }
    Ok(())
}

/// The steps, with the packages wherever they are.
fn find(question: &Question<'_>, store: &Store, plan: &SavedPlan) -> CommandResult<Transaction> {
    let Question {
        template,
        repositories,
        ..
    } = *question;
    let family = template.family;
    let packages = plan.steps.iter().map(|change| &change.package);
    let own = sources::own_packages(Some(store), repositories, family, packages)?;
    let from = Sources::new(Some(store), repositories, family, &own)?;
    let mut missing = Missing::new();
    let mut steps = Vec::new();
    for Change { action, package } in &plan.steps {
        let found = if *action == Action::Remove {
            Some(from.leaving(package)?)
        } else {
            from.find_or_note(package, !plan.from_nothing, &mut missing)?
        };
        let Some(found) = found else { continue };
        if found.version != package.version {
            let LockedPackage { name, version, .. } = package;
            let text = format!("what the plan calls {name} {version} is {found}");
            return Err(again(text, plan));
        }
        steps.push(Step {
            action: action.clone(),
            package: found,
            reason: package.reason.clone(),
        });
    }
    sources::check_found(template, missing)?;
    Ok(Transaction { family, steps })
}

//! Which single change to an impossible request would make it possible: found by trying each.

use crate::policy::Rulebook;
use crate::request::{Request, ResolveError};
use crate::{Question, solution};

/// Trying to leave out each of more specs than this is not worth the time.
const MOST_SPECS: usize = 30;

/// Texts that complete "it would work …", smallest change first; the first kind of change that helps is enough.
pub(crate) fn find(
    question: &Question<'_>,
    request: &Request,
) -> Result<Vec<String>, ResolveError> {
    let mut found = Vec::new();
    let works = |changed: &Request| -> Result<bool, ResolveError> {
        question
            .solve(changed)
            .map(|attempt| attempt.answer.is_some())
    };
    for exclude in &request.excludes {
        let mut changed = request.clone();
        changed.excludes.retain(|other| other != exclude);
        if works(&changed)? {
            found.push(format!("without the exclude `{exclude}`"));
        }
    }
    for hold in &request.holds {
        let mut changed = request.clone();
        changed.holds.retain(|other| other != hold);
        if works(&changed)? {
            found.push(format!("without the hold on `{hold}`"));
        }
    }
    for name in request.fixed.keys() {
        let mut changed = request.clone();
        changed.fixed.remove(name);
        if works(&changed)? {
            found.push(format!("without the hold on `{name}`"));
        }
    }
    if found.is_empty() {
        found.extend(other_versions(question, request)?);
    }
    if found.is_empty() && !request.allow_downgrade && question.installed.is_some() {
        let mut changed = request.clone();
        changed.allow_downgrade = true;
        if works(&changed)? {
            found.push("if installed packages may go back to lower versions".to_owned());
        }
    }
    if found.is_empty() && request.install.len() + request.remove.len() <= MOST_SPECS {
        for spec in &request.install {
            let mut changed = request.clone();
            changed.install.retain(|other| other != spec);
            if !(changed.install.is_empty() && changed.remove.is_empty()) && works(&changed)? {
                found.push(format!("without `{spec}`"));
            }
        }
        for spec in &request.remove {
            let mut changed = request.clone();
            changed.remove.retain(|other| other != spec);
            if works(&changed)? {
                found.push(format!("if `{spec}` may stay"));
            }
        }
    }
    if found.is_empty() && request.install.len() <= MOST_SPECS {
        let mut kept = request.clone();
        kept.install.clear();
        let mut left_out = Vec::new();
        for spec in &request.install {
            kept.install.push(spec.clone());
            if !works(&kept)? {
                kept.install.pop();
                left_out.push(format!("`{spec}`"));
            }
        }
        if !kept.install.is_empty() {
            found.push(format!("without {}", left_out.join(", ")));
        }
    }
    Ok(found)
}

/// deb: whether versions that are not the candidates would do, and which.
fn other_versions(
    question: &Question<'_>,
    request: &Request,
) -> Result<Option<String>, ResolveError> {
    if question.family != vzpkg_metadata::Family::Deb {
        return Ok(None);
    }
    let changed = Rulebook {
        any_version: true,
        ..question.rulebook(request)
    };
    let (mut pool, goal) = question.prepare(request, changed)?;
    let answer = solution::solve(&mut pool, &goal, request);
    let Some(solution) = answer else {
        return Ok(None);
    };
    let mut pinned: Vec<String> = Vec::new();
    for &solvable in &solution.chosen {
        let entry = pool.entry(pool.name(solvable));
        let is_new = entry.installed != Some(solvable);
        if is_new
            && entry.usable.first() != Some(&solvable)
            && let Some(package) = pool.package(solvable)
        {
            pinned.push(format!("`{}={}`", package.name(), package.version()));
        }
    }
    pinned.sort();
    Ok((!pinned.is_empty()).then(|| format!("with {}", pinned.join(", "))))
}

//! From wanted names and package indexes to a transaction, or to an explanation why there is none. Pure: no I/O, no
//! clock, no randomness; the same input gives the same answer on any machine.
//!
//! ```text
//! request ─► specs ─► goal ─► problem ─► solver ─► chosen packages ─► reasons, order ─► transaction
//!               └──── pool: candidates, who provides what ────┘  └─► refutation ─► tree of sentences, ways out
//! ```
//!
//! *Pool* (`pool`, `expand`): the packages of all repositories and of what is installed, numbered. A relation is expanded
//! into sets of packages of real names when a package that has it is first looked at, and only then, so that a small
//! request in a large distribution costs little: 63,000 packages of which 96 are chosen take about 2 ms.
//!
//! *Policy* (`policy`): what the families do differently. deb: one candidate version per name, as apt; the order of
//! `a | b`; versioned provides; a package never conflicts with itself. rpm: every version, the highest first;
//! repository priorities; rich dependencies; obsoletes; foreign architectures that run here; packages that are installed
//! beside their older versions; module streams, of which those that are off are hidden.
//!
//! *Solver* (`provider`): `resolvo` behind a trait. It makes choices in the order of the request, prefers the first
//! choice of each requirement, learns from conflicts, and optimises nothing else. What is installed comes first among
//! equals, so little changes that need not.
//!
//! *Result*: reasons by a walk from the request; order by strongly connected components; or a tree of sentences made
//! from the rules that contradict each other, and which single change to the request would have worked.
#![forbid(unsafe_code)]

mod expand;
pub mod explain;
mod narrate;
mod obsoletes;
mod order;
mod policy;
mod pool;
mod provider;
mod reasons;
pub mod request;
mod solution;
mod spec;
mod transaction;
mod verify;
mod ways_out;
mod weak;

pub use explain::{Conflict, Statement};
pub use request::{InstallOnly, Installed, Repository, Request, ResolveError, Target, Upgrade};

use policy::Rulebook;
use pool::Pool;
use solution::{Goal, Solution};
use std::sync::Arc;
use vzpkg_metadata::transaction::{Step, Transaction};
use vzpkg_metadata::{Arch, Family};

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Solve {
    /// It can be met, so.
    Solved(Transaction),
    /// It cannot, for these reasons.
    Impossible(Conflict),
}

/// Resolves `request` against `repositories` and what is installed. `arch` is the native architecture in any spelling.
///
/// # Errors
/// A request that cannot be understood ([`ResolveError::Spec`]), repositories of the wrong family
/// ([`ResolveError::Family`]), or damaged indexes ([`ResolveError::Damaged`]). An unsatisfiable request is not an error
/// but [`Solve::Impossible`].
pub fn resolve(
    family: Family,
    arch: &Arch,
    repositories: &[Repository<'_>],
    installed: Option<&Installed<'_>>,
    request: &Request,
) -> Result<Solve, ResolveError> {
    for repository in repositories {
        let found = repository.index.family();
        if found != family && !repository.index.is_empty() {
            return Err(ResolveError::Family {
                repository: repository.id.clone(),
                found,
                expected: family,
            });
        }
    }
    let question = Question {
        family,
        arch,
        repositories,
        installed,
    };
    // The order in which things were written does not matter.
    let mut request = request.clone();
    for specs in [
        &mut request.install,
        &mut request.if_present,
        &mut request.remove,
        &mut request.excludes,
        &mut request.holds,
    ] {
        specs.sort();
        specs.dedup();
    }
    let request = &request;
    let Attempt {
        mut pool,
        goal,
        answer,
    } = question.solve(request)?;
    if let Some(solution) = answer {
        return transaction::transaction(&mut pool, &goal, &solution, request).map(Solve::Solved);
    }
    let rulebook = Rulebook {
        unconditional: true,
        ..question.rulebook(request)
    };
    let (mut pool, goal) = question.prepare(request, rulebook)?;
    let refutation = solution::refute(&mut pool, &goal, request);
    Ok(Solve::Impossible(Conflict {
        problems: narrate::narrate(&mut pool, &goal, &refutation),
        suggestions: ways_out::find(&question, request)?,
    }))
}

/// The steps of a transaction that was not resolved here (a lock that is replayed), all of which bring packages, in the
/// order in which [`resolve`] would have put them. Packages that no repository has come last, as they came.
pub fn sequence(
    family: Family,
    arch: &Arch,
    repositories: &[Repository<'_>],
    steps: Vec<Step>,
) -> Vec<Step> {
    // Without the policy: a lock may name any version.
    let rulebook = Rulebook {
        any_version: true,
        ..Rulebook::default()
    };
    let mut pool = Pool::new(family, arch, repositories, None, rulebook);
    transaction::sequence(&mut pool, steps)
}

/// Everything but the request.
#[derive(Debug, Clone, Copy)]
struct Question<'a> {
    family: Family,
    arch: &'a Arch,
    repositories: &'a [Repository<'a>],
    installed: Option<&'a Installed<'a>>,
}

/// One try to meet a request.
struct Attempt<'a> {
    pool: Pool<'a>,
    goal: Goal,
    answer: Option<Solution>,
}

impl<'a> Question<'a> {
    fn solve(&self, request: &Request) -> Result<Attempt<'a>, ResolveError> {
        let (mut pool, goal) = self.prepare(request, self.rulebook(request))?;
        let answer = solution::solve(&mut pool, &goal, request);
        if pool.has_conditions() {
            let is_right = answer.as_ref().is_some_and(|solution| {
                let mut chosen = solution.chosen.clone();
                chosen.sort_unstable();
                verify::keeps_all_rules(&mut pool, &chosen)
            });
            if !is_right {
                return self.solve_without_conditions(request);
            }
        }
        Ok(Attempt { pool, goal, answer })
    }

    /// The same with every conditional requirement put as a choice.
    fn solve_without_conditions(&self, request: &Request) -> Result<Attempt<'a>, ResolveError> {
        let rulebook = Rulebook {
            unconditional: true,
            ..self.rulebook(request)
        };
        let (mut pool, goal) = self.prepare(request, rulebook)?;
        let answer = solution::solve(&mut pool, &goal, request);
        Ok(Attempt { pool, goal, answer })
    }

    fn rulebook(&self, request: &Request) -> Rulebook {
        let mut rulebook = Rulebook {
            excludes: request.excludes.clone(),
            holds: request.holds.clone(),
            fixed: request.fixed.clone(),
            upgrade: request.upgrade == Upgrade::All,
            allow_downgrade: request.allow_downgrade,
            install_only: request.install_only.names.clone(),
            modules: Arc::clone(&request.modules),
            ..Rulebook::default()
        };
        for spec in &request.install {
            spec::pin(self.family, spec, &mut rulebook);
        }
        if let Upgrade::Only(targets) = &request.upgrade {
            for target in targets {
                rulebook.aim(self.family, target);
            }
        }
        rulebook
    }

    fn prepare(
        &self,
        request: &Request,
        rulebook: Rulebook,
    ) -> Result<(Pool<'a>, Goal), ResolveError> {
        let mut pool = Pool::new(
            self.family,
            self.arch,
            self.repositories,
            self.installed,
            rulebook,
        );
        let lock = self.installed.map(|installed| installed.lock);
        let goal = Goal::new(&mut pool, request, lock)?;
        Ok((pool, goal))
    }
}

//! The seam to the solver: our pool as resolvo sees it. The only file that knows resolvo.
//!
//! resolvo knows one version per name and sets of one name each, which is what [`Pool`] speaks of; virtual names were
//! expanded before. No dependency hints are given: they would make it encode everything reachable.

use crate::pool::{
    Condition, ConditionId, Name, Need, Pool, Requirement, SetId, Solvable, UnionId,
};
use indexmap::IndexMap;
use resolvo::conflict::{ConflictCause, ConflictEdge, ConflictNode};
use std::cell::RefCell;
use std::fmt::Display;

/// What is asked of the solver.
#[derive(Debug, Clone, Default)]
pub(crate) struct Problem {
    /// Must hold, in the order in which choices are made.
    pub(crate) needs: Vec<Need>,
    /// Must hold.
    pub(crate) forbids: Vec<SetId>,
    /// Pseudo solvables that are taken where possible, in order, after everything else.
    pub(crate) wishes: Vec<Solvable>,
}

/// Why a problem has no solution: the rules that contradict each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refutation {
    pub(crate) facts: Vec<Fact>,
}

/// One rule of a refutation. `None` stands for the request itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    /// `by` needs one of `choices`; none exists if that is empty.
    Needs {
        by: Option<Solvable>,
        requirement: Requirement,
        choices: Vec<Solvable>,
    },
    /// `by` does not go together with `with`.
    Forbids {
        by: Option<Solvable>,
        with: Solvable,
    },
    /// Two solvables of one name.
    SameName(Solvable, Solvable),
    /// It was excluded.
    Excluded(Solvable),
}

/// Something that solves problems over a pool. A trait, so that another solver can be put behind it.
pub(crate) trait Engine {
    /// The chosen solvables, sorted, without pseudo solvables; `None` if there is no solution.
    fn solve(&self, pool: &mut Pool<'_>, problem: &Problem) -> Option<Vec<Solvable>>;

    /// Why a problem has no solution. The pool must be [`unconditional`](crate::policy::Rulebook::unconditional).
    fn refute(&self, pool: &mut Pool<'_>, problem: &Problem) -> Refutation;
}

/// resolvo as [`Engine`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resolvo;

impl Resolvo {
    fn run<T>(
        pool: &mut Pool<'_>,
        problem: &Problem,
        read: impl FnOnce(
            &resolvo::Solver<Provider<'_, '_>>,
            Result<Vec<resolvo::SolvableId>, resolvo::UnsolvableOrCancelled>,
        ) -> T,
    ) -> T {
        let provider = Provider {
            pool: RefCell::new(pool),
        };
        let mut solver = resolvo::Solver::new(provider);
        let question = resolvo::Problem::new()
            .requirements(
                problem
                    .needs
                    .iter()
                    .map(|&need| conditional(need))
                    .collect(),
            )
            .constraints(problem.forbids.iter().map(|&set| set_id(set)).collect())
            .soft_requirements(problem.wishes.iter().map(|&one| solvable_id(one)));
        let answer = solver.solve(question);
        read(&solver, answer)
    }
}

impl Engine for Resolvo {
    fn solve(&self, pool: &mut Pool<'_>, problem: &Problem) -> Option<Vec<Solvable>> {
        Self::run(pool, problem, |solver, answer| {
            let pool = solver.provider().pool.borrow();
            let mut chosen: Vec<Solvable> = answer
                .ok()?
                .into_iter()
                .map(|id| Solvable(id.into_raw()))
                .filter(|&one| pool.package(one).is_some())
                .collect();
            chosen.sort_unstable();
            Some(chosen)
        })
    }

    fn refute(&self, pool: &mut Pool<'_>, problem: &Problem) -> Refutation {
        // The graph of a conflict asserts that everything in it hangs on the request, which conditional requirements
        // and wishes break (resolvo 0.12.2): there are none when this is called.
        Self::run(pool, problem, |solver, answer| match answer {
            Err(resolvo::UnsolvableOrCancelled::Unsolvable(conflict)) => {
                refutation(&conflict.graph(solver))
            }
            _ => Refutation::default(),
        })
    }
}

fn refutation(graph: &resolvo::conflict::ConflictGraph) -> Refutation {
    let nodes = graph.graph.raw_nodes();
    let solvable = |node: &ConflictNode| match node {
        ConflictNode::Solvable(id) => Some(Solvable(id.into_raw())),
        _ => None,
    };
    let mut facts: Vec<Fact> = Vec::new();
    let mut needs: IndexMap<(Option<Solvable>, Requirement), usize> = IndexMap::new();
    for edge in graph.graph.raw_edges() {
        let by = solvable(&nodes[edge.source().index()].weight);
        let to = solvable(&nodes[edge.target().index()].weight);
        match (&edge.weight, by, to) {
            (ConflictEdge::Requires(requirement), by, to) => {
                let requirement = from_requirement(*requirement);
                let number = *needs.entry((by, requirement)).or_insert(facts.len());
                if let Some(Fact::Needs { choices, .. }) = facts.get_mut(number) {
                    choices.extend(to);
                } else {
                    facts.push(Fact::Needs {
                        by,
                        requirement,
                        choices: to.into_iter().collect(),
                    });
                }
            }
            (ConflictEdge::Conflict(ConflictCause::Constrains(_)), by, Some(with)) => {
                facts.push(Fact::Forbids { by, with });
            }
            (
                ConflictEdge::Conflict(ConflictCause::ForbidMultipleInstances),
                Some(one),
                Some(other),
            ) => facts.push(Fact::SameName(one, other)),
            (ConflictEdge::Conflict(ConflictCause::Excluded), Some(one), _) => {
                facts.push(Fact::Excluded(one));
            }
            _ => {}
        }
    }
    Refutation { facts }
}

struct Provider<'p, 'a> {
    pool: RefCell<&'p mut Pool<'a>>,
}

fn name_id(name: Name) -> resolvo::NameId {
    resolvo::NameId::from_raw(name.0)
}

fn solvable_id(solvable: Solvable) -> resolvo::SolvableId {
    resolvo::SolvableId::from_raw(solvable.0)
}

const fn set_id(set: SetId) -> resolvo::VersionSetId {
    resolvo::VersionSetId(set.0)
}

const fn requirement(requirement: Requirement) -> resolvo::Requirement {
    match requirement {
        Requirement::One(set) => resolvo::Requirement::Single(set_id(set)),
        Requirement::Any(union) => resolvo::Requirement::Union(resolvo::VersionSetUnionId(union.0)),
    }
}

const fn from_requirement(requirement: resolvo::Requirement) -> Requirement {
    match requirement {
        resolvo::Requirement::Single(set) => Requirement::One(SetId(set.0)),
        resolvo::Requirement::Union(union) => Requirement::Any(UnionId(union.0)),
    }
}

fn conditional(need: Need) -> resolvo::ConditionalRequirement {
    resolvo::ConditionalRequirement {
        condition: need
            .condition
            .map(|condition| resolvo::ConditionId::new(condition.0)),
        requirement: requirement(need.requirement),
    }
}

// Refutations are told in our own words (`explain`), so the texts below are for traces only.
impl resolvo::Interner for Provider<'_, '_> {
    type NameId = resolvo::NameId;
    type SolvableId = resolvo::SolvableId;

    fn display_solvable(&self, solvable: resolvo::SolvableId) -> impl Display + '_ {
        format!("{solvable:?}")
    }

    fn display_name(&self, name: resolvo::NameId) -> impl Display + '_ {
        format!("{name:?}")
    }

    fn display_version_set(&self, set: resolvo::VersionSetId) -> impl Display + '_ {
        format!("{set:?}")
    }

    fn display_string(&self, string: resolvo::StringId) -> impl Display + '_ {
        format!("{string:?}")
    }

    fn version_set_name(&self, set: resolvo::VersionSetId) -> resolvo::NameId {
        name_id(self.pool.borrow().set(SetId(set.0)).name)
    }

    fn solvable_name(&self, solvable: resolvo::SolvableId) -> resolvo::NameId {
        name_id(self.pool.borrow().name(Solvable(solvable.into_raw())))
    }

    fn version_sets_in_union(
        &self,
        union: resolvo::VersionSetUnionId,
    ) -> impl Iterator<Item = resolvo::VersionSetId> {
        let sets = self.pool.borrow().union(UnionId(union.0)).to_vec();
        sets.into_iter().map(set_id)
    }

    fn resolve_condition(&self, condition: resolvo::ConditionId) -> resolvo::Condition {
        let pool = self.pool.borrow();
        let id = |condition: ConditionId| resolvo::ConditionId::new(condition.0);
        match pool.condition(ConditionId(condition.as_u32())) {
            Condition::Set(set) => resolvo::Condition::Requirement(set_id(set)),
            Condition::And(a, b) => {
                resolvo::Condition::Binary(resolvo::LogicalOperator::And, id(a), id(b))
            }
            Condition::Or(a, b) => {
                resolvo::Condition::Binary(resolvo::LogicalOperator::Or, id(a), id(b))
            }
        }
    }
}

impl resolvo::DependencyProvider for Provider<'_, '_> {
    async fn filter_candidates(
        &self,
        candidates: &[resolvo::SolvableId],
        set: resolvo::VersionSetId,
        inverse: bool,
    ) -> Vec<resolvo::SolvableId> {
        let pool = self.pool.borrow();
        let set = pool.set(SetId(set.0));
        let wanted = |id: &resolvo::SolvableId| {
            let member = set.members.binary_search(&Solvable(id.into_raw())).is_ok();
            (member != set.inverse) != inverse
        };
        candidates.iter().copied().filter(wanted).collect()
    }

    async fn get_candidates(&self, name: resolvo::NameId) -> Option<resolvo::Candidates> {
        let pool = self.pool.borrow();
        let entry = pool.entry(Name(name.into_raw()));
        let excluded = entry.excluded.iter().map(|(one, _)| solvable_id(*one));
        let usable = entry.usable.iter().map(|&one| solvable_id(one));
        Some(resolvo::Candidates {
            candidates: usable.chain(excluded.clone()).collect(),
            excluded: excluded.map(|one| (one, resolvo::StringId(0))).collect(),
            ..resolvo::Candidates::default()
        })
    }

    async fn sort_candidates(
        &self,
        _solver: &resolvo::SolverCache<Self>,
        solvables: &mut [resolvo::SolvableId],
    ) {
        let pool = self.pool.borrow();
        let Some(first) = solvables.first() else {
            return;
        };
        let entry = pool.entry(pool.name(Solvable(first.into_raw())));
        let rank = |id: &resolvo::SolvableId| {
            let solvable = Solvable(id.into_raw());
            let usable = entry.usable.iter().position(|&one| one == solvable);
            usable.unwrap_or(usize::MAX)
        };
        solvables.sort_by_key(rank);
    }

    async fn get_dependencies(&self, solvable: resolvo::SolvableId) -> resolvo::Dependencies {
        let rules = self.pool.borrow_mut().rules(Solvable(solvable.into_raw()));
        resolvo::Dependencies::Known(resolvo::KnownDependencies {
            requirements: rules.needs.iter().map(|&need| conditional(need)).collect(),
            constrains: rules.forbids.iter().map(|&set| set_id(set)).collect(),
        })
    }
}

//! The order of installation: what a package needs comes before it.
//!
//! Dependency cycles are normal (libc6 and libgcc-s1), so the strongly connected components are found first (petgraph, by
//! the algorithm that does not recurse: a repository may hold a chain of any length), then ordered: by solvent on the
//! condensed graph or, of more nodes than a distribution installs at once, by a walk that gives the same order in linear
//! time. Inside a component only the strict relations count (`Pre-Depends`, `Requires(pre)`); if they form a cycle too, the
//! names decide.

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::BTreeSet;

/// Above so many nodes solvent is not asked: it looks each up in a list, and walks down from the target, recursing, at each
/// step. 20,000 in a chain take it 45 s.
const MOST_FOR_SOLVENT: usize = 2_000;

/// Relations among `count` packages, which are numbered by name: `(who, needs whom)`.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    pub(crate) count: usize,
    pub(crate) strict: BTreeSet<(usize, usize)>,
    pub(crate) loose: BTreeSet<(usize, usize)>,
}

/// The numbers in order of installation. The same relations give the same order.
pub(crate) fn order(relations: &Relations) -> Vec<usize> {
    let all: BTreeSet<_> = relations.strict.union(&relations.loose).copied().collect();
    let everything: Vec<usize> = (0..relations.count).collect();
    let mut order = Vec::with_capacity(relations.count);
    for component in components(&everything, &all) {
        if component.len() == 1 {
            order.extend(component);
            continue;
        }
        for strict in components(&component, &relations.strict) {
            order.extend(strict);
        }
    }
    order
}

/// The strongly connected components of `nodes` (sorted), each sorted, needed ones first.
fn components(nodes: &[usize], edges: &BTreeSet<(usize, usize)>) -> Vec<Vec<usize>> {
    let mut graph: DiGraph<usize, ()> = DiGraph::new();
    let indexes: Vec<NodeIndex> = nodes.iter().map(|&node| graph.add_node(node)).collect();
    let position = |node: usize| nodes.binary_search(&node).ok();
    for &(from, to) in edges {
        if let (Some(from), Some(to)) = (position(from), position(to)) {
            graph.add_edge(indexes[from], indexes[to], ());
        }
    }
    let mut components: Vec<Vec<usize>> = kosaraju_scc(&graph)
        .into_iter()
        .map(|component| {
            let mut members: Vec<usize> = component.into_iter().map(|node| graph[node]).collect();
            members.sort_unstable();
            members
        })
        .collect();
    components.sort();
    let mut of = vec![0; nodes.len()];
    for (number, component) in components.iter().enumerate() {
        for node in component.iter().filter_map(|&node| position(node)) {
            of[node] = number;
        }
    }
    let condensed: BTreeSet<(usize, usize)> = edges
        .iter()
        .filter_map(|&(from, to)| Some((of[position(from)?], of[position(to)?])))
        .filter(|(from, to)| from != to)
        .collect();
    let sort = if components.len() > MOST_FOR_SOLVENT {
        walked
    } else {
        sorted
    };
    sort(components.len(), &condensed)
        .into_iter()
        .map(|number| std::mem::take(&mut components[number]))
        .collect()
}

/// The nodes of an acyclic graph, needed ones first, by solvent.
fn sorted(count: usize, edges: &BTreeSet<(usize, usize)>) -> Vec<usize> {
    // The target that depends on everything; its place in the graph is no node of ours.
    let target = usize::MAX;
    let mut graph = solvent::DepGraph::new();
    graph.register_nodes((0..count).collect());
    for &(from, to) in edges {
        graph.register_dependency(from, to);
    }
    // Only what nothing else needs: solvent walks down from the target at every step.
    let needed: BTreeSet<usize> = edges.iter().map(|&(_, to)| to).collect();
    let last = (0..count).filter(|node| !needed.contains(node)).collect();
    graph.register_dependencies(target, last);
    let Ok(walk) = graph.dependencies_of(&target) else {
        return (0..count).collect();
    };
    // A component graph has no cycle, so every step succeeds.
    walk.filter_map(Result::ok)
        .copied()
        .filter(|&node| node != target)
        .collect()
}

/// What [`sorted`] gives, by one walk in depth: every node after those that it needs, the lower number first.
fn walked(count: usize, edges: &BTreeSet<(usize, usize)>) -> Vec<usize> {
    let mut needs: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut needed = vec![false; count];
    for &(from, to) in edges {
        needs[from].push(to);
        needed[to] = true;
    }
    let mut order = Vec::with_capacity(count);
    let mut met = vec![false; count];
    for root in (0..count).filter(|&node| !needed[node]) {
        // The way down, with how many of its needs each node has looked at.
        let mut path = vec![(root, 0)];
        met[root] = true;
        while let Some((node, next)) = path.last_mut() {
            let Some(&below) = needs[*node].get(*next) else {
                order.push(*node);
                path.pop();
                continue;
            };
            *next += 1;
            if !met[below] {
                met[below] = true;
                path.push((below, 0));
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn relations(count: usize, strict: &[(usize, usize)], loose: &[(usize, usize)]) -> Relations {
        Relations {
            count,
            strict: strict.iter().copied().collect(),
            loose: loose.iter().copied().collect(),
        }
    }

    #[test]
    fn what_is_needed_comes_first() {
        assert_eq!(order(&relations(3, &[], &[(0, 1), (1, 2)])), [2, 1, 0]);
        assert_eq!(order(&relations(3, &[], &[])), [0, 1, 2]);
    }

    #[test]
    fn strict_relations_hold_inside_a_cycle() {
        let looped = relations(3, &[(0, 2)], &[(2, 1), (1, 0)]);
        assert_eq!(order(&looped), [2, 0, 1]);
        let around = relations(4, &[(1, 2)], &[(2, 1), (1, 0), (3, 1)]);
        assert_eq!(order(&around), [0, 2, 1, 3]);
    }

    proptest! {
        #[test]
        fn a_large_graph_is_sorted_as_a_small_one_is(
            pairs in prop::collection::btree_set((0_usize..40, 0_usize..40), 0..120),
        ) {
            // Needs of higher numbers only: no cycle.
            let edges = pairs.into_iter().filter(|(from, to)| from < to).collect();
            prop_assert_eq!(walked(40, &edges), sorted(40, &edges));
            let turned = edges.iter().map(|&(from, to)| (39 - from, 39 - to)).collect();
            prop_assert_eq!(walked(40, &turned), sorted(40, &turned));
        }
    }

    #[test]
    fn a_strict_cycle_falls_back_to_names() {
        assert_eq!(order(&relations(2, &[(0, 1), (1, 0)], &[])), [0, 1]);
    }
}

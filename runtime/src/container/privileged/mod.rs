//! Whole lives of containers under a real OCI runtime, on a tiny tree made of the host's busybox. Root only.
//!
//! Every test is a function of a [`Node`], and [`in_every_tier`] makes one test of it for each mount tier: what is
//! true of a container does not depend on how the kernel shows its version.

mod clusters;
mod dead_runs;
mod isolation;
mod life;
mod node;
mod quota;
mod relink;
mod surroundings;
mod together;
mod version;
mod writes;

pub(in crate::container) use node::{Node, ROOT};

use crate::rootfs::Tier;
use std::io::Write as _;

/// Makes a test of each tier from functions of a [`Node`], named as they are: `privileged_x::image` and so on.
macro_rules! in_every_tier {
    ($($name:ident),+ $(,)?) => { $(
        mod $name {
            use crate::container::privileged::run;
            use crate::rootfs::Tier;

            #[test]
            #[ignore = "needs root: make check runs it"]
            fn image() {
                run(Tier::Image, super::$name);
            }

            #[test]
            #[ignore = "needs root: make check runs it"]
            fn stacked() {
                run(Tier::Stacked, super::$name);
            }

            #[test]
            #[ignore = "needs root: make check runs it"]
            fn stubs() {
                run(Tier::Stubs, super::$name);
            }

            #[test]
            #[ignore = "needs root: make check runs it"]
            fn directory() {
                run(Tier::Directory, super::$name);
            }
        }
    )+ };
}
pub(in crate::container) use in_every_tier;

/// Runs one test on a node of this tier. What the kernel cannot do is said aloud: the harness swallows what a test
/// prints, but not what it writes to the terminal itself.
pub(in crate::container) fn run(tier: Tier, test: fn(&Node)) {
    let node = Node::new(tier);
    let Some(obstacle) = node.obstacle() else {
        return test(&node);
    };
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    writeln!(std::io::stderr(), "NOT RUN: {name}: {obstacle}").unwrap();
}

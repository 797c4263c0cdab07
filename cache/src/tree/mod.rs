//! Work on whole trees: packages laid over each other, two trees compared, a built tree cleaned. Pure: trees in, trees
//! out. The tree type and its encoding are `metadata`'s.

pub mod diff;
pub mod merge;
pub mod normalize;

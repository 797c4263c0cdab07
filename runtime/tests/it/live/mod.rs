//! Live relinks of real containers on real kernels, in every tier. Root only.

mod bound;
mod cut_short;
mod moves;
mod scene;

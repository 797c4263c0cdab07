//! Merges on a model of a node: trees, objects and an upper directory in memory, with the overlay's own rules for
//! changes made by a container.

mod model;
mod packages;
mod properties;
mod records;
mod rollback;
mod rpm;
mod rules;

use model::{Model, dir, file, link, path, tree};

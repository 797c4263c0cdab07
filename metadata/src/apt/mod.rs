//! apt's formats: `Release`, `Packages`, control paragraphs, `sources.list` and `.sources` files. Text in, values out.
//!
//! All of them are deb822 paragraphs, read by one scanner ([`deb822`]), so that no two readers can disagree about what
//! a file says. Verify a file's signature or checksum before it comes here; these parsers are bounded and never panic,
//! but what they return is only as true as the bytes.

pub mod control;
pub mod date;
pub mod deb822;
mod fields;
pub mod packages;
pub mod release;
pub mod source_index;
pub mod sources;
#[cfg(test)]
mod tests;

pub use fields::FieldProblem;

//! yum's formats: `repomd.xml`, `primary.xml`, `filelists.xml`, `updateinfo.xml`, mirror lists and metalinks. Bytes in,
//! values out.
//!
//! The XML is read by `quick-xml` as a stream, one package in memory at a time, through one strict layer ([`xml`])
//! that refuses document types, unknown entities and endless elements. Not here yet: `comps`, `modules` (each becomes a file of
//! this folder), and never: zchunk and sqlite forms, of which the same repository always has another.

pub mod filelists;
pub mod metalink;
pub mod mirrorlist;
mod package;
pub mod primary;
mod relation;
pub mod repomd;
#[cfg(test)]
mod tests;
pub mod updateinfo;
mod xml;

pub use xml::XmlError;

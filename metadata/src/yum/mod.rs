//! yum's formats: `repomd.xml`, `primary.xml`, `filelists.xml`, `updateinfo.xml`, `comps.xml`, `modules.yaml`, mirror lists
//! and metalinks. Bytes in, values out.
//!
//! The XML is read as a stream, one package in memory at a time, by one strict reader ([`xml`]) that refuses document types,
//! unknown entities and endless elements; the YAML by `saphyr-parser` through a strict layer ([`yaml`]). Never here: zchunk and sqlite forms, of which the same repository always has another.

pub mod comps;
pub mod filelists;
pub mod metalink;
pub mod mirrorlist;
pub mod module_filter;
pub mod modules;
mod package;
pub mod primary;
mod relation;
pub mod repomd;
#[cfg(test)]
mod tests;
pub mod updateinfo;
mod xml;
mod yaml;

pub use xml::XmlError;
pub use yaml::YamlError;

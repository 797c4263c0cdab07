//! Tests of the whole crate through its public face.

mod fuzz_corpus;

//! Fuzzes `saved_plan` of `targets.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vzpkg_metadata_fuzz::saved_plan(data));

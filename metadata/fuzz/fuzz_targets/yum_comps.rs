//! Fuzzes `yum_comps` of `targets.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vzpkg_metadata_fuzz::yum_comps(data));

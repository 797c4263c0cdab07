//! Fuzzes `yum_updateinfo` of `targets.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vzpkg_metadata_fuzz::yum_updateinfo(data));

//! Fuzzes `yum_modules` of `targets.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vzpkg_metadata_fuzz::yum_modules(data));

//! Fuzzes `apt_control` of `targets.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vzpkg_metadata_fuzz::apt_control(data));

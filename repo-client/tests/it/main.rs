//! Tests through the public API, against a server that misbehaves on demand.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "what the tests share fails the test that asks for it"
)]

mod apt;
mod attacks;
mod changing;
mod download;
mod freshness;
mod mirror;
mod mirror_demand;
mod mirror_filters;
mod mirror_fixtures;
mod mirror_hostile;
mod mirror_serve;
mod mirror_states;
mod mirror_upstreams;
mod mirror_yum;
mod network;
mod secrets;
mod signatures;
mod support;
mod yum;
mod yum_advisories;
mod yum_extras;
mod yum_filelists;
mod yum_fixtures;
mod yum_mirrors;
mod yum_refused;

#[test]
fn every_file_of_tests_is_part_of_this_binary() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    let text = std::fs::read_to_string(format!("{directory}/main.rs")).unwrap();
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        assert!(
            module == "main" || text.contains(&format!("mod {module};")),
            "{name}"
        );
    }
}

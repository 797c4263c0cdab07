//! The cache crate through its public API. Loose files here would each become a binary of its own.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "helpers of tests are not inside #[test]; the message says what broke"
)]

mod archive;
mod build_deb;
mod build_fixture;
mod build_rpm;
mod build_synthetic;
mod every_file_is_listed;
mod fixtures;
mod rpm_node;
mod scan;
mod store_crash;
mod store_full_disk;
mod store_gc;
mod store_guards;
mod store_images;
mod store_migrate;
mod store_model;
mod store_mounts;
mod store_objects;
mod store_publish;
mod store_rebuild;
mod store_verify;

//! The OCI side of a container: the bundle that describes it, and the runtime binary that runs it.
//!
//! [`bundle`] turns a configuration into `config.json`; [`runtime_binary`] calls crun, runc or youki, as [`runtime`] wants
//! it; [`limits`] changes what a running container is limited to. None of them mounts a root file system or knows what is in it.

mod ahead;
pub mod bundle;
pub mod cgroups;
pub mod disk;
pub mod limits;
mod mounts;
pub mod moves;
pub mod orphans;
mod resources;
mod rights;
pub mod runtime;
pub mod runtime_binary;
mod self_test;
mod trial;

pub use bundle::{BundleSpec, InitKind};
pub use disk::Disk;
pub use limits::LimitError;
pub use runtime::{Begun, ContainerStatus, ExecProcess, OciError, OciRuntime, OciState, Streams};
pub use runtime_binary::{PID_FILE, RuntimeBinary};
pub use self_test::KNOWN;

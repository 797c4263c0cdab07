//! The relink of a running container: it stands still for about a millisecond and goes on with another version below.
//!
//! Two overlays on one upper are not coherent: a name that one of them makes or removes may stay unseen by the other for
//! ever, and what is written to it is lost. So nobody may go on working with names in the old overlay. Who does is
//! **bound** (`census`): by a working directory, an open directory, a lock, a private file that is open to read and write and
//! may be locked at any time, a FIFO, a socket in the overlay, or by a mount namespace that cannot be moved. A container with
//! bound processes is not relinked until their services are stopped.
//!
//! ```text
//! census        who is bound, who is on old files                    look, namespaces, sockets, report
//! plan          decided by the caller; `watch` sees what changes
//! record        undo record and plan durable, intent in the journal  relink
//! freeze        cgroup2, or the freezer of version 1                 freezer
//! look again    census and change times                              mover, in the helper from here
//! edit          renames in the upper                                 (container::apply)
//! move          all mount namespaces, or none                        together, crossing, placement
//! look again    none is left on the old overlay                      mover
//! thaw, record  the row                                              relink
//! settle        when nobody is in the old overlay any more           settle
//! ```

mod census;
mod crossing;
mod descriptor;
mod freezer;
mod look;
mod members;
mod mountinfo;
mod mover;
mod namespaces;
mod order;
mod placement;
mod progress;
#[cfg(test)]
mod recorded;
mod recover;
mod refusal;
mod relink;
mod report;
mod services;
mod settle;
mod sockets;
mod stamp;
mod straggler;
mod together;
mod watch;

pub(super) use members::Members;
pub(crate) use mover::serve;
pub use recover::{recover_live, unfinished};
pub use relink::{LiveTarget, Moved, census, relink_running};
pub use report::{Bond, Process};
pub use services::{Manager, manager, service_of, tell};
pub use settle::{is_unsettled, settle};
pub use watch::Watch;

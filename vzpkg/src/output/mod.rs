//! Everything a person or a program reads from vzpkg: results on stdout, all else on stderr.

mod diagnostics;
mod printer;
pub mod progress;
pub mod table;
mod time;

pub use diagnostics::render;
pub use printer::{Printer, Tone, Verbosity, clean};
pub use time::{Clock, duration, local_time};

//! Everything a person or a program reads from vzpkg: results on stdout, all else on stderr.

pub mod comparison;
mod copied;
mod count;
mod diagnostics;
pub mod nearest;
mod printer;
pub mod progress;
pub mod table;
mod time;

pub use copied::quoted;
pub use count::counted;
pub use diagnostics::render;
pub use printer::{Printer, ResultLost, Tone, Verbosity, clean};
pub use time::{Clock, day_of, duration, end_of_day, local_time, span};

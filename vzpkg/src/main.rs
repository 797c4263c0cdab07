//! The `vzpkg` binary: hands its arguments to the library and returns the exit code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    vzpkg::run(std::env::args_os())
}

//! The helper of this crate's own tests; the `vzpkg` command is its own helper.

use std::process::ExitCode;

fn main() -> ExitCode {
    vzpkg_runtime::helper_main()
}

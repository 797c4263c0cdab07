//! Ctrl-C and SIGTERM: the first asks every worker to stop, and guard types clean up; the second ends the process.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A flag that becomes true with the first SIGINT, SIGTERM or SIGHUP. The second ends the process with the code of an
/// interruption; what it leaves is rubbish that the next command ignores.
pub(crate) fn watch() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGHUP,
    ] {
        // In this order: a second signal finds the flag set and ends the process.
        let ended =
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag));
        let asked = signal_hook::flag::register(signal, Arc::clone(&flag));
        if let Err(error) = ended.and(asked) {
            tracing::warn!(signal, %error, "signals keep their default effect");
        }
    }
    flag
}

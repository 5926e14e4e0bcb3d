//! Owns Ctrl-C: the first one asks the run to stop in good order (finished work is committed), a second one ends the
//! process at once, which the store survives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Installs the handler and gives the flag that it raises.
pub(crate) fn cancel_flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    // Without a handler Ctrl-C ends the process as usual: nothing to report.
    let _ = ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::SeqCst) {
            #[expect(clippy::exit, reason = "the second Ctrl-C: the user does not want to wait")]
            std::process::exit(130);
        }
    });
    flag
}

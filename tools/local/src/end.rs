//! How a program of this package is ended.

use std::io;

/// Waits for Ctrl-C or SIGTERM.
///
/// # Errors
///
/// The system does not say when they come.
pub async fn end_of_work() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminated = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminated.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

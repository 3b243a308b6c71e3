//! Running a command until it ends or a signal interrupts it.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::{commands::Command, context::Context, error::Error};

/// How long uploads that were interrupted may take to be aborted. What remains then, the bucket's lifecycle rule removes.
const CLEAN_UP: Duration = Duration::from_secs(5);

/// Runs a command.
///
/// # Errors
/// Those of the command; [`Error::Interrupted`].
pub async fn run(context: &Context, command: Command) -> Result<(), Error> {
    let signal = tokio::select! {
        result = command.run(context) => return result,
        signal = interruption() => signal,
    };
    let _ = tokio::time::timeout(CLEAN_UP, context.abort_uploads()).await;
    Err(Error::Interrupted {
        signal,
        stage: context.stage(),
    })
}

/// Waits for SIGINT or SIGTERM; returns its number.
async fn interruption() -> i32 {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
    let [Ok(mut interrupt), Ok(mut terminate)] = kinds.map(signal) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
        _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
    }
}

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
        // The handlers have to be there before the command begins.
        biased;
        signal = interruption() => signal,
        result = explained(context, command) => return result,
    };
    let _ = tokio::time::timeout(CLEAN_UP, context.abort_uploads()).await;
    Err(Error::Interrupted {
        signal,
        stage: context.stage(),
        goes_on: context.goes_on(),
    })
}

/// Runs a command; what its error leaves open and the store knows is said, too.
async fn explained(context: &Context, command: Command) -> Result<(), Error> {
    match command.run(context).await {
        Err(error) => Err(context.explained(error).await),
        done => done,
    }
}

/// Waits for a signal that ends programs; returns its number. One that was ignored when the program started, as `nohup` ignores
/// SIGHUP, stays ignored.
async fn interruption() -> i32 {
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ];
    let ignored = ignored_signals();
    let mut waiting = Vec::new();
    for kind in kinds {
        let number = kind.as_raw_value();
        if ignored >> (number - 1) & 1 == 0
            && let Ok(mut signals) = signal(kind)
        {
            waiting.push(Box::pin(async move {
                signals.recv().await;
                number
            }));
        }
    }
    if waiting.is_empty() {
        return std::future::pending().await;
    }
    futures::future::select_all(waiting).await.0
}

/// The signals that are ignored, a bit for each, the lowest for signal 1 (proc(5), `SigIgn`).
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}

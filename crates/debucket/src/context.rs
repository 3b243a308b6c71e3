//! What all commands share: where the repository is, how results are printed, and what an interruption leaves.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use deb_index::name::SuiteName;
use repository::{Head, Keys, Repository, RepositoryUrl, Stage, Suite, Writes};
use s3_storage::{Prefixed, S3, S3Config, Storage};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    commands::Command,
    error::{Error, Role},
    key_options::TrustOptions,
    printer::{OutputOptions, Printer, eprint_line},
    store_options::{StoreOptions, WriteOptions},
};

/// How long uploads that were interrupted may take to be aborted.
const CLEAN_UP: Duration = Duration::from_secs(5);

/// One run of the program.
#[derive(Debug)]
pub struct Context {
    pub(crate) store: StoreOptions,
    pub(crate) printer: Printer,
    stage: Mutex<Stage>,
    /// The store, once a command has opened it, and for what.
    opened: OnceLock<(Arc<dyn Storage>, Role)>,
}

impl Context {
    #[must_use]
    pub fn new(store: StoreOptions, output: OutputOptions) -> Self {
        Self {
            store,
            printer: Printer::new(output),
            stage: Mutex::new(Stage::Preparing),
            opened: OnceLock::new(),
        }
    }

    /// Runs a command until it ends or a signal interrupts it.
    ///
    /// # Errors
    /// Those of the command; [`Error::Interrupted`].
    pub async fn run(&self, command: Command) -> Result<(), Error> {
        let signal = tokio::select! {
            result = command.run(self) => return result,
            signal = interruption() => signal,
        };
        if let Some((storage, _)) = self.opened.get() {
            // What is left open by a store that does not answer, the bucket's lifecycle rule removes.
            let _ = tokio::time::timeout(CLEAN_UP, storage.abort_uploads()).await;
        }
        Err(Error::Interrupted {
            signal,
            stage: *self.stage.lock().unwrap_or_else(PoisonError::into_inner),
        })
    }

    pub(crate) fn set_stage(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// Prints an error, what caused it, and what to do next.
    pub fn report(&self, error: &Error) {
        eprint_line(&format!("error: {error}"));
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            eprint_line(&format!("  caused by: {error}"));
            cause = error.source();
        }
        let role = self.opened.get().map_or(Role::Publisher, |(_, role)| *role);
        if let Some(advice) = error.advice(role) {
            eprint_line(&format!("  next: {advice}"));
        }
    }

    pub(crate) fn url(&self) -> Result<RepositoryUrl, Error> {
        self.store.url()
    }

    /// Opens the repository for reading.
    pub(crate) async fn repository(&self) -> Result<Repository, Error> {
        self.open(self.store.config(), Writes::Conditional, Role::Reader)
            .await
    }

    /// Opens the repository for changes.
    pub(crate) async fn writable_repository(
        &self,
        write: &WriteOptions,
    ) -> Result<Repository, Error> {
        let config = write.config(self.store.config())?;
        self.open(config, write.writes(), Role::Publisher).await
    }

    async fn open(
        &self,
        mut config: S3Config,
        writes: Writes,
        role: Role,
    ) -> Result<Repository, Error> {
        let url = self.url()?;
        config.bucket.clone_from(&url.bucket);
        let store = S3::connect(config).await.map_err(repository::Error::from)?;
        let storage: Arc<dyn Storage> = Arc::new(Prefixed::new(store, &url.prefix));
        let _ = self.opened.set((storage.clone(), role));
        Ok(Repository::new(storage, url, writes))
    }

    /// A suite for reading, and the warnings that its head gives.
    pub(crate) fn readable_suite<'r>(
        &self,
        repository: &'r Repository,
        name: &SuiteName,
        trust: &TrustOptions,
    ) -> Result<Suite<'r>, Error> {
        let keys = trust.keys()?;
        if matches!(keys, Keys::Unchecked) {
            self.printer
                .note("no key was given (--keyring), so signatures are not checked");
        }
        Ok(repository.suite(name.clone(), keys))
    }

    /// Prints what is known to go wrong with a head.
    pub(crate) fn warn_of(&self, suite: &Suite<'_>, head: &Head) {
        for warning in suite.warnings(head) {
            self.printer.warn(warning);
        }
    }
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

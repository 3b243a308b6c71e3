//! What all commands share: where the repository is, how results are printed, and what an interruption leaves.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use deb_index::name::SuiteName;
use repository::{Head, Keys, Repository, RepositoryUrl, Stage, Suite, Warning, Writes};
use s3_storage::{Prefixed, S3, S3Config, Storage};

use crate::{
    advice::warning_advice,
    error::{Error, Role},
    key_options::TrustOptions,
    printer::{self, OutputOptions, Printer},
    store_options::{StoreOptions, WriteOptions},
};

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

    /// How far the change that is carried out has come.
    pub(crate) fn stage(&self) -> Stage {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_stage(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// Removes what uploads that were interrupted have left in the store.
    pub(crate) async fn abort_uploads(&self) {
        if let Some((storage, _)) = self.opened.get() {
            storage.abort_uploads().await;
        }
    }

    /// Prints an error, what caused it, and what to do next.
    pub fn report(&self, error: &Error) {
        let role = self.opened.get().map_or(Role::Publisher, |(_, role)| *role);
        printer::report(error, role);
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

    /// Opens the repository for a garbage collection.
    pub(crate) async fn collectable_repository(
        &self,
        write: &WriteOptions,
    ) -> Result<Repository, Error> {
        let config = write.config(self.store.config())?;
        self.open(config, write.writes(), Role::Collector).await
    }

    /// Opens the repository for deleting a suite.
    pub(crate) async fn deletable_repository(
        &self,
        write: &WriteOptions,
    ) -> Result<Repository, Error> {
        let config = write.config(self.store.config())?;
        self.open(config, write.writes(), Role::Deleter).await
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
        name: SuiteName,
        trust: &TrustOptions,
    ) -> Result<Suite<'r>, Error> {
        let keys = trust.keys()?;
        if matches!(keys, Keys::Unchecked) {
            self.printer
                .note("no key was given (--keyring), so signatures are not checked");
        }
        Ok(repository.suite(name, keys))
    }

    /// A suite for reading, named by its name or an alias, and its head. Prints what is known to go wrong with it.
    pub(crate) async fn read_suite<'r>(
        &self,
        repository: &'r Repository,
        name: SuiteName,
        trust: &TrustOptions,
    ) -> Result<(Suite<'r>, Head), Error> {
        let suite = self.readable_suite(repository, name, trust)?;
        let (suite, head) = suite.resolved().await?;
        self.warn_of(&suite, &head);
        Ok((suite, head))
    }

    /// Prints what is known to go wrong with a head.
    pub(crate) fn warn_of(&self, suite: &Suite<'_>, head: &Head) {
        for warning in suite.warnings(head) {
            self.warn(&warning);
        }
    }

    /// Prints a warning, and what to do about it.
    pub(crate) fn warn(&self, warning: &Warning) {
        self.printer.warn(warning);
        if let Some(next) = warning_advice(warning) {
            self.printer.next(next);
        }
    }
}

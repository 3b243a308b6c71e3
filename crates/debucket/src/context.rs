//! What all commands share: where the repository is, how results are printed, and what an interruption leaves.

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deb_index::{digest::Sha256, name::SuiteName};
use indicatif::MultiProgress;
use repository::{Head, Keys, Repository, RepositoryUrl, Stage, Suite, Warning, Writes};
use s3_storage::{Prefixed, S3, S3Config, Storage};

use crate::{
    error::{Error, Role},
    failure::Failure,
    given::Given,
    key_options::TrustOptions,
    printer::{OutputOptions, Printer},
    progress::{self, Works},
    store_options::{StoreOptions, WriteOptions},
    warning_advice::warning_advice,
};

/// How long the store may take to explain an error.
const PATIENCE: Duration = Duration::from_secs(10);

/// One run of the program.
#[derive(Debug)]
pub struct Context {
    pub(crate) store: StoreOptions,
    pub(crate) printer: Printer,
    /// Where progress is shown on a terminal.
    pub(crate) bars: Option<MultiProgress>,
    stage: Mutex<Stage>,
    goes_on: AtomicBool,
    /// The store, once a command has opened it, and for what.
    opened: OnceLock<(Arc<dyn Storage>, Role)>,
    /// Options that printed commands repeat.
    given: Given,
    source: OnceLock<Source>,
}

/// How the repository is reached that packages are promoted from.
#[derive(Debug)]
pub(crate) struct Source {
    store: StoreOptions,
    given: Given,
    /// Whether it is reached by options of its own.
    pub(crate) is_elsewhere: bool,
}

impl Source {
    /// The text with these options in its commands.
    pub(crate) fn complete(&self, text: &str, url: impl fmt::Display) -> String {
        let given = self.given.reaching(self.store.to_reach(url));
        given.complete(text)
    }
}

impl Context {
    #[must_use]
    pub fn new(store: StoreOptions, output: OutputOptions, given: &Given) -> Self {
        let printer = Printer::new(output, given.reaching(store.given()));
        Self {
            store,
            bars: progress::bars(&printer),
            printer,
            stage: Mutex::new(Stage::Preparing),
            goes_on: AtomicBool::new(false),
            opened: OnceLock::new(),
            given: given.clone(),
            source: OnceLock::new(),
        }
    }

    /// How far the change that is carried out has come.
    pub(crate) fn stage(&self) -> Stage {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_stage(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// Whether the command has begun with what the same command, run again, goes on with.
    pub(crate) fn goes_on(&self) -> bool {
        self.goes_on.load(Ordering::Relaxed)
    }

    pub(crate) fn set_goes_on(&self) {
        self.goes_on.store(true, Ordering::Relaxed);
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
        let advice = error.advice_of(role, self.source.get());
        let failure = Failure::new(error, advice.map(|advice| self.printer.complete(&advice)));
        failure.eprint();
        if self.printer.lacks_document() {
            failure.print();
        }
    }

    /// The same error. Where no key was given, it says which the suite wants, if the store can be asked soon.
    pub(crate) async fn explained(&self, error: Error) -> Error {
        let suite = match &error {
            Error::Repository(repository::Error::NoSigner { suite, keys, .. })
                if keys.is_empty() =>
            {
                suite.clone()
            }
            _ => return error,
        };
        let look = async {
            let repository = self.repository().await.ok()?;
            let suite = repository.suite(suite.clone(), Keys::Unchecked);
            let keys = suite
                .head()
                .await
                .ok()??
                .commit
                .settings
                .signing_keys
                .clone();
            (!keys.is_empty()).then(|| keys.iter().map(|key| key.fingerprint).collect())
        };
        match tokio::time::timeout(PATIENCE, look).await {
            Ok(Some(keys)) => Error::Repository(repository::Error::NoSigner {
                suite,
                is_signed: true,
                keys,
            }),
            _ => error,
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

    /// Opens the repository for changes with the rights of a role.
    pub(crate) async fn writable_repository(
        &self,
        write: &WriteOptions,
        role: Role,
    ) -> Result<Repository, Error> {
        let config = write.config(self.store.config())?;
        self.open(config, write.writes(), role).await
    }

    /// Notes how the repository is reached that packages are promoted from.
    pub(crate) fn set_source(&self, store: &StoreOptions, is_elsewhere: bool) {
        let _ = self.source.set(Source {
            store: store.clone(),
            given: self.given.of_source(),
            is_elsewhere,
        });
    }

    /// Opens another repository, to take packages from it.
    pub(crate) async fn other_repository(
        &self,
        url: &RepositoryUrl,
        store: &StoreOptions,
    ) -> Result<Repository, Error> {
        let bucket = url.bucket.clone();
        let config = store.config();
        let store = S3::connect(S3Config { bucket, ..config }).await;
        let store = store.map_err(|error| repository::Error::Source {
            repository: url.to_string(),
            source: Box::new(error.into()),
        })?;
        let storage = Arc::new(Prefixed::new(store, &url.prefix));
        let repository = Repository::new(storage, url.clone(), Writes::Conditional);
        Ok(self.observed(repository))
    }

    /// Opens the repository to be examined with the rights of a role, and the bucket that it is in. Nothing is waited for longer
    /// than `patience`.
    pub(crate) async fn examined(
        &self,
        write: &WriteOptions,
        role: Role,
        patience: Duration,
    ) -> Result<(S3, Arc<dyn Storage>, Repository), Error> {
        let config = write.config(self.store.config())?;
        let config = config.with_access(|access| access.silence_timeout = patience);
        let (store, storage) = self.connect(config, role).await?;
        let repository = Repository::new(storage.clone(), self.url()?, write.writes());
        Ok((store, storage, repository))
    }

    async fn open(
        &self,
        config: S3Config,
        writes: Writes,
        role: Role,
    ) -> Result<Repository, Error> {
        let (_, storage) = self.connect(config, role).await?;
        let repository = Repository::new(storage, self.url()?, writes);
        Ok(self.observed(repository))
    }

    fn observed(&self, repository: Repository) -> Repository {
        match self.bars.clone() {
            Some(bars) => repository.observed(Arc::new(Works(bars))),
            None => repository,
        }
    }

    /// The bucket, and the repository's keys in it.
    async fn connect(
        &self,
        mut config: S3Config,
        role: Role,
    ) -> Result<(S3, Arc<dyn Storage>), Error> {
        let url = self.url()?;
        config.bucket.clone_from(&url.bucket);
        let store = S3::connect(config).await.map_err(repository::Error::from)?;
        let storage: Arc<dyn Storage> = Arc::new(Prefixed::new(store.clone(), &url.prefix));
        let _ = self.opened.set((storage.clone(), role));
        Ok((store, storage))
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
        self.warn_of_all(suite, &suite.warnings(head));
    }

    /// Prints warnings about a suite, which may be one that packages are promoted from.
    pub(crate) fn warn_of_all(&self, suite: &Suite<'_>, warnings: &[Warning]) {
        for warning in warnings {
            self.printer.warn(warning);
            match (warning_advice(suite.name(), warning), self.source.get()) {
                (Some(next), None) => self.printer.next(&next),
                (Some(next), Some(source)) => {
                    let next = source.complete(&next, suite.repository().url());
                    self.printer.next(&next);
                }
                (None, _) => {}
            }
        }
    }

    /// Says that a commit of the history is lost, if one is.
    pub(crate) fn warn_of_lost(&self, suite: &Suite<'_>, commit: Option<Sha256>) {
        if let Some(commit) = commit {
            let name = suite.name().to_string();
            let lost = Warning::CommitLost {
                suite: name,
                commit,
            };
            self.warn(suite.name(), &lost);
        }
    }

    /// Prints a warning about a suite, and what to do about it.
    pub(crate) fn warn(&self, suite: &SuiteName, warning: &Warning) {
        self.printer.warn(warning);
        if let Some(next) = warning_advice(suite, warning) {
            self.printer.next(&next);
        }
    }
}

//! Package files into the pool. A pool object is never overwritten.
//!
//! A package goes to the key that is its own. Where other bytes are at that key (another suite's build of the same version, or
//! what a killed publish left), it goes to a key with its digest in the name. An object that is there already is compared by the
//! store's checksum or by reading it, never trusted by what its writer noted. The same holds for a file that is copied from another
//! repository. A package whose file was damaged moves to such a key, too: another suite may have what is in its place.

use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
};

use deb_index::{
    digest::{Hasher, Sha256},
    name::SuiteName,
    package_id::PackageId,
    stanza::Stanza,
    suite::layout,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use s3_storage::{
    ErrorKind, GetOptions, GetReply, ObjectMeta, Payload, Progress, PutMode, PutOptions, Storage,
};
use tokio::sync::OnceCell;

use crate::{Error, Observer, Repository, Suite, Work, Writes};

/// Packages that are uploaded at once.
const CONCURRENT: usize = 32;
/// Bytes from which a file is looked for before it is sent: below, sending it costs less than asking.
const LARGE: u64 = 1 << 20;
/// Tries to create one object, between which others delete or create it.
const TRIES: usize = 5;

/// A package and the file that it is in.
#[derive(Debug, Clone)]
pub struct PackageFile {
    pub stanza: Stanza,
    source: Source,
    /// Whether it was sent just now, for another suite. It is then looked for before it is sent again.
    pub is_sent: bool,
}

impl PackageFile {
    #[must_use]
    pub fn new(path: PathBuf, stanza: Stanza) -> Self {
        Self {
            stanza,
            source: Source::File(path),
            is_sent: false,
        }
    }

    /// A package whose file is in the pool of another repository, as a suite of that says.
    pub(crate) fn stored(of: Arc<Origin>, there: &Stanza) -> Self {
        Self {
            stanza: there.at_own_key(),
            source: Source::Stored {
                of,
                key: there.key.clone(),
            },
            is_sent: false,
        }
    }

    /// Whether it is copied from another repository.
    #[must_use]
    pub fn is_copied(&self) -> bool {
        matches!(self.source, Source::Stored { .. })
    }
}

/// Where a package's file is.
#[derive(Debug, Clone)]
enum Source {
    File(PathBuf),
    Stored { of: Arc<Origin>, key: String },
}

/// A suite of another repository that packages are copied from.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) repository: Repository,
    pub(crate) suite: SuiteName,
}

impl Source {
    fn payload(&self, size: u64) -> Payload {
        match self {
            Self::File(path) => Payload::File {
                path: path.clone(),
                size,
            },
            Self::Stored { of, key } => Payload::Object {
                storage: of.repository.storage.clone(),
                key: key.clone(),
                size,
            },
        }
    }

    /// Why a write of it failed.
    fn failed(&self, error: s3_storage::Error) -> Error {
        match self {
            Self::Stored { of, key } if error.is_of_payload() => of.unusable(key, error),
            _ => error.into(),
        }
    }

    /// Fails if it is known that it cannot be sent.
    async fn check(&self, object: &NewObject<'_>) -> Result<(), Error> {
        let Self::Stored { of, key } = self else {
            return Ok(());
        };
        let there = of.repository.storage.head(key).await;
        let there = there.map_err(|error| of.unusable(key, error))?;
        let is_other = there
            .sha256
            .is_some_and(|sha256| Sha256(sha256) != object.sha256);
        if there.size != Some(object.size) || is_other {
            return Err(of.damaged(key, OTHER_CONTENT));
        }
        Ok(())
    }
}

impl Origin {
    fn unusable(&self, key: &str, error: s3_storage::Error) -> Error {
        match error.kind() {
            ErrorKind::NotFound => self.damaged(key, "is missing"),
            ErrorKind::ChecksumMismatch => self.damaged(key, OTHER_CONTENT),
            _ => self.repository.unusable(error.into()),
        }
    }

    fn damaged(&self, key: &str, problem: &'static str) -> Error {
        self.repository.unusable(Error::Damaged {
            suite: self.suite.clone(),
            key: key.to_owned(),
            problem,
        })
    }
}

/// Whether objects are written, or only looked at to find out what would be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Look,
}

/// The keys that packages which are sent may be at.
pub(crate) fn keys_of(files: &[PackageFile]) -> BTreeSet<String> {
    let keys = files.iter().flat_map(|PackageFile { stanza, .. }| {
        let other = layout::key_with_digest(&stanza.key, &stanza.sha256);
        [stanza.key.clone(), other]
    });
    keys.collect()
}

/// What came of some uploads.
#[derive(Debug, Default)]
pub(crate) struct Uploaded {
    /// Keys of the packages that are not at the key that is their own.
    pub(crate) moved: HashMap<PackageId, String>,
    /// The store's clock, if anything was sent.
    pub(crate) store_time: Option<Timestamp>,
}

/// Makes sure that each package is in the pool.
pub(crate) async fn upload_all(
    repository: &Repository,
    files: &[PackageFile],
    observer: &dyn Observer,
    mode: Mode,
) -> Result<Uploaded, Error> {
    let reuse = &Reuse::of(repository, files, mode);
    let uploads = stream::iter(files).map(|file| async move {
        let place = upload(reuse, file, observer).await?;
        Ok::<_, Error>((file, place))
    });
    uploads
        .buffer_unordered(CONCURRENT)
        .try_fold(Uploaded::default(), |mut all, (file, place)| async move {
            if place.key != file.stanza.key {
                all.moved.insert(file.stanza.id.clone(), place.key);
            }
            all.store_time = all.store_time.max(place.store_time);
            Ok(all)
        })
        .await
}

const OTHER_CONTENT: &str = "has other content than the suite's index says";

/// A package of a suite whose file is missing, or is not what the suite's indexes say.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) stanza: Stanza,
    /// Whether another file is in its place.
    pub(crate) is_damaged: bool,
}

impl Suite<'_> {
    /// Those of the packages that the suite has whose files are lost. Files whose checksum the store has not kept are only
    /// compared by size, unless they are to be read.
    pub(crate) async fn lost(&self, there: &[Stanza], read: bool) -> Result<Vec<Lost>, Error> {
        let (suite, count) = (self.name.clone(), there.len() as u64);
        let work = &self.repository.observed.work(Work::Files { suite, count });
        let looks = stream::iter(there).map(|stanza| async move {
            let stanza = stanza.clone();
            let meta = self.look(&stanza.key).await?;
            work.done(1);
            let Some(meta) = meta else {
                return Ok(Some(Lost {
                    stanza,
                    is_damaged: false,
                }));
            };
            let sha256 = match meta.sha256 {
                None if read && meta.size == Some(stanza.size) => {
                    Some(digest(self.repository.storage.as_ref(), &stanza.key, |_| {}).await?)
                }
                kept => kept.map(Sha256),
            };
            let is_damaged = meta.size != Some(stanza.size)
                || sha256.is_some_and(|sha256| sha256 != stanza.sha256);
            Ok(is_damaged.then_some(Lost { stanza, is_damaged }))
        });
        let lost = looks.buffered(CONCURRENT);
        lost.try_filter_map(async |lost| Ok(lost))
            .try_collect()
            .await
    }
}

/// Sends files again that are lost and at hand, to the keys that the suite's indexes name. Returns the store's clock, if anything was sent.
pub(crate) async fn restore_all(
    suite: &Suite<'_>,
    lost: &[Lost],
    files: &[PackageFile],
    observer: &dyn Observer,
    mode: Mode,
) -> Result<Option<Timestamp>, Error> {
    let mut store_time = None;
    // The suite names them, so they are no garbage.
    let reuse = Reuse {
        repository: suite.repository,
        keys: BTreeSet::new(),
        spared: OnceCell::new_with(Some(())),
        mode,
    };
    for Lost { stanza, .. } in lost {
        let of_package = |file: &&PackageFile| file.stanza.id == stanza.id;
        let Some(file) = files.iter().find(of_package) else {
            continue;
        };
        let object = NewObject::of(stanza, &stanza.key, &file.source);
        let progress = observer.upload(stanza);
        match object.create(&reuse, progress).await? {
            Some(There(date)) => store_time = date.max(store_time),
            None => {
                return Err(suite.damaged(stanza.key.clone(), OTHER_CONTENT));
            }
        }
    }
    Ok(store_time)
}

struct Place {
    key: String,
    store_time: Option<Timestamp>,
}

async fn upload(
    reuse: &Reuse<'_>,
    file: &PackageFile,
    observer: &dyn Observer,
) -> Result<Place, Error> {
    let stanza = &file.stanza;
    let own = stanza.key.clone();
    let other = layout::key_with_digest(&own, &stanza.sha256);
    // One upload, whichever of the keys it goes to.
    let progress = observer.upload(stanza);
    for key in [own, other.clone()] {
        let object = NewObject {
            is_sent: file.is_sent,
            ..NewObject::of(stanza, &key, &file.source)
        };
        if let Some(store_time) = object.create(reuse, progress.clone()).await? {
            return Ok(Place {
                key,
                store_time: store_time.0,
            });
        }
    }
    Err(s3_storage::Error::new(
        ErrorKind::ChecksumMismatch,
        "PutObject",
        other,
        "the key has the digest of the package, but other content",
    )
    .into())
}

/// An object to be created.
struct NewObject<'a> {
    key: &'a str,
    source: &'a Source,
    size: u64,
    sha256: Sha256,
    is_sent: bool,
}

/// What lets packages that are in the pool already be used: they may be garbage that is about to be deleted.
struct Reuse<'a> {
    repository: &'a Repository,
    keys: BTreeSet<String>,
    /// Set when all of them are struck off the record of what is condemned, once for all.
    spared: OnceCell<()>,
    mode: Mode,
}

impl<'a> Reuse<'a> {
    fn of(repository: &'a Repository, files: &[PackageFile], mode: Mode) -> Self {
        Self {
            repository,
            keys: keys_of(files),
            spared: OnceCell::new(),
            mode,
        }
    }

    async fn spare(&self) -> Result<(), Error> {
        let keys = self.keys.iter().map(String::as_str).collect();
        let spare = async || {
            let spared = match self.mode {
                Mode::Write => self.repository.spare(&keys).await,
                Mode::Look => self.repository.condemned(&keys).await,
            };
            spared.map(drop)
        };
        self.spared.get_or_try_init(spare).await.copied()
    }
}

/// The object is there. Holds the store's clock if it was sent just now.
struct There(Option<Timestamp>);

impl<'a> NewObject<'a> {
    fn of(stanza: &Stanza, key: &'a str, source: &'a Source) -> Self {
        Self {
            key,
            source,
            size: stanza.size,
            sha256: stanza.sha256,
            is_sent: false,
        }
    }

    /// Creates the object; none if there is other content at its key.
    async fn create(
        &self,
        reuse: &Reuse<'_>,
        progress: Option<Progress>,
    ) -> Result<Option<There>, Error> {
        let repository = reuse.repository;
        let storage = repository.storage.as_ref();
        let mut options = PutOptions::new(repository.writes.mode(PutMode::Create));
        options.sha256 = Some(self.sha256.0);
        options.content_type = Some("application/vnd.debian.binary-package");
        options.cache_control = Some("public, max-age=31536000, immutable");
        options.progress = progress;
        // The condition of an upload in parts is checked when it is complete, and a single writer's has none.
        let mut look = self.is_sent
            || self.size >= LARGE
            || repository.writes == Writes::SingleWriter
            || reuse.mode == Mode::Look;
        let mut failure = None;
        for _ in 0..TRIES {
            if look {
                if reuse.mode == Mode::Look && self.is_sent {
                    reuse.spare().await?;
                    return Ok(Some(There(None)));
                }
                let is_spared = reuse.spared.initialized();
                let mut there = storage.head(self.key).await;
                if there.is_ok() && !is_spared {
                    reuse.spare().await?;
                    there = storage.head(self.key).await;
                }
                match there {
                    Ok(there) => return self.compare(storage, &there).await,
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if reuse.mode == Mode::Look {
                self.source.check(self).await?;
                return Ok(Some(There(None)));
            }
            let payload = self.source.payload(self.size);
            match storage.put(self.key, payload, options.clone()).await {
                Ok(reply) => return Ok(Some(There(reply.date))),
                // Another publisher was first, a part did not get through, or the reply was lost: look at what is there.
                Err(error)
                    if error.is_refused_condition()
                        || error.is_ambiguous()
                        || error.is_transient() =>
                {
                    failure = Some(error);
                    look = true;
                }
                // What cannot be had from elsewhere may be here.
                Err(error) if !look && matches!(self.source, Source::Stored { .. }) => {
                    failure = Some(error);
                    look = true;
                }
                Err(error) => return Err(self.source.failed(error)),
            }
        }
        match failure {
            Some(error) => Err(self.source.failed(error)),
            None => Ok(None),
        }
    }

    async fn compare(
        &self,
        storage: &dyn Storage,
        there: &ObjectMeta,
    ) -> Result<Option<There>, Error> {
        if there.size != Some(self.size) {
            return Ok(None);
        }
        let sha256 = match there.sha256 {
            Some(sha256) => Sha256(sha256),
            None => digest(storage, self.key, |_| {}).await?,
        };
        Ok((sha256 == self.sha256).then_some(There(there.date)))
    }
}

/// The digest of an object whose checksum the store has not kept, as of one that was sent in parts. `done` is
/// called with the number of bytes of each piece.
pub(crate) async fn digest(
    storage: &dyn Storage,
    key: &str,
    done: impl Fn(u64),
) -> Result<Sha256, Error> {
    for tries_left in (0..TRIES).rev() {
        match digest_once(storage, key, &done).await {
            Err(error) if error.kind() == ErrorKind::Truncated && tries_left > 0 => {}
            result => return Ok(result?),
        }
    }
    Ok(digest_once(storage, key, &done).await?)
}

async fn digest_once(
    storage: &dyn Storage,
    key: &str,
    done: &impl Fn(u64),
) -> Result<Sha256, s3_storage::Error> {
    let mut hasher = Hasher::new(&[]);
    if let GetReply::Found(mut object) = storage.get(key, GetOptions::default()).await? {
        while let Some(piece) = object.body.next().await {
            let piece = piece?;
            hasher.update(&piece);
            done(piece.len() as u64);
        }
    }
    Ok(hasher.finish().sha256())
}

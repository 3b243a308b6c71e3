//! One item, from its request to its answer.
//!
//! The object is asked for at once, with GET: an answer to HEAD has no error code and costs a round
//! trip. The first answer's ETag then binds all further ones (`If-Match`), so that two versions of
//! an object are never mixed:
//! - a large object comes in ranges, several at a time;
//! - a partial file is resumed by a range, if the object's date is still that of the file; this is
//!   what `If-Range` means, decided on this side because S3 takes a date there only from some
//!   stores.
//!
//! An object that changes under the transfer, and a resumed file whose digest is wrong in the end,
//! are fetched once more from the start.

mod refusal;
pub(crate) mod secrets;
mod transfer;

use std::path::Path;
use std::sync::Arc;

use deb_index::digest::Digests;
use jiff::Timestamp;
use s3_storage::{ByteRange, ErrorKind, GetOptions, GetReply, Object, ObjectMeta};
use tokio::sync::Semaphore;

use self::secrets::Secrets;
use self::transfer::{Broken, LARGE, PART};
use crate::clients::{Client, Clients};
use crate::credentials::Sources;
use crate::failure::{Failure, Reason};
use crate::partial::{self, Left, Plan, Writer};
use crate::protocol::{Event, Request};
use crate::settings::Settings;
use crate::uri::{self, Location};

/// How many ranges of all objects together are on their way at once, besides the first of each:
/// they take memory.
const PARALLEL_IN_ALL: usize = 6;

/// How many items are on their way at once. apt asks for 10 at a time
/// (`Acquire::Max-Pipeline-Depth`).
const ITEMS: usize = 16;

/// How often an object may change under the transfer.
const CHANGES: u32 = 3;

/// Fetches items; shared by all of them.
pub struct Fetcher {
    sources: Arc<Sources>,
    clients: Clients,
    items: Semaphore,
    ranges: Semaphore,
}

/// How an attempt at an item ended.
enum Attempt {
    Ended(Event),
    /// What is there is not the beginning of the object: start anew.
    Again,
}

impl Fetcher {
    /// A fetcher with these settings.
    pub fn new(sources: Arc<Sources>) -> Self {
        Self {
            sources,
            clients: Clients::default(),
            items: Semaphore::new(ITEMS),
            ranges: Semaphore::new(PARALLEL_IN_ALL),
        }
    }

    /// Fetches an item. `tell` hears of what happens on the way; the event that ends it is
    /// returned.
    pub async fn fetch(&self, request: &Request, tell: &(dyn Fn(Event) + Send + Sync)) -> Event {
        let Ok(_turn) = self.items.acquire().await else {
            return Event::Failed(Failure::transient(Reason::Other, "the method is ending"));
        };
        self.located(request, tell)
            .await
            .unwrap_or_else(Event::Failed)
    }

    async fn located(
        &self,
        request: &Request,
        tell: &(dyn Fn(Event) + Send + Sync),
    ) -> Result<Event, Failure> {
        let encoded = self
            .sources
            .config()
            .flag("Acquire::Send-URI-Encoded", false);
        let location = uri::parse(&request.uri, encoded, |host| self.sources.is_store(host))
            .map_err(|error| Failure::configuration(error.to_string()))?;
        let settings = self
            .sources
            .settings(&location)
            .map_err(Failure::configuration)?;
        if self.sources.config().flag("Debug::Acquire::s3", false) {
            // Neither shows a secret.
            eprintln!("s3: {location}: {settings:?}");
        }
        let item = Item {
            fetcher: self,
            request,
            location: &location,
            secrets: Secrets::of(&settings, &self.sources),
            settings,
            tell,
        };
        item.run().await
    }
}

struct Item<'a> {
    fetcher: &'a Fetcher,
    request: &'a Request,
    location: &'a Location,
    secrets: Secrets,
    settings: Settings,
    tell: &'a (dyn Fn(Event) + Send + Sync),
}

impl Item<'_> {
    async fn run(&self) -> Result<Event, Failure> {
        let path = &self.request.filename;
        let mut left = Left::find(path);
        if let Some(Left { size, modified }) = left
            && let Some(digests) = self.right_digests(path, size).await?
        {
            (self.tell)(Event::Started {
                size: Some(size),
                last_modified: modified,
                resumed: size,
            });
            return Ok(Event::Done {
                digests,
                last_modified: modified,
                resumed: size,
            });
        }
        left = left.filter(|left| {
            self.request
                .expected
                .size
                .is_none_or(|size| left.size < size)
        });
        let client = self.fetcher.clients.get(
            &self.fetcher.sources,
            self.location,
            self.settings.clone(),
            self.request.proxy.as_deref(),
        );
        let client = client.map_err(Failure::configuration)?;
        (self.tell)(Event::Waiting(format!(
            "Waiting for s3://{}",
            self.location.bucket
        )));
        for again in 0..=CHANGES {
            match self.attempt(&client, left.take(), again > 0).await? {
                Attempt::Ended(event) => return Ok(event),
                Attempt::Again => {}
            }
        }
        Err(Failure::transient(
            Reason::Other,
            format!("{}: the object keeps changing", self.location),
        ))
    }

    /// The digests of a file that may be the whole content already: if it has the right length and
    /// can be shown to be right.
    async fn right_digests(&self, path: &Path, size: u64) -> Result<Option<Digests>, Failure> {
        let expected = &self.request.expected;
        // Without a known length every partial file would be read in vain.
        if !expected.is_provable() || expected.size != Some(size) {
            return Ok(None);
        }
        self.digests_if_right(path).await
    }

    async fn digests_if_right(&self, path: &Path) -> Result<Option<Digests>, Failure> {
        let expected = &self.request.expected;
        match partial::digests_of(path.to_owned(), expected.algorithms(u64::MAX)).await {
            Ok(digests) => Ok(
                Some(digests).filter(|digests| expected.is_provable() && expected.fits(digests))
            ),
            Err(error) => Err(Failure::local(
                &format!("cannot read {}", path.display()),
                &error,
            )),
        }
    }

    async fn attempt(
        &self,
        client: &Client,
        left: Option<Left>,
        again: bool,
    ) -> Result<Attempt, Failure> {
        let from = left.map_or(0, |left| left.size);
        // The length is known before the first answer only from apt. After a surprise nothing is
        // taken for granted.
        let large = !again
            && !client.is_limited()
            && self
                .request
                .expected
                .size
                .is_some_and(|size| size.saturating_sub(from) >= LARGE);
        let range = if large {
            Some(ByteRange::Between(from, from + PART - 1))
        } else {
            Some(ByteRange::From(from)).filter(|_| from > 0)
        };
        let options = GetOptions {
            range,
            if_modified_since: self.request.last_modified.filter(|_| from == 0),
            // The checksum is one of the whole object.
            check: range.is_none() && !self.request.expected.is_provable(),
            ..GetOptions::default()
        };
        let ranged = options.range.is_some();
        let object = match client.get(&self.location.key, options).await {
            Ok(GetReply::NotModified { .. }) => {
                // apt keeps its own copy; an empty file here would be taken for the new one.
                let _ = std::fs::remove_file(&self.request.filename);
                return Ok(Attempt::Ended(Event::NotModified));
            }
            Ok(GetReply::Found(object)) => object,
            Err(refused) if ranged && refused.error.kind() == ErrorKind::RangeNotSatisfiable => {
                // The file is as long as the object, or longer.
                let path = &self.request.filename;
                let whole = if from > 0 {
                    self.digests_if_right(path).await?
                } else {
                    None
                };
                let Some(digests) = whole else {
                    return Ok(Attempt::Again);
                };
                let last_modified = left.and_then(|left| left.modified);
                return Ok(Attempt::Ended(Event::Done {
                    digests,
                    last_modified,
                    resumed: from,
                }));
            }
            Err(refused) => return Err(self.failure(client, refused).await),
        };
        let ObjectMeta {
            size,
            last_modified,
            date,
            ..
        } = object.meta;
        self.check_size(size.unwrap_or(0))?;
        let resumed = if from > 0 && object.offset == from {
            let same = left
                .is_some_and(|left| left.is_of(last_modified, self.request.expected.is_provable()));
            if !same || size.is_none_or(|size| size <= from) {
                return Ok(Attempt::Again);
            }
            from
        } else {
            0
        };
        if object.offset != resumed && ranged {
            return Ok(Attempt::Again);
        }
        if object.offset != resumed {
            return Err(Failure::transient(
                Reason::Other,
                format!(
                    "{}: the store sent another range than was asked for",
                    self.location
                ),
            ));
        }
        let settled = partial::settled_date(last_modified, date);
        (self.tell)(Event::Started {
            size,
            last_modified: settled,
            resumed,
        });
        self.transfer(client, object, resumed, settled).await
    }

    fn check_size(&self, size: u64) -> Result<(), Failure> {
        match self.request.maximum_size {
            Some(limit) if size > limit => {
                let message = format!(
                    "{}: the object has more than the {limit} bytes that are expected",
                    self.location
                );
                Err(Failure::lasting(Reason::MaximumSizeExceeded, message))
            }
            _ => Ok(()),
        }
    }

    async fn transfer(
        &self,
        client: &Client,
        object: Object,
        resumed: u64,
        date: Option<Timestamp>,
    ) -> Result<Attempt, Failure> {
        let size = object.meta.size;
        let expected = &self.request.expected;
        let algorithms = expected.algorithms(size.unwrap_or(u64::MAX));
        let writer = Writer::start(Plan {
            path: self.request.filename.clone(),
            resumed,
            size,
            date,
            algorithms,
        });
        let sent = self.pieces(client, object, resumed, &writer).await;
        let path = self.request.filename.display();
        let written = writer
            .finish()
            .await
            .map_err(|error| Failure::local(&format!("cannot write {path}"), &error))?;
        match (sent, written) {
            (Ok(()), Some(digests)) if resumed > 0 && !expected.fits(&digests) => {
                Ok(Attempt::Again)
            }
            (Ok(()), Some(digests)) => Ok(Attempt::Ended(Event::Done {
                digests,
                last_modified: date,
                resumed,
            })),
            (Ok(()), None) | (Err(Broken::Stopped), _) => Err(Failure::transient(
                Reason::Other,
                format!("{}: the transfer was cut short", self.location),
            )),
            (Err(Broken::Changed), _) => Ok(Attempt::Again),
            (Err(Broken::Failed(failure) | Broken::Cut(failure)), _) => {
                if failure.reason == Reason::MaximumSizeExceeded {
                    let _ = std::fs::remove_file(&self.request.filename);
                }
                Err(failure)
            }
        }
    }
}

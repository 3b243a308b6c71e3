//! The rights that a role needs, each tried: a publisher's on objects that are removed again, those of the others by requests that
//! cannot succeed.

use deb_index::{name::SuiteName, suite::layout};
use futures::{StreamExt as _, future::join_all};
use repository::Writes;
use s3_storage::{
    ByteRange, Error, ErrorKind, Gap, GetOptions, Refusable, S3, Storage, probe_folder, try_object,
};

use super::report::Check;
use crate::{advice::rights, error::Role};

/// What a repository is tried with.
pub(super) struct Examined<'a> {
    pub(super) s3: &'a S3,
    /// The repository in the bucket.
    pub(super) storage: &'a dyn Storage,
    /// What comes before the keys of the repository: empty, or ends with a slash.
    pub(super) prefix: &'a str,
    pub(super) role: Role,
    pub(super) writes: Writes,
}

/// A right, as the policies of the roles have it.
struct Right {
    check: &'static str,
    /// What may be done, and below which folder.
    what: &'static str,
}

const READ: Right = Right {
    check: "read",
    what: "objects may be read",
};
const LIST: Right = Right {
    check: "list",
    what: "keys may be listed",
};
const CREATE: Right = Right {
    check: "create",
    what: "objects may be created",
};
const REPLACE: Right = Right {
    check: "replace",
    what: "objects may be replaced",
};
const DELETE: Right = Right {
    check: "delete",
    what: "the probe's objects may be deleted",
};
const PARTS: Right = Right {
    check: "upload-in-parts",
    what: "uploads to the pool may be begun and aborted",
};
const GARBAGE: Right = Right {
    check: "delete",
    what: "what can become garbage may be deleted",
};
const RECORD: Right = Right {
    check: "record",
    what: "the record of what is going to be deleted may be replaced",
};
const CONDITIONS: &str = "conditional-writes";

impl Right {
    fn skipped(&self, why: &str) -> Check {
        Check::skipped(self.check, why)
    }
}

/// The checks of a role, in their order.
pub(super) fn names(role: Role) -> &'static [&'static str] {
    match role {
        Role::Reader => &["list", "read", "no-write"],
        Role::Publisher | Role::Deleter => &[
            "list",
            "create",
            "read",
            "replace",
            "delete",
            "upload-in-parts",
            CONDITIONS,
        ],
        Role::Collector => &["list", "read", "delete", "record", CONDITIONS],
    }
}

impl Examined<'_> {
    /// Tries what the role needs.
    pub(super) async fn all(&self, listing: Result<(), &Error>, sample: &Sample) -> Vec<Check> {
        let list = match (listing, self.role) {
            (Err(error), Role::Reader) if error.kind() == ErrorKind::PermissionDenied => {
                LIST.skipped("this identity may not list, which a device does not need")
            }
            (listing, _) => self.judge(&LIST, listing),
        };
        let mut checks = vec![list];
        match self.role {
            Role::Reader => {
                checks.push(self.read(sample));
                checks.push(self.reader_writes().await);
            }
            Role::Publisher | Role::Deleter => checks.extend(self.publisher().await),
            Role::Collector => {
                checks.push(self.read(sample));
                checks.extend(self.collector().await);
            }
        }
        checks
    }

    fn judge(&self, right: &Right, tried: Result<(), &Error>) -> Check {
        match tried {
            Ok(()) => Check::ok(right.check, right.what),
            Err(error) => Check::failed_request(right.check, error, self.role),
        }
    }

    fn read(&self, sample: &Sample) -> Check {
        match &sample.read {
            Ok(true) => self.judge(&READ, Ok(())),
            Ok(false) => READ.skipped("nothing is known that could be read"),
            Err(error) => self.judge(&READ, Err(error)),
        }
    }

    async fn reader_writes(&self) -> Check {
        const NAME: &str = "no-write";
        let key = format!("{}{}reader", self.prefix, probe_folder());
        match self.s3.try_write(&key).await {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                Check::ok(NAME, "nothing may be written")
            }
            Ok(()) => Check::warn(
                NAME,
                "this identity may write to the repository, which a device does not need",
                "give it the policy that `debucket client-config --policy reader` prints",
            ),
            Err(error) => Check::skipped(NAME, format!("it cannot be told: {error}")),
        }
    }

    async fn publisher(&self) -> Vec<Check> {
        let parts = format!("{}pool/{}parts", self.prefix, probe_folder());
        let (parts, tried) = futures::join!(
            self.s3.try_upload_in_parts(&parts),
            try_object(self.storage)
        );
        let parts = self.judge(&PARTS, parts.as_ref().map(drop));
        let create = self.judge(&CREATE, tried.create.as_ref().map(drop));
        let Some(further) = tried.further else {
            let why = "nothing could be created to try it on";
            let skipped = [&READ, &REPLACE, &DELETE].map(|right| right.skipped(why));
            let checks = [create].into_iter().chain(skipped);
            return checks
                .chain([parts, Check::skipped(CONDITIONS, why)])
                .collect();
        };
        let delete = match &further.delete {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Check::warn(
                DELETE.check,
                format!(
                    "{} may not be deleted, so probes leave their objects",
                    tried.key
                ),
                rights(Refusable::default(), self.role),
            ),
            deleted => self.judge(&DELETE, deleted.as_ref().map(drop)),
        };
        vec![
            create,
            self.judge(&READ, further.read.as_ref().map(drop)),
            self.judge(&REPLACE, further.replace.as_ref().map(drop)),
            delete,
            parts,
            judge_conditions(further.gap, self.writes, self.role),
        ]
    }

    async fn collector(&self) -> Vec<Check> {
        let folder = probe_folder();
        let places = [
            "pool/",
            "dists/x/by-hash/",
            "dists/x/commits/",
            "dists/x/succession/",
        ];
        let deletes = places.map(|place| {
            let key = format!("{}{place}{folder}doctor", self.prefix);
            async move { self.s3.try_delete(&key).await }
        });
        let record = format!("{}gc/{folder}doctor", self.prefix);
        let (deleted, record) = futures::join!(join_all(deletes), self.s3.try_write(&record));
        let deleted = deleted.into_iter().collect::<Result<Vec<()>, _>>();
        vec![
            self.judge(&GARBAGE, deleted.as_ref().map(drop)),
            self.judge(&RECORD, record.as_ref().map(drop)),
            Check::skipped(
                CONDITIONS,
                "a collector may not try them; `debucket doctor --role publisher` does",
            ),
        ]
    }
}

fn judge_conditions(found: Result<Option<Gap>, Error>, writes: Writes, role: Role) -> Check {
    match (found, writes) {
        (Ok(None), _) => Check::ok(CONDITIONS, "the store refuses what it has to"),
        (Ok(Some(gap)), Writes::SingleWriter) => Check::warn(
            CONDITIONS,
            format!("the store does not support them: {gap}"),
            "make sure that only one publisher ever runs at a time",
        ),
        (Ok(Some(gap)), Writes::Conditional) => {
            let error = repository::Error::NoConditionalWrites(gap);
            Check::failed(CONDITIONS, &error.into(), role)
        }
        (Err(error), _) => Check::failed_request(CONDITIONS, &error, role),
    }
}

/// An object of the repository.
pub(super) struct Sample {
    /// Its key; none if no object is known that can be read.
    pub(super) key: Option<String>,
    /// Whether it could be read: false if there is none.
    read: Result<bool, Error>,
}

impl Sample {
    /// The first of these objects that can be read.
    pub(super) async fn of(storage: &dyn Storage, keys: impl IntoIterator<Item = String>) -> Self {
        let mut read = Ok(false);
        for key in keys {
            let options = GetOptions {
                range: Some(ByteRange::Between(0, 0)),
                ..GetOptions::default()
            };
            match storage.get(&key, options).await {
                Ok(_) => {
                    return Self {
                        key: Some(key),
                        read: Ok(true),
                    };
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => read = Err(error),
            }
        }
        Self { key: None, read }
    }

    /// The head of one of these suites; without any, the first object of all suites, if keys may be listed.
    pub(super) async fn find(storage: &dyn Storage, suites: &[SuiteName]) -> Self {
        let heads = suites
            .iter()
            .flat_map(|suite| [true, false].map(|is| layout::head_key(suite, is)));
        let mut keys: Vec<_> = heads.collect();
        if suites.is_empty() {
            let first = storage.list(layout::SUITES, None).next().await;
            keys.extend(
                first
                    .and_then(Result::ok)
                    .map(|listed| listed.key().to_owned()),
            );
        }
        Self::of(storage, keys).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::report::Status;

    #[test]
    fn a_store_without_conditions_is_for_a_single_writer() {
        for (writes, status, next) in [
            (Writes::Conditional, Status::Fail, "--single-writer"),
            (Writes::SingleWriter, Status::Warn, "only one publisher"),
        ] {
            let found = Ok(Some(Gap::UpdateIgnored));
            let check = judge_conditions(found, writes, Role::Publisher);
            assert_eq!(check.status, status);
            assert!(check.detail.contains("ignores If-Match"), "{check:?}");
            assert!(check.next.unwrap().contains(next));
        }
    }
}

//! The rights of a role: each that its policy grants is tried by requests that cannot succeed. Writers also create, replace and
//! delete an object of their own.

use deb_index::{name::SuiteName, suite::layout};
use futures::{
    StreamExt as _,
    future::{join_all, try_join_all},
    join,
};
use repository::Writes;
use s3_storage::{
    ByteRange, Condition, Error, ErrorKind, Gap, GetOptions, Refusable, S3, Storage, Trial,
    probe_folder, try_object,
};

use super::report::Check;
use crate::{
    error::Role,
    iam::{FOLDERS, Grant, May, PROBE_FOLDER, grants},
    storage_advice::rights,
};

/// What the trials need.
pub(super) struct Examined<'a> {
    pub(super) s3: &'a S3,
    /// The repository in the bucket.
    pub(super) storage: &'a dyn Storage,
    /// What comes before the keys of the repository: empty, or ends with a slash.
    pub(super) prefix: &'a str,
    pub(super) role: Role,
    pub(super) writes: Writes,
}

const LIST: &str = "list";
const NO_WRITE: &str = "no-write";
const CONDITIONS: &str = "conditional-writes";

/// The checks of a role, in their order.
pub(super) fn names(role: Role) -> Vec<&'static str> {
    let mut names: Vec<_> = grants(role).iter().map(|grant| grant.check).collect();
    names.dedup();
    names.extend(match role {
        Role::Reader => [LIST, NO_WRITE].iter(),
        _ => [CONDITIONS].iter(),
    });
    names
}

impl Examined<'_> {
    /// Tries what the role needs.
    pub(super) async fn all(&self, listing: Result<(), &Error>, sample: &Sample) -> Vec<Check> {
        let grants = grants(self.role);
        let own = async {
            match self.role.commits() {
                true => Some(try_object(self.storage).await),
                false => None,
            }
        };
        let (tried, own) = join!(
            join_all(grants.iter().map(|grant| self.try_grant(grant))),
            own
        );
        let own = own.as_ref();
        let read = match (&sample.read, own.and_then(|own| own.further.as_ref())) {
            (Ok(false), None) => None,
            (Ok(_), Some(own)) => Some(own.read.as_ref().map(drop)),
            (read, _) => Some(read.as_ref().map(drop)),
        };
        let mut checks: Vec<Check> = Vec::new();
        for (grant, tried) in grants.iter().zip(&tried) {
            let is_probe = grant.folders == [PROBE_FOLDER];
            let further = own.and_then(|own| own.further.as_ref());
            let result = match grant.may {
                May::Read => match read {
                    Some(read) => read,
                    None => {
                        let why = "nothing is known that could be read";
                        checks.push(Check::skipped(grant.check, why));
                        continue;
                    }
                },
                May::List => listing,
                _ => tried.as_ref().map(drop),
            };
            let of_own = match grant.may {
                May::Create => own.map(|own| &own.create),
                May::Replace => further.map(|own| &own.replace),
                May::Delete if is_probe => further.map(|own| &own.delete),
                _ => None,
            };
            let result = result.and(of_own.map_or(Ok(()), |own| own.as_ref().map(drop)));
            let check = match result {
                Ok(()) => Check::ok(grant.check, what(grant)),
                Err(error) if is_probe && error.kind() == ErrorKind::PermissionDenied => {
                    Check::warn(
                        grant.check,
                        format!("probes leave their objects: {error}"),
                        rights(Refusable::default(), self.role),
                    )
                }
                Err(error) => Check::failed_request(grant.check, error, self.role),
            };
            match checks.last_mut().filter(|last| last.check == check.check) {
                Some(last) => last.and(check),
                None => checks.push(check),
            }
        }
        match self.role {
            Role::Reader => {
                checks.push(self.reader_lists(listing));
                checks.push(self.reader_writes().await);
            }
            _ => checks.push(self.conditions(own)),
        }
        checks
    }

    /// Tries a right in each of its folders.
    async fn try_grant(&self, grant: &Grant) -> Result<(), Error> {
        let tries = grant.folders.iter().map(|folder| async move {
            let folder = folder.replace('*', "doctor");
            let key = format!("{}{folder}{}doctor", self.prefix, probe_folder());
            match grant.may {
                // Needs an object, or was tried already.
                May::Read | May::List => Ok(()),
                May::Create => self.s3.try_write(&key, Condition::Missing).await,
                May::Replace => self.s3.try_write(&key, Condition::Unchanged).await,
                May::Write => self.s3.try_write(&key, Condition::None).await,
                May::UploadParts | May::AbortUpload => self.s3.try_upload_in_parts(&key).await,
                May::Delete => self.s3.try_delete(&key).await,
            }
        });
        try_join_all(tries).await.map(drop)
    }

    fn reader_lists(&self, listing: Result<(), &Error>) -> Check {
        match listing {
            Ok(()) => Check::ok(LIST, "keys may be listed"),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let why = "this identity may not list, which a device does not need";
                Check::skipped(LIST, why)
            }
            Err(error) => Check::failed_request(LIST, error, self.role),
        }
    }

    async fn reader_writes(&self) -> Check {
        let conditions = [Condition::None, Condition::Missing, Condition::Unchanged];
        let tries = FOLDERS.iter().map(|folder| async move {
            let key = format!("{}{folder}{}reader", self.prefix, probe_folder());
            let writes = conditions.map(|condition| self.s3.try_write(&key, condition));
            let (deleted, mut tried) = join!(self.s3.try_delete(&key), join_all(writes));
            tried.push(deleted);
            tried
        });
        let tried: Vec<_> = join_all(tries).await.into_iter().flatten().collect();
        if tried.iter().any(Result::is_ok) {
            return Check::warn(
                NO_WRITE,
                "this identity may write to the repository, or delete from it, which a device does not need",
                "give it the policy that `debucket client-config --policy reader` prints",
            );
        }
        let mut errors = tried.iter().filter_map(|tried| tried.as_ref().err());
        match errors.find(|error| error.kind() != ErrorKind::PermissionDenied) {
            None => Check::ok(NO_WRITE, "nothing may be written or deleted"),
            Some(error) => Check::skipped(NO_WRITE, format!("it cannot be told: {error}")),
        }
    }

    fn conditions(&self, own: Option<&Trial>) -> Check {
        let Some(own) = own else {
            let why = "a collector may not try them; `debucket doctor --role publisher` does";
            return Check::skipped(CONDITIONS, why);
        };
        match &own.further {
            None => Check::skipped(CONDITIONS, "nothing could be created to try it on"),
            Some(further) => judge_conditions(further.gap.as_ref(), self.writes, self.role),
        }
    }
}

/// What may be done, in words.
fn what(grant: &Grant) -> String {
    let what = match grant.may {
        May::Read => "objects may be read",
        May::List => "keys may be listed",
        May::Create => "objects may be created",
        May::Replace => "objects may be replaced",
        May::Write => "objects may be written",
        May::UploadParts => "uploads in parts may be begun",
        May::AbortUpload => "uploads may be aborted",
        May::Delete => "objects may be deleted",
    };
    match grant.folders {
        [""] => what.to_owned(),
        folders => format!("{what} below {}", folders.join(", ")),
    }
}

fn judge_conditions(found: Result<&Option<Gap>, &Error>, writes: Writes, role: Role) -> Check {
    match (found, writes) {
        (Ok(None), _) => Check::ok(CONDITIONS, "the store refuses what it has to"),
        (Ok(Some(gap)), Writes::SingleWriter) => Check::warn(
            CONDITIONS,
            format!("the store does not support them: {gap}"),
            "make sure that only one publisher ever runs at a time",
        ),
        (Ok(Some(gap)), Writes::Conditional) => {
            let error = repository::Error::NoConditionalWrites(*gap);
            Check::failed(CONDITIONS, &error.into(), role)
        }
        (Err(error), _) => Check::failed_request(CONDITIONS, error, role),
    }
}

/// Objects of the repository.
pub(super) struct Sample {
    /// The key of one that can be read.
    pub(super) key: Option<String>,
    /// Whether there was something to read, and all of it could be read.
    read: Result<bool, Error>,
}

impl Sample {
    /// The heads of these suites and, if keys may be listed, an object of each folder.
    pub(super) async fn find(storage: &dyn Storage, suites: &[SuiteName]) -> Self {
        let heads = suites
            .iter()
            .map(|suite| [true, false].map(|is_signed| layout::head_key(suite, is_signed)));
        let mut wanted: Vec<Vec<String>> = heads.map(Vec::from).collect();
        for folder in FOLDERS {
            if let Some(Ok(first)) = storage.list(folder, None).next().await {
                wanted.push(vec![first.key().to_owned()]);
            }
        }
        let mut all = Self {
            key: None,
            read: Ok(false),
        };
        for keys in wanted {
            match first_of(storage, keys).await {
                Ok(None) => {}
                Ok(Some(key)) => {
                    all.key.get_or_insert(key);
                    all.read = all.read.map(|_| true);
                }
                Err(error) => all.read = Err(error),
            }
        }
        all
    }
}

/// The first of these objects that can be read; none if all are missing.
async fn first_of(storage: &dyn Storage, keys: Vec<String>) -> Result<Option<String>, Error> {
    let mut none = Ok(None);
    for key in keys {
        let options = GetOptions {
            range: Some(ByteRange::Between(0, 0)),
            ..GetOptions::default()
        };
        match storage.get(&key, options).await {
            Ok(_) => return Ok(Some(key)),
            // An empty object has no first byte.
            Err(error) if error.kind() == ErrorKind::RangeNotSatisfiable => return Ok(Some(key)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => none = Err(error),
        }
    }
    none
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
            let found = Some(Gap::UpdateIgnored);
            let check = judge_conditions(Ok(&found), writes, Role::Publisher);
            assert_eq!(check.status, status);
            assert!(check.detail.contains("ignores If-Match"), "{check:?}");
            assert!(check.next.unwrap().contains(next));
        }
    }
}

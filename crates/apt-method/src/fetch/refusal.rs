//! What a refused request means for apt.

use s3_storage::{ByteRange, ErrorKind, GetOptions};

use super::Item;
use crate::{
    clients::{Client, Refused},
    failure::{Failure, Reason},
};

impl Item<'_> {
    /// The answer to an item whose request was refused; may ask once more to find out.
    pub(super) async fn failure(&self, client: &Client, refused: Refused) -> Failure {
        let object = self.location.to_string();
        let denied = refused.error.kind() == ErrorKind::PermissionDenied;
        if denied && let Some(beside) = release_beside(&self.location.key) {
            // Without the right to list a bucket, a missing object is "forbidden". A repository
            // that has no InRelease has a Release; where that can be read, InRelease is missing.
            let options = GetOptions {
                range: Some(ByteRange::Between(0, 0)),
                ..GetOptions::default()
            };
            let readable = match client.get(&beside, options).await {
                Ok(_) => true,
                Err(refused) => refused.error.kind() == ErrorKind::RangeNotSatisfiable,
            };
            if readable {
                let message = format!(
                    "404 Not Found: {object} does not exist (the store says AccessDenied, but the \
 Release beside it can be read)"
                );
                return Failure::lasting(Reason::Http(404), message);
            }
        }
        let unsigned = refused
            .unsigned
            .filter(|_| denied || refused.error.kind() == ErrorKind::BadCredentials);
        match unsigned {
            Some(account) => {
                let account = self
                    .fetcher
                    .sources
                    .account(&self.location.bucket, &account);
                let said = refused
                    .error
                    .code()
                    .unwrap_or(refused.error.message())
                    .to_owned();
                let said = self.secrets.hide(said);
                let status = Reason::Http(refused.error.status().unwrap_or(403));
                Failure::lasting(
                    status,
                    format!(
                        "{object}: no credentials, and the store refuses a request without ({said}). \
 Looked at: {account}"
                    ),
                )
            }
            None => {
                let kind = refused.error.kind();
                let mut failure = Failure::of_request(&object, &refused.error, &self.secrets);
                if let (ErrorKind::Connect(_) | ErrorKind::Invalid, Some(by)) =
                    (kind, client.proxy_by())
                {
                    failure.message += &format!(" (the proxy is that of {by})");
                }
                failure
            }
        }
    }
}

/// The key of the `Release` beside an `InRelease`.
fn release_beside(key: &str) -> Option<String> {
    let folder = key
        .strip_suffix("InRelease")
        .filter(|folder| folder.is_empty() || folder.ends_with('/'))?;
    Some(format!("{folder}Release"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_release_beside() {
        assert_eq!(
            release_beside("dists/stable/InRelease").as_deref(),
            Some("dists/stable/Release")
        );
        assert_eq!(release_beside("InRelease").as_deref(), Some("Release"));
        assert_eq!(release_beside("dists/NotInRelease"), None);
        assert_eq!(release_beside("dists/stable/Release"), None);
    }
}

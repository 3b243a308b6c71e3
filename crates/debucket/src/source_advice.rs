//! What to do next where packages cannot be taken from another suite, whose repository may be reached by options of its own.

use s3_storage::ErrorKind;

use crate::{error::Role, storage_advice::storage_advice};

/// What to do, where that is other than for a suite that is changed. `is_elsewhere`: whether the suite is in another repository than the one that is changed.
pub(crate) fn source_advice(error: &repository::Error, is_elsewhere: bool) -> Option<String> {
    use repository::Error as E;
    let advice = match error {
        E::Storage(error) if !is_elsewhere => return storage_advice(error, Role::Publisher),
        E::Storage(error) if error.kind() == ErrorKind::NoSuchBucket => {
            "check --from-repo and --from-endpoint-url"
        }
        E::Storage(error) if error.kind() == ErrorKind::PermissionDenied => {
            "`debucket client-config --policy reader` prints the least IAM policy for reading that repository; to \
             tell a missing suite from a forbidden one, s3:ListBucket is needed too. Other credentials can be given with \
             --from-profile"
        }
        E::Storage(error) => {
            return storage_advice(error, Role::Reader).map(|advice| of_source(&advice));
        }
        E::Missing(_) => {
            "check --from and --from-repo; `debucket list --suites` prints what there is"
        }
        E::NotSigned { .. } => {
            "if it is meant to be unsigned and you trust what is in that bucket, pass --from-unsigned"
        }
        E::Untrusted { .. } | E::NotAccepted { .. } => {
            "if another key signs it, give the public part with --from-keyring; otherwise find out who wrote to that bucket"
        }
        E::Damaged { suite, .. } => {
            return Some(format!(
                "run the same command again, in case the package was just removed and collected there; otherwise \
                 `debucket verify {suite}` shows what is damaged"
            ));
        }
        _ => return None,
    };
    Some(advice.to_owned())
}

/// Advice with the options that are for the source in the place of those that are for the repository that is changed, but in
/// commands.
fn of_source(advice: &str) -> String {
    let pieces = advice.split('`').enumerate().map(|(at, piece)| {
        let mut piece = piece.to_owned();
        for name in ["profile", "endpoint-url"].iter().filter(|_| at % 2 == 0) {
            piece = piece.replace(&format!("--{name}"), &format!("--from-{name}"));
        }
        piece
    });
    pieces.collect::<Vec<_>>().join("`")
}

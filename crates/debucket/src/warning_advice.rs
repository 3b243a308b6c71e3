//! What to do about a warning.

use deb_index::name::SuiteName;
use repository::Warning;

/// What to do about a warning about a suite, where it says so.
pub(crate) fn warning_advice(suite: &SuiteName, warning: &Warning) -> Option<String> {
    match warning {
        Warning::FutureDate { .. } => Some(format!(
            "when the store's clock is right, `debucket refresh --suite {suite} --force --reset-date` dates the suite anew"
        )),
        Warning::PutBack(put_back) => {
            let more = if put_back.is_vouched {
                ""
            } else {
                " --accept-unproven"
            };
            Some(format!(
                "`debucket verify {suite} --repair{more}` brings the newest commit back; or go on from this one with \
                 `debucket refresh --suite {suite} --force --accept-rollback`"
            ))
        }
        Warning::Collisions { .. } => Some(
            "publish one of each pair with a higher version, or remove one; nothing has to be done for what no device uses"
                .to_owned(),
        ),
        Warning::CommitLost { .. } => Some(
            "restore it from the bucket's version history, if that has it; otherwise nothing has to be done"
                .to_owned(),
        ),
        _ => None,
    }
}

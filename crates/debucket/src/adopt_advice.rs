//! What to do next where a suite of another program cannot be taken over.

use deb_index::suite::foreign::ForeignError;
use repo_signing::VerifyError;
use repository::{Error, Missing};

pub(crate) fn adopt_advice(error: &Error) -> Option<String> {
    let advice = match error {
        Error::Foreign {
            source: ForeignError::NoSha256,
            ..
        } => {
            "publish with the old tool once more, with SHA-256 in its Release file; or publish into a new suite"
        }
        Error::Foreign {
            source: ForeignError::Flat,
            ..
        }
        | Error::Missing(Missing::Flat { .. }) => {
            "a flat repository has no suites to take over: publish its packages into a new suite, and give devices that suite's \
             address (`debucket client-config --suite NAME` prints it)"
        }
        Error::Foreign {
            source: ForeignError::Name(_),
            ..
        } => {
            "give it another name with the old tool, and publish once more; or publish into a new suite"
        }
        Error::Foreign { .. } => {
            "publish with the old tool once more, as its Release file is at fault; or publish into a new suite"
        }
        Error::ForeignUntrusted {
            source: VerifyError::UnknownKey(_) | VerifyError::Unusable { .. },
            ..
        } => {
            "if another key signs this suite, give its public part with --keyring; if you trust what is in the bucket, pass \
             --unverified"
        }
        Error::ForeignUntrusted { suite, .. } => {
            return Some(format!(
                "find out who wrote it; then publish with the old tool once more; or, if the Release file beside it is good, \
                 delete dists/{suite}/InRelease and run the same command again"
            ));
        }
        Error::Unverified { .. } => "if you trust what is in the bucket, pass --unverified",
        Error::Broken { .. } => {
            "repair it with the tool that made it; or pass --accept-damage to leave out what is broken (a Packages index that \
             cannot be read has to be repaired)"
        }
        Error::ChangedMeanwhile { .. } => {
            "stop the other program for good, then run the same command again"
        }
        _ => return None,
    };
    Some(advice.to_owned())
}

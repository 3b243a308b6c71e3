//! What to do about a version that cannot come into a suite, or cannot be taken out of it.

use deb_index::{name::SuiteName, package_id::PackageId};

use crate::error::Error;

pub(crate) fn advice(error: &Error) -> Option<String> {
    Some(match error {
        Error::OtherBuild { .. } => {
            "give the new build a higher version, or pass --replace to replace the old one".to_owned()
        }
        Error::Collision { suite, ids } => {
            let there = &ids.1;
            format!(
                "give the new one a higher version; or take the other one out, with --replace where it is an option, or with \
                 `debucket remove {}:{}={} --suite {suite} --component {}`",
                there.name, there.architecture, there.version, there.component
            )
        }
        Error::TakenBack { .. } => {
            "publish a good version, with a higher number, instead; or pass --undo-halt to give this one to devices again".to_owned()
        }
        Error::NoEarlierVersion { suite, packages } | Error::EarlierLost { suite, packages, .. } => {
            without(suite, packages)
        }
        _ => return None,
    })
}

/// How packages are taken out that nothing takes the place of. Each is named, so that nothing else goes with them.
fn without(suite: &SuiteName, packages: &[PackageId]) -> String {
    let halts = packages.iter().map(|id| {
        format!(
            "`debucket phase {}:{}={} --halt --allow-no-version --suite {suite} --component {}`",
            id.name, id.architecture, id.version, id.component
        )
    });
    let halts: Vec<_> = halts.collect();
    format!(
        "publish a good version instead; or leave the package out of the suite: {}",
        halts.join(", ")
    )
}

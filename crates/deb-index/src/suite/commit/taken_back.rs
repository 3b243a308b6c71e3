//! Versions that were taken back, as a commit names them.

use serde::{Deserialize, Serialize};

use super::Change;
use crate::{package_id::PackageId, version::Version};

/// A version that was taken back, as `main/tool_2.0_all`: the component and what [`PackageId`] displays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TakenBack(String);

impl TakenBack {
    #[must_use]
    pub fn of_change(change: &Change) -> Self {
        let text = |text: &'_ Option<String>| text.clone().unwrap_or_default();
        let [component, name, version, architecture] = [
            &change.component,
            &change.package,
            &change.version,
            &change.architecture,
        ]
        .map(text);
        Self(format!("{component}/{name}_{version}_{architecture}"))
    }

    /// Whether it is a later version of a package.
    #[must_use]
    pub fn is_later(&self, id: &PackageId) -> bool {
        let before = format!("{}/{}_", id.component, id.name);
        let rest = self.0.strip_prefix(&before);
        let version = rest.and_then(|rest| rest.strip_suffix(&format!("_{}", id.architecture)));
        let version = version.and_then(|version| version.parse::<Version>().ok());
        version.is_some_and(|version| version.compare(&id.version).is_gt())
    }
}

impl From<&PackageId> for TakenBack {
    fn from(id: &PackageId) -> Self {
        Self(format!("{}/{id}", id.component))
    }
}

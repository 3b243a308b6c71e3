//! What devices notice of the step from one state of a suite, or of two suites, to another.

use std::collections::BTreeSet;

use deb_index::{
    change::{
        PlainIndexes,
        device_view::{DeviceView, PackageChange},
    },
    index::{IndexPath, packages::Packages},
    name::{Architecture, Component},
    suite::settings::Settings,
};

use crate::{Error, PackageList, Suite};

impl Suite<'_> {
    /// How the packages of another list, `next`, of the suite `other`, differ from those of `list`, ordered by component and name.
    ///
    /// # Errors
    /// [`Error::MalformedIndex`].
    pub fn changes(
        &self,
        list: &PackageList,
        other: &Suite<'_>,
        next: &PackageList,
    ) -> Result<Vec<PackageChange>, Error> {
        let [before, after] = [list, next].map(|list| (&list.commit.settings, &list.indexes));
        self.changes_between(before, other, after)
    }

    /// The same of a state of this suite and one of another, each as its settings and its indexes.
    pub(crate) fn changes_between(
        &self,
        list: (&Settings, &PlainIndexes),
        other: &Suite<'_>,
        next: (&Settings, &PlainIndexes),
    ) -> Result<Vec<PackageChange>, Error> {
        let settings = [list.0, next.0];
        let components: BTreeSet<_> = settings.iter().flat_map(|s| &s.components).collect();
        let architectures: BTreeSet<_> = settings.iter().flat_map(|s| &s.architectures).collect();
        let mut view = DeviceView::default();
        for component in components {
            for architecture in &architectures {
                let before = self.index_seen(list, component, architecture)?;
                let after = other.index_seen(next, component, architecture)?;
                view.compare(component, architecture, &before, &after);
            }
        }
        let architectures: Vec<_> = architectures.into_iter().cloned().collect();
        Ok(view.into_changes(&architectures))
    }

    /// What a device of an architecture sees in a component. If the suite does not have the architecture, that is what it would see
    /// if that were added: the packages for all architectures.
    fn index_seen<'l>(
        &self,
        (settings, indexes): (&Settings, &'l PlainIndexes),
        component: &Component,
        architecture: &Architecture,
    ) -> Result<Packages<'l>, Error> {
        let path = IndexPath::packages(component, architecture);
        if let Some(plain) = indexes.get(&path) {
            return self.parse(&path, plain);
        }
        let mut architectures = settings.architectures.iter();
        let paths = architectures.find_map(|other| {
            let path = IndexPath::packages(component, other);
            Some((indexes.get(&path)?, path))
        });
        match paths {
            Some((plain, path)) => Ok(self.parse(&path, plain)?.for_all_architectures()),
            None => Ok(Packages::default()),
        }
    }
}

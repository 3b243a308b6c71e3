//! What a device notices when a head takes the place of another.
//!
//! apt compares the new `Release` with the one it has (`pkgAcqMetaBase::VerifyVendor`, `apt-pkg/acquire-item.cc`). What apt 2.6
//! then does is [`Effect`]; `tests/release_changes.rs` asks the real one.

use std::fmt;

use serde::Serialize;

use crate::{
    fingerprint::Fingerprint, flag, name::SuiteName, paragraph::Paragraph,
    suite::settings::Settings,
};

/// What devices compare of a `Release` file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientView {
    pub origin: Option<String>,
    pub label: Option<String>,
    pub suite: Option<String>,
    pub codename: Option<String>,
    pub version: Option<String>,
    /// The priority that its packages have without pinning (apt_preferences(5)).
    pub priority: u16,
    pub components: Vec<String>,
    pub architectures: Vec<String>,
}

/// A change that a device notices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ViewChange {
    /// A field of `Release` has another value.
    Field {
        field: &'static str,
        old: Option<String>,
        new: Option<String>,
    },
    /// Its packages have another priority for devices that pin nothing.
    Priority {
        old: u16,
        new: u16,
    },
    ComponentRemoved {
        component: String,
    },
    ArchitectureRemoved {
        architecture: String,
    },
    /// The suite is signed by a key that is not in the certificates that devices have.
    SigningKey {
        key: Fingerprint,
    },
    /// The suite is no longer signed by a certificate. Devices that have no other of its certificates refuse it.
    KeyRetired {
        key: Fingerprint,
    },
}

/// What becomes of a change on devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// `apt update` fails until the user accepts the change (`--allow-releaseinfo-change`), and keeps the state that it has.
    Refused,
    /// A notice, which apt shows only on a terminal.
    Noted,
    /// Devices that use it get no packages, and a warning with each update.
    Warned,
    /// The same, but only a notice.
    Lost,
    /// The signature cannot be verified without a newer keyring.
    Unverified,
}

impl ClientView {
    /// The view that a `Release` file gives.
    #[must_use]
    pub fn of_release(release: &Paragraph<'_>) -> Self {
        let text = |field| {
            let text = release.get_str(field).filter(|text| !text.is_empty());
            text.map(ToOwned::to_owned)
        };
        let words = |field| {
            let words = release.get_str(field).unwrap_or_default();
            words
                .split_ascii_whitespace()
                .map(ToOwned::to_owned)
                .collect()
        };
        Self {
            origin: text("Origin"),
            label: text("Label"),
            suite: text("Suite"),
            codename: text("Codename"),
            version: text("Version"),
            priority: default_priority(text),
            components: words("Components"),
            architectures: words("Architectures"),
        }
    }

    /// The view that a suite's `Release` gives if it has these settings.
    #[must_use]
    pub fn of_settings(suite: &SuiteName, settings: &Settings) -> Self {
        let set = |name: &str| {
            let mut fields = settings.fields.iter();
            let field = fields.find(|(field, _)| field.to_string().eq_ignore_ascii_case(name));
            field.map(|(_, value)| value.to_string())
        };
        let is_absent = |name: &str| {
            let mut absent = settings.absent_fields.iter();
            absent.any(|field| field.to_string().eq_ignore_ascii_case(name))
        };
        let named = |name| set(name).or_else(|| (!is_absent(name)).then(|| suite.to_string()));
        Self {
            origin: settings.origin.as_ref().map(ToString::to_string),
            label: settings.label.as_ref().map(ToString::to_string),
            suite: named("Suite"),
            codename: named("Codename"),
            version: set("Version"),
            priority: default_priority(set),
            components: settings
                .components
                .iter()
                .map(ToString::to_string)
                .collect(),
            architectures: settings
                .architectures
                .iter()
                .map(ToString::to_string)
                .collect(),
        }
    }

    /// What a device that has seen this view notices of the next one.
    #[must_use]
    pub fn changes_to(&self, next: &Self) -> Vec<ViewChange> {
        let fields = [
            ("Origin", &self.origin, &next.origin),
            ("Label", &self.label, &next.label),
            ("Suite", &self.suite, &next.suite),
            ("Codename", &self.codename, &next.codename),
            ("Version", &self.version, &next.version),
        ];
        let fields = fields.into_iter().filter(|(_, old, new)| old != new);
        let fields = fields.map(|(field, old, new)| ViewChange::Field {
            field,
            old: old.clone(),
            new: new.clone(),
        });
        let (old, new) = (self.priority, next.priority);
        let priority = (old != new).then_some(ViewChange::Priority { old, new });
        let gone = |old: &[String], new: &[String]| {
            let gone = old.iter().filter(|name| !new.contains(name));
            gone.cloned().collect::<Vec<_>>()
        };
        let components = gone(&self.components, &next.components).into_iter();
        let architectures = gone(&self.architectures, &next.architectures).into_iter();
        fields
            .chain(priority)
            .chain(components.map(|component| ViewChange::ComponentRemoved { component }))
            .chain(
                architectures.map(|architecture| ViewChange::ArchitectureRemoved { architecture }),
            )
            .collect()
    }
}

/// What apt gives packages of a suite with these fields (`debReleaseIndex::Load`, `apt-pkg/deb/debmetaindex.cc`).
fn default_priority(field: impl Fn(&'static str) -> Option<String>) -> u16 {
    let is_set =
        |name| field(name).and_then(|value| flag::parse(value.trim().as_bytes())) == Some(true);
    match (is_set("NotAutomatic"), is_set("ButAutomaticUpgrades")) {
        (false, _) => 500,
        (true, false) => 1,
        (true, true) => 100,
    }
}

impl ViewChange {
    #[must_use]
    pub fn effect(&self) -> Effect {
        match self {
            Self::Field {
                field: "Suite" | "Version",
                ..
            } => Effect::Noted,
            Self::Field { .. } | Self::Priority { .. } => Effect::Refused,
            Self::ComponentRemoved { .. } => Effect::Warned,
            Self::ArchitectureRemoved { .. } => Effect::Lost,
            Self::SigningKey { .. } | Self::KeyRetired { .. } => Effect::Unverified,
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "apt refuses the suite until the user accepts this",
            Self::Noted => "apt accepts this with a notice",
            Self::Warned => "devices that use it get a warning and no packages",
            Self::Lost => "its devices get a notice and no packages",
            Self::Unverified => "devices without a newer keyring may refuse the suite",
        })
    }
}

impl fmt::Display for ViewChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field { field, old, new } => {
                let (old, new) = (
                    old.as_deref().unwrap_or_default(),
                    new.as_deref().unwrap_or_default(),
                );
                write!(f, "{field} changes from “{old}” to “{new}”")
            }
            Self::Priority { old, new } => {
                write!(f, "the default priority changes from {old} to {new}")
            }
            Self::ComponentRemoved { component } => {
                write!(f, "the component {component} is removed")
            }
            Self::ArchitectureRemoved { architecture } => {
                write!(f, "the architecture {architecture} is removed")
            }
            Self::SigningKey { key } => write!(f, "the suite is signed by the new key {key}"),
            Self::KeyRetired { key } => write!(f, "the suite is no longer signed by the key {key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(release: &str) -> ClientView {
        ClientView::of_release(&Paragraph::parse(release.as_bytes()).unwrap())
    }

    #[test]
    fn only_what_a_device_compares_counts() {
        let old = view(
            "Suite: stable\nCodename: stable\nComponents: main\nArchitectures: amd64\nDescription: a\n",
        );
        let grown = view(
            "Suite: stable\nCodename: stable\nComponents: main extra\nArchitectures: arm64 amd64\nDescription: b\n",
        );
        assert_eq!(old.changes_to(&grown), []);
        let back: Vec<_> = grown
            .changes_to(&old)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            back,
            [
                "the component extra is removed",
                "the architecture arm64 is removed"
            ]
        );
    }

    #[test]
    fn the_default_priority_is_compared() {
        let views = [
            view("ButAutomaticUpgrades: yes\n"),
            view("NotAutomatic: yes\nButAutomaticUpgrades: no\n"),
            view("NotAutomatic: True\nButAutomaticUpgrades: yes\n"),
        ];
        assert_eq!(views.each_ref().map(|view| view.priority), [500, 1, 100]);
        let changes = views[0].changes_to(&views[1]);
        assert_eq!(
            changes[0].to_string(),
            "the default priority changes from 500 to 1"
        );
        assert_eq!(views[1].changes_to(&views[1].clone()), []);
    }

    #[test]
    fn a_field_that_appears_is_a_change_too() {
        let (old, new) = (
            view("Suite: stable\n"),
            view("Suite: stable\nLabel: Acme\nVersion: 12\n"),
        );
        let changes: Vec<_> = old
            .changes_to(&new)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            changes,
            [
                "Label changes from “” to “Acme”",
                "Version changes from “” to “12”"
            ]
        );
        let effects = old.changes_to(&new);
        let effects: Vec<_> = effects.iter().map(ViewChange::effect).collect();
        assert_eq!(effects, [Effect::Refused, Effect::Noted]);
        assert_eq!(
            serde_json::to_value(&old.changes_to(&new)[0]).unwrap(),
            serde_json::json!({"kind": "field", "field": "Label", "old": null, "new": "Acme"})
        );
    }
}

//! Packages that differ, in words.

use deb_index::{
    change::device_view::{PackageChange, Transition},
    suite::commit::PhaseChange,
};

/// `upgraded`, and so on.
pub(crate) fn word(change: Transition) -> &'static str {
    match change {
        Transition::Added => "added",
        Transition::Removed => "removed",
        Transition::Upgraded => "upgraded",
        Transition::Downgraded => "downgraded",
        Transition::Replaced => "replaced",
        Transition::Phased => "phased",
        Transition::OlderVersions => "older versions",
    }
}

/// The cells of a table: what happens, the package, these versions of it, the devices, the component, and the phase.
pub(crate) fn cells(change: &PackageChange, old: &str, new: &str) -> Vec<String> {
    let versions = match (old, new) {
        ("", new) => new.to_owned(),
        (_, new) if change.change == Transition::Phased => new.to_owned(),
        (old, "") => old.to_owned(),
        (old, new) => format!("{old} -> {new}"),
    };
    vec![
        word(change.change).to_owned(),
        change.package.clone(),
        versions,
        change.architectures.join(", "),
        change.component.clone(),
        change.phase.as_ref().map(phase).unwrap_or_default(),
    ]
}

/// The part of the devices: `for 10 %`, `10 % -> 50 %`.
pub(crate) fn phase(PhaseChange { from, to }: &PhaseChange) -> String {
    match from {
        Some(from) if from != to => format!("{from} -> {to}"),
        _ => format!("for {to}"),
    }
}

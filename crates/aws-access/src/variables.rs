//! Environment variables, of which an empty one counts as not set.

/// The profile of those who name none.
pub(crate) const DEFAULT_PROFILE: &str = "default";

/// The value of a variable. An empty one counts as not set, as CI systems set those that have no value.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
}

/// The value of the first of these variables that is set.
pub(crate) fn first(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| variable(name))
}

/// Whether a variable is set, and has no value.
pub(crate) fn is_empty(name: &str) -> bool {
    std::env::var_os(name).is_some() && variable(name).is_none()
}

/// The profile that the caller names, or the default one where the SDK would take an empty `AWS_PROFILE` for its name.
pub(crate) fn profile(named: Option<&str>) -> Option<&str> {
    named.or_else(|| is_empty("AWS_PROFILE").then_some(DEFAULT_PROFILE))
}

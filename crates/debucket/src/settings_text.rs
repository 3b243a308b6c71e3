//! Settings of a suite in words.

use std::{collections::BTreeSet, num::NonZeroU32};

use deb_index::suite::settings::Settings;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::duration::Span;

/// A setting that people are told as a span.
const VALID_SECONDS: &str = "valid_seconds";

/// A setting that gets another value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SettingChange {
    /// Its name in the settings; of a further field of `Release`, the name that it has there.
    setting: String,
    /// Null where there is none. Of a key, only the fingerprint.
    old: Value,
    new: Value,
}

/// The settings that differ.
pub(crate) fn changes(before: Option<&Settings>, after: &Settings) -> Vec<SettingChange> {
    let (before, after) = (before.map(values).unwrap_or_default(), values(after));
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let value = |settings: &Map<String, Value>, name: &str| {
        let value = settings.get(name);
        value.cloned().unwrap_or_default()
    };
    let changes = names.into_iter().map(|name| SettingChange {
        setting: name.clone(),
        old: value(&before, name),
        new: value(&after, name),
    });
    changes.filter(|change| change.old != change.new).collect()
}

/// All settings by name, each field of `Release` on its own.
fn values(settings: &Settings) -> Map<String, Value> {
    let value = serde_json::to_value(settings).unwrap_or_default();
    let Value::Object(mut values) = value else {
        return Map::new();
    };
    let keys = settings.signing_keys.iter();
    let keys = keys.map(|key| key.fingerprint.to_string()).collect();
    values.insert("signing_keys".to_owned(), keys);
    if let Some(Value::Object(fields)) = values.remove("fields") {
        values.extend(fields);
    }
    values
}

impl SettingChange {
    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let is_span = self.setting == VALID_SECONDS;
        let name = match is_span {
            true => "valid for".to_owned(),
            false => self.setting.replace('_', " "),
        };
        let words = |value: &Value| match value.as_u64().filter(|_| is_span) {
            Some(seconds) => span(seconds).unwrap_or_else(|| words(value)),
            None => words(value),
        };
        match (&self.old, &self.new) {
            (Value::Null, new) => format!("{name}: {}", words(new)),
            (old, new) => format!("{name}: {} -> {}", words(old), words(new)),
        }
    }
}

/// As it is written on the command line.
fn span(seconds: u64) -> Option<String> {
    let seconds: NonZeroU32 = u32::try_from(seconds).ok()?.try_into().ok()?;
    Some(Span(seconds).to_string())
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(before: Option<&Settings>, after: &Settings) -> Vec<String> {
        let changes = changes(before, after);
        changes.iter().map(SettingChange::line).collect()
    }

    #[test]
    fn only_settings_that_change_are_shown() {
        let before = Settings {
            architectures: vec!["amd64".parse().unwrap()],
            ..Settings::default()
        };
        let mut after = before.clone();
        assert!(lines(Some(&before), &after).is_empty());
        after.architectures.push("arm64".parse().unwrap());
        assert_eq!(
            lines(Some(&before), &after),
            ["architectures: amd64 -> amd64, arm64"]
        );
        assert!(lines(None, &after).contains(&"signing keys: none".to_owned()));
        let unlimited = after.clone();
        after.valid_seconds = NonZeroU32::new(3 * 86_400);
        assert_eq!(lines(Some(&unlimited), &after), ["valid for: 3d"]);
        assert_eq!(lines(Some(&after), &unlimited), ["valid for: 3d -> none"]);
    }

    #[test]
    fn what_is_removed_is_shown_and_each_field_on_its_own() {
        let mut before = Settings {
            origin: Some("Acme".parse().unwrap()),
            ..Settings::default()
        };
        let field = |name: &str| name.to_owned().try_into().unwrap();
        before.set_field(&field("NotAutomatic"), Some("yes".parse().unwrap()));
        let mut after = Settings::default();
        after.set_field(&field("Changelogs"), Some("no".parse().unwrap()));
        assert_eq!(
            lines(Some(&before), &after),
            [
                "Changelogs: no",
                "NotAutomatic: yes -> none",
                "origin: Acme -> none"
            ]
        );
    }
}

//! Settings of a suite in words.

use deb_index::suite::settings::Settings;
use serde_json::Value;

/// A line for each setting that gets another value. Of a key, only the fingerprint.
pub(crate) fn changed_lines(before: Option<&Settings>, after: &Settings) -> Vec<String> {
    let value = |settings: &Settings| {
        let mut value = serde_json::to_value(settings).unwrap_or_default();
        let keys = settings.signing_keys.iter();
        value["signing_keys"] = keys.map(|key| key.fingerprint.to_string()).collect();
        value
    };
    let (before, after) = (before.map(value).unwrap_or_default(), value(after));
    let settings = after.as_object().into_iter().flatten();
    let changed = settings.filter(|(name, value)| before.get(name.as_str()) != Some(*value));
    let gone = before.as_object().into_iter().flatten();
    let gone = gone.filter(|(name, _)| after.get(name.as_str()).is_none());
    let gone =
        gone.map(|(name, was)| format!("{}: {} -> none", name.replace('_', " "), words(was)));
    changed
        .map(|(name, after)| match before.get(name).map(words) {
            Some(before) if !before.is_empty() => {
                format!("{}: {before} -> {}", name.replace('_', " "), words(after))
            }
            _ => format!("{}: {}", name.replace('_', " "), words(after)),
        })
        .chain(gone)
        .collect()
}

fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_that_change_are_shown() {
        let before = Settings {
            architectures: vec!["amd64".parse().unwrap()],
            ..Settings::default()
        };
        let mut after = before.clone();
        assert!(changed_lines(Some(&before), &after).is_empty());
        after.architectures.push("arm64".parse().unwrap());
        assert_eq!(
            changed_lines(Some(&before), &after),
            ["architectures: amd64 -> amd64, arm64"]
        );
        let mut named = after.clone();
        named.aliases.insert("stable".parse().unwrap());
        assert_eq!(changed_lines(Some(&after), &named), ["aliases: stable"]);
        assert_eq!(
            changed_lines(Some(&named), &after),
            ["aliases: stable -> none"]
        );
        assert!(changed_lines(None, &after).contains(&"signing keys: none".to_owned()));
    }
}

//! apt's configuration as a method gets it, in the `601 Configuration` message.
//!
//! Each item arrives as `Config-Item: key=value`, both sides quoted (`%` and two hexadecimal digits
//! for `=`, `"`, a newline and `%` itself). A key is a path (`Acquire::s3::Region`), compared
//! without regard to case; an entry of a list has an empty last part (`Acquire::Languages::`).
//! `Binary::s3::X` overrides `X` for the program of that name (apt.conf(5)).
//!
//! Nothing here knows which settings there are: see [`crate::settings`].

use std::collections::HashMap;
use std::path::PathBuf;

use s3_storage::percent_decoded;

use crate::message::Message;

/// The name under which apt's configuration may hold settings for this program alone.
const BINARY: &str = "binary::s3::";

/// All items, by key.
#[derive(Debug, Clone, Default)]
pub struct Config {
    items: HashMap<String, Vec<Item>>,
}

#[derive(Debug, Clone)]
struct Item {
    /// The key as it was written.
    key: String,
    value: String,
}

impl Config {
    /// Takes the items of a `601 Configuration` message on top of what is there.
    pub fn merge(&mut self, message: &Message) {
        let mut ours = Vec::new();
        for (name, value) in message.fields() {
            if !name.eq_ignore_ascii_case("Config-Item") {
                continue;
            }
            let Some(equals) = value.iter().position(|byte| *byte == b'=') else {
                continue;
            };
            let key = unquote(&value[..equals]);
            let value = unquote(&value[equals + 1..]);
            match key.split_at_checked(BINARY.len()) {
                Some((prefix, rest)) if prefix.eq_ignore_ascii_case(BINARY) => {
                    ours.push((rest.to_owned(), value))
                }
                _ => self.set(key, value),
            }
        }
        for (key, value) in ours {
            self.set(key, value);
        }
    }

    /// Sets one item; an entry of a list is appended.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let item = Item {
            key: key.into(),
            value: value.into(),
        };
        let entry = self.items.entry(item.key.to_ascii_lowercase()).or_default();
        if !item.key.ends_with("::") {
            entry.clear();
        }
        entry.push(item);
    }

    /// The value of an item; an empty one counts as none.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.items
            .get(&key.to_ascii_lowercase())
            .and_then(|items| items.last())
            .map(|item| item.value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The entries of a list, in order.
    pub fn list(&self, key: &str) -> Vec<&str> {
        let key = format!("{}::", key.to_ascii_lowercase());
        self.items
            .get(&key)
            .map(|items| items.iter().map(|item| item.value.as_str()).collect())
            .unwrap_or_default()
    }

    /// An item that says yes or no, in any of the words that apt knows; anything else is `default`.
    pub fn flag(&self, key: &str, default: bool) -> bool {
        self.get(key).and_then(parse_flag).unwrap_or(default)
    }

    /// The items directly below `key`: the last part as it was written, and the value.
    pub fn below<'a>(&'a self, key: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let prefix = format!("{}::", key.to_ascii_lowercase());
        self.items.iter().filter_map(move |(lower, items)| {
            let name = lower.strip_prefix(&prefix)?;
            let item = items.last()?;
            let direct = !name.is_empty() && !name.contains("::") && !item.value.is_empty();
            direct.then(|| {
                (
                    item.key.get(prefix.len()..).unwrap_or_default(),
                    item.value.as_str(),
                )
            })
        })
    }

    /// The keys of all items somewhere below `key`, as they were written, without what all of them begin with.
    pub fn keys_below<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> {
        let prefix = format!("{}::", key.to_ascii_lowercase());
        let items = self
            .items
            .iter()
            .filter(move |(key, _)| key.starts_with(&prefix));
        items.filter_map(move |(_, items)| items.last()?.key.get(key.len() + 2..))
    }

    /// The values of all items somewhere below `key` whose last part is `name`.
    pub fn named<'a>(&'a self, key: &str, name: &str) -> impl Iterator<Item = &'a str> {
        let prefix = format!("{}::", key.to_ascii_lowercase());
        let name = name.to_ascii_lowercase();
        self.items.iter().filter_map(move |(key, items)| {
            let is_named = key.starts_with(&prefix) && key.rsplit("::").next() == Some(&name);
            is_named.then(|| items.last().map(|item| item.value.as_str()))?
        })
    }

    /// A path of apt's `Dir` tree: a relative one lies below its parent's (`Dir::Etc::netrc` below
    /// `Dir::Etc` below `Dir`), and all of them below `RootDir`.
    pub fn path(&self, key: &str) -> Option<PathBuf> {
        let mut path = PathBuf::from(self.get(key)?);
        let mut parent = key;
        while !path.is_absolute() && !path.starts_with(".") && !path.starts_with("..") {
            match parent.rsplit_once("::") {
                Some((up, _)) => parent = up,
                None => break,
            }
            if let Some(above) = self.get(parent) {
                path = PathBuf::from(above).join(path);
            }
        }
        match self.get("RootDir") {
            Some(root) => Some(PathBuf::from(root).join(path.strip_prefix("/").unwrap_or(&path))),
            None => Some(path),
        }
    }
}

/// The words of apt for yes and no.
pub fn parse_flag(word: &str) -> Option<bool> {
    match word.trim().to_ascii_lowercase().as_str() {
        "1" | "yes" | "true" | "with" | "on" | "enable" => Some(true),
        "0" | "no" | "false" | "without" | "off" | "disable" => Some(false),
        _ => None,
    }
}

/// Undoes `%` and two hexadecimal digits, once; a `%` that is not followed by two stays as it is.
pub fn unquote(quoted: &[u8]) -> String {
    String::from_utf8_lossy(&percent_decoded(quoted)).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn config(items: &[&str]) -> Config {
        let mut config = Config::default();
        config.merge(
            &items
                .iter()
                .fold(Message::new(601, "Configuration"), |message, item| {
                    message.with("Config-Item", item)
                }),
        );
        config
    }

    #[test]
    fn keys_have_no_case_and_both_sides_are_unquoted() {
        let config = config(&[
            "Acquire::S3::region=eu-west-1",
            "A::%3d%22=x%25y%0az",
            "broken",
            "Empty=",
        ]);
        assert_eq!(config.get("acquire::s3::Region"), Some("eu-west-1"));
        assert_eq!(config.get("a::=\""), Some("x%y\nz"));
        assert_eq!(config.get("Empty"), None);
        assert_eq!(config.get("broken"), None);
    }

    #[test]
    fn what_is_for_this_program_wins_wherever_it_stands() {
        let config = config(&[
            "Binary::S3::Acquire::s3::Region=here",
            "Acquire::s3::Region=there",
            "Binary::apt::X=no",
        ]);
        assert_eq!(config.get("Acquire::s3::Region"), Some("here"));
        assert_eq!(config.get("X"), None);
    }

    #[test]
    fn lists_keep_their_order() {
        let config = config(&[
            "Acquire::Languages::=de",
            "Acquire::Languages::=en",
            "Acquire::Languages=x",
        ]);
        assert_eq!(config.list("acquire::languages"), ["de", "en"]);
        assert_eq!(config.list("nothing"), Vec::<&str>::new());
    }

    #[test]
    fn finds_what_lies_directly_below() {
        let config = config(&[
            "Acquire::s3::Region=a",
            "Acquire::s3::my.bucket::Region=b",
            "Acquire::s3::my.bucket::Role=c",
            "Acquire::s3::=d",
        ]);
        let mut below: Vec<_> = config.below("Acquire::s3::My.Bucket").collect();
        below.sort_unstable();
        assert_eq!(below, [("Region", "b"), ("Role", "c")]);
        assert_eq!(
            config.below("Acquire::s3").collect::<Vec<_>>(),
            [("Region", "a")]
        );
    }

    #[test]
    fn flags_know_the_words_of_apt() {
        let config = config(&["A=Yes", "B=disable", "C=0", "D=maybe"]);
        assert!(
            config.flag("a", false)
                && !config.flag("b", true)
                && !config.flag("c", true)
                && config.flag("d", true)
        );
    }

    #[test]
    fn paths_lie_below_their_parents() {
        let mut config = config(&[
            "Dir=/",
            "Dir::Etc=etc/apt/",
            "Dir::Etc::netrc=auth.conf",
            "Dir::Etc::netrcparts=/elsewhere",
        ]);
        assert_eq!(
            config.path("Dir::Etc::netrc"),
            Some("/etc/apt/auth.conf".into())
        );
        assert_eq!(
            config.path("Dir::Etc::netrcparts"),
            Some("/elsewhere".into())
        );
        assert_eq!(config.path("Dir::Etc::nothing"), None);
        config.set("RootDir", "/target");
        assert_eq!(
            config.path("Dir::Etc::netrc"),
            Some("/target/etc/apt/auth.conf".into())
        );
    }

    proptest! {
        #[test]
        fn unquoting_undoes_quoting(text in "\\PC{0,40}") {
            let quoted: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(unquote(quoted.as_bytes()), text);
        }

        #[test]
        fn what_holds_no_percent_stays(
            bytes in vec(any::<u8>().prop_filter("percent", |byte| *byte != b'%'), 0..40),
        ) {
            prop_assert_eq!(percent_decoded(&bytes), bytes);
        }

        #[test]
        fn any_bytes_are_taken(bytes in vec(prop_oneof![Just(b'%'), any::<u8>()], 0..40)) {
            prop_assert!(percent_decoded(&bytes).len() <= bytes.len());
        }
    }
}

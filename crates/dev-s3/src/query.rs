//! The query of a request, and percent-encoding.

use hyper::Uri;

/// The part of a URL after `?`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(crate) fn new(query: Option<&'a str>) -> Self {
        Self(query.unwrap_or_default())
    }

    pub(crate) fn of(uri: &'a Uri) -> Self {
        Self::new(uri.query())
    }

    fn pairs(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }

    pub(crate) fn has(self, name: &str) -> bool {
        self.pairs().any(|(key, _)| key == name)
    }

    /// The decoded value of a parameter, empty where it has none.
    pub(crate) fn get(self, name: &str) -> Option<String> {
        self.pairs()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| decode(value))
    }
}

/// Undoes percent-encoding. What is not UTF-8 after that is replaced.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let encoded = (first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|digits| hex::decode(digits).ok());
        match encoded {
            Some(byte) => {
                bytes.extend(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_by_their_whole_name() {
        let query = Query::new(Some("list-type=2&prefix=a%2Fb%20c&uploads"));
        assert_eq!(query.get("prefix").as_deref(), Some("a/b c"));
        assert_eq!(query.get("uploads").as_deref(), Some(""));
        assert_eq!(query.get("type"), None);
        assert!(query.has("uploads") && !query.has("upload"));
        assert!(!Query::new(None).has("x"));
    }
}

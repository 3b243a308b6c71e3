//! A page of a bucket's keys, in the order of their bytes.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Included, Unbounded},
};

/// S3 returns no more entries than this in a page.
pub(crate) const PAGE: usize = 1000;

#[derive(Debug, Default)]
pub(crate) struct Query<'a> {
    pub(crate) prefix: &'a str,
    /// What lies behind it, after the prefix, is one entry; empty for none.
    pub(crate) delimiter: &'a str,
    /// Only entries after this one. A common prefix stands for all keys below it.
    pub(crate) after: &'a str,
    /// Entries in the page, at most [`PAGE`].
    pub(crate) limit: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Page<'a, T> {
    pub(crate) objects: Vec<(&'a str, &'a T)>,
    pub(crate) prefixes: Vec<&'a str>,
    /// The last entry, where there are more.
    pub(crate) next: Option<&'a str>,
}

/// The page that `query` asks for.
pub(crate) fn page<'a, T>(keys: &'a BTreeMap<String, T>, query: &Query<'_>) -> Page<'a, T> {
    let mut page = Page {
        objects: Vec::new(),
        prefixes: Vec::new(),
        next: None,
    };
    let limit = query.limit.min(PAGE);
    let mut last = None;
    let from = if query.after < query.prefix {
        Included(query.prefix)
    } else {
        Excluded(query.after)
    };
    for (key, value) in keys.range::<str, _>((from, Unbounded)) {
        let Some(below) = key.strip_prefix(query.prefix) else {
            break;
        };
        let end = if query.delimiter.is_empty() {
            None
        } else {
            below.find(query.delimiter)
        };
        let group = end.and_then(|end| key.get(..query.prefix.len() + end + query.delimiter.len()));
        if let Some(group) = group
            && (page.prefixes.last() == Some(&group) || group == query.after)
        {
            continue;
        }
        if page.objects.len() + page.prefixes.len() == limit {
            page.next = last;
            break;
        }
        match group {
            Some(group) => page.prefixes.push(group),
            None => page.objects.push((key, value)),
        }
        last = Some(group.unwrap_or(key));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(keys: &[&str]) -> BTreeMap<String, ()> {
        keys.iter().map(|key| ((*key).to_owned(), ())).collect()
    }

    /// All entries over pages of `limit`: keys, and prefixes.
    fn walk<'a>(
        keys: &'a BTreeMap<String, ()>,
        prefix: &str,
        delimiter: &str,
        limit: usize,
    ) -> Vec<&'a str> {
        let mut all = Vec::new();
        let mut after = "";
        loop {
            let page = page(
                keys,
                &Query {
                    prefix,
                    delimiter,
                    after,
                    limit,
                },
            );
            let mut entries: Vec<&str> = page
                .objects
                .iter()
                .map(|(key, ())| *key)
                .chain(page.prefixes)
                .collect();
            entries.sort_unstable();
            assert!(entries.len() <= limit);
            assert!(page.next.is_none() || page.next == entries.last().copied());
            all.extend(entries);
            match page.next {
                Some(next) => after = next,
                None => return all,
            }
        }
    }

    #[test]
    fn every_page_size_gives_the_same_entries() {
        let keys = keys(&[
            "a", "a/", "a/1", "a/2", "a/b/3", "a0", "b/x", "b/y", "c", "é/ü",
        ]);
        for limit in 1..12 {
            assert_eq!(
                walk(&keys, "", "", limit),
                keys.keys().collect::<Vec<_>>(),
                "{limit}"
            );
            assert_eq!(
                walk(&keys, "", "/", limit),
                ["a", "a/", "a0", "b/", "c", "é/"],
                "{limit}"
            );
            assert_eq!(
                walk(&keys, "a/", "/", limit),
                ["a/", "a/1", "a/2", "a/b/"],
                "{limit}"
            );
            assert_eq!(walk(&keys, "a/b", "/", limit), ["a/b/"], "{limit}");
            assert!(walk(&keys, "d", "/", limit).is_empty());
        }
    }

    #[test]
    fn an_empty_page_has_no_next() {
        let keys = keys(&["a", "b"]);
        assert_eq!(
            page(
                &keys,
                &Query {
                    limit: 0,
                    ..Query::default()
                }
            )
            .next,
            None
        );
        let page = page(
            &keys,
            &Query {
                after: "a",
                limit: 5,
                ..Query::default()
            },
        );
        assert_eq!(
            page.objects
                .iter()
                .map(|(key, ())| *key)
                .collect::<Vec<_>>(),
            ["b"]
        );
    }
}

//! What a publish asks of the store, and how much of it had to wait for an answer: the figures that the distance multiplies.

use std::{collections::BTreeMap, ops::Range, time::Instant};

use dev_s3::LoggedRequest;

/// Some requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) requests: usize,
    /// The most of them that followed one another without overlapping: dependent round trips.
    pub(super) in_a_row: usize,
}

/// The requests of one publish, counted.
#[derive(Debug)]
pub(super) struct Requests {
    /// To the reply with which the head had moved.
    pub(super) until_head: Count,
    pub(super) in_all: Count,
    /// By method and kind of key (`PUT pool`).
    pub(super) kinds: BTreeMap<String, usize>,
}

impl Requests {
    /// `head` is the key of the head.
    pub(super) fn of(log: &[LoggedRequest], head: &str) -> Self {
        let moved = log
            .iter()
            .filter(|logged| logged.request.is_write() && logged.request.key == head)
            .map(|logged| logged.time.end)
            .max();
        let mut kinds = BTreeMap::new();
        for logged in log {
            let kind = format!(
                "{} {}",
                logged.request.method,
                kind(&logged.request.key, head)
            );
            *kinds.entry(kind).or_default() += 1;
        }
        let times: Vec<_> = log.iter().map(|logged| logged.time.clone()).collect();
        let before: Vec<_> = times
            .iter()
            .filter(|time| moved.is_some_and(|moved| time.start <= moved))
            .cloned()
            .collect();
        Self {
            until_head: count(before),
            in_all: count(times),
            kinds,
        }
    }
}

fn kind(key: &str, head: &str) -> &'static str {
    match key {
        "" => "bucket",
        key if key == head => "head",
        key if key.starts_with("pool/") => "pool",
        key if key.contains("/by-hash/") => "by-hash",
        key if key.contains("/commits/") => "commit",
        key if key.contains("debucket-probe/") => "probe",
        _ => "follower",
    }
}

fn count(mut times: Vec<Range<Instant>>) -> Count {
    // The request that ends first leaves the most room for those after it.
    times.sort_by_key(|time| time.end);
    let mut in_a_row = 0;
    let mut free = None;
    for time in &times {
        if free.is_none_or(|free| time.start >= free) {
            in_a_row += 1;
            free = Some(time.end);
        }
    }
    Count {
        requests: times.len(),
        in_a_row,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn requests_that_overlap_are_one_round_trip() {
        let zero = Instant::now();
        let at = |millis: u64| zero + Duration::from_millis(millis);
        let of = |times: &[(u64, u64)]| {
            count(times.iter().map(|(from, to)| at(*from)..at(*to)).collect()).in_a_row
        };
        assert_eq!(of(&[]), 0);
        assert_eq!(of(&[(0, 30), (31, 60), (61, 90)]), 3);
        assert_eq!(of(&[(0, 30), (1, 29), (2, 35)]), 1);
        // A long one beside two short ones.
        assert_eq!(of(&[(0, 70), (0, 30), (31, 60), (71, 90)]), 3);
    }

    #[test]
    fn keys_are_told_apart() {
        let head = "dists/stable/InRelease";
        for (key, expected) in [
            (head, "head"),
            ("dists/stable/Release", "follower"),
            ("dists/stable/commits/ab.json", "commit"),
            (
                "dists/stable/main/binary-amd64/by-hash/SHA256/ab",
                "by-hash",
            ),
            ("pool/main/h/hello/hello_1_all.deb", "pool"),
            ("", "bucket"),
        ] {
            assert_eq!(kind(key, head), expected, "{key}");
        }
    }
}

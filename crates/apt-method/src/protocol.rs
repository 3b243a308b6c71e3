//! The method's side of the conversation with apt, without any I/O.
//!
//! Messages of apt go in and come out as things to do ([`Action`]); what happened to an item goes
//! in ([`Event`]) and comes out as a message. There are no sockets, files or clocks here. Numbers
//! that are not known are ignored, either way.
//!
//! apt finds an item by its URI, so that is echoed byte for byte. One item's failure is a `400`
//! with its URI: `401` or an exit would take the whole run of apt with it, other repositories
//! included.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use deb_index::digest::{Algorithm, Digests};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use crate::failure::Failure;
use crate::message::{Malformed, Message};

/// The fields of apt's messages that name a digest.
const DIGEST_FIELDS: [(Algorithm, &str); 4] = [
    (Algorithm::Md5, "MD5Sum"),
    (Algorithm::Sha1, "SHA1"),
    (Algorithm::Sha256, "SHA256"),
    (Algorithm::Sha512, "SHA512"),
];

/// Up to how many bytes all digests are computed of what apt has no digest for.
const ALL_DIGESTS: u64 = 16 << 20;

/// What a method says first, before it does anything else: apt starts it only to read this.
pub fn capabilities() -> Message {
    Message::new(100, "Capabilities")
        .with("Version", "1.2")
        .with("Pipeline", "true")
        .with("Send-Config", "true")
        .with("Send-URI-Encoded", "true")
}

/// An item that was asked for and not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId(u64);

/// A `600 URI Acquire`.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// As apt wrote it; it may hold keys.
    pub uri: Vec<u8>,
    /// Where the content goes.
    pub filename: PathBuf,
    /// The date of the copy that apt has.
    pub last_modified: Option<Timestamp>,
    /// What the content must be, as far as apt knows.
    pub expected: Expected,
    /// The most bytes that the content may have.
    pub maximum_size: Option<u64>,
    /// The proxy that apt chose, or `DIRECT`.
    pub proxy: Option<String>,
}

/// What apt knows of the content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// The size in bytes.
    pub size: Option<u64>,
    /// Digests in hexadecimal.
    pub digests: Vec<(Algorithm, String)>,
}

impl Expected {
    /// The digests to compute of a content of `size` bytes: SHA-256, which apt relies on, and those
    /// that it has something to compare with. Where it has nothing, all, unless that would take
    /// longer than the transfer.
    pub fn algorithms(&self, size: u64) -> Vec<Algorithm> {
        if self.digests.is_empty() && size <= ALL_DIGESTS {
            return Algorithm::ALL.to_vec();
        }
        let mut algorithms: Vec<_> = self
            .digests
            .iter()
            .map(|(algorithm, _)| *algorithm)
            .collect();
        algorithms.push(Algorithm::Sha256);
        algorithms.sort_unstable();
        algorithms.dedup();
        algorithms
    }

    /// Whether there is a digest that proves something, so that content can be told right from
    /// wrong.
    pub fn is_provable(&self) -> bool {
        self.digests
            .iter()
            .any(|(algorithm, _)| matches!(algorithm, Algorithm::Sha256 | Algorithm::Sha512))
    }

    /// Whether content with these digests is right as far as apt knows.
    pub fn fits(&self, digests: &Digests) -> bool {
        let same = |(algorithm, hex): &(Algorithm, String)| {
            digests
                .get(*algorithm)
                .is_none_or(|digest| digest.eq_ignore_ascii_case(hex))
        };
        self.size.is_none_or(|size| size == digests.size) && self.digests.iter().all(same)
    }
}

/// What the program is to do.
pub enum Action {
    /// Take the configuration: its items are in the message.
    Configure(Message),
    Fetch(ItemId, Request),
    Send(Message),
}

/// What happened to an item.
#[derive(Debug)]
pub enum Event {
    /// It is being waited for; the text is for people.
    Waiting(String),
    /// Its content begins to arrive.
    Started {
        /// Size of the whole content in bytes, where the store tells it.
        size: Option<u64>,
        last_modified: Option<Timestamp>,
        /// How many bytes were there already.
        resumed: u64,
    },
    /// All of it is in its file.
    Done {
        digests: Digests,
        last_modified: Option<Timestamp>,
        /// How many bytes were there already.
        resumed: u64,
    },
    /// It has not changed since the date that apt named.
    NotModified,
    Failed(Failure),
}

/// The state of the conversation.
#[derive(Default)]
pub struct Protocol {
    items: HashMap<ItemId, Item>,
    last_id: u64,
}

struct Item {
    uri: Vec<u8>,
    filename: PathBuf,
    last_modified: Option<Timestamp>,
}

impl Protocol {
    /// Takes what came from apt.
    pub fn handle(&mut self, message: Result<Message, Malformed>) -> Option<Action> {
        let message = match message {
            Ok(message) => message,
            // apt shows it only where its own debugging is on.
            Err(error) => {
                return Some(Action::Send(
                    Message::new(101, "Log").with("Message", error.to_string()),
                ));
            }
        };
        match message.code {
            600 => Some(self.acquire(&message)),
            601 => Some(Action::Configure(message)),
            _ => None,
        }
    }

    fn acquire(&mut self, message: &Message) -> Action {
        let refuse = |uri: &[u8], what: &str| {
            let failure = Failure::configuration(what);
            Action::Send(failed(uri, &failure))
        };
        let Some(uri) = message.get_raw("URI").filter(|uri| !uri.is_empty()) else {
            return refuse(b"<UNKNOWN>", "apt asked for an item without a URI");
        };
        let Some(filename) = message.get_raw("Filename").filter(|name| !name.is_empty()) else {
            return refuse(uri, "apt asked for an item without a file name");
        };
        let number = |key: &str| message.get(key).and_then(|value| value.trim().parse().ok());
        let size: Option<u64> = number("Expected-Checksum-FileSize");
        let digests = DIGEST_FIELDS
            .iter()
            .filter_map(|(algorithm, name)| {
                Some((*algorithm, message.get(&format!("Expected-{name}"))?))
            })
            .filter(|(_, hex)| !hex.is_empty());
        let request = Request {
            uri: uri.to_vec(),
            filename: PathBuf::from(OsString::from_vec(filename.to_vec())),
            last_modified: message
                .get("Last-Modified")
                .and_then(|date| parse_date(&date)),
            expected: Expected {
                size,
                digests: digests.collect(),
            },
            maximum_size: size
                .or_else(|| number("Maximum-Size"))
                .filter(|limit| *limit > 0),
            proxy: message.get("Proxy").filter(|proxy| !proxy.is_empty()),
        };
        self.last_id += 1;
        let id = ItemId(self.last_id);
        let item = Item {
            uri: request.uri.clone(),
            filename: request.filename.clone(),
            last_modified: request.last_modified,
        };
        self.items.insert(id, item);
        Action::Fetch(id, request)
    }

    /// Takes what happened to an item, and says what to tell apt. An item that was answered has no
    /// more events.
    pub fn event(&mut self, id: ItemId, event: Event) -> Option<Message> {
        let ends = matches!(
            event,
            Event::Done { .. } | Event::NotModified | Event::Failed(_)
        );
        let item = self.items.get(&id)?;
        let about = |code, text| Message::new(code, text).with_raw("URI", item.uri.clone());
        let message = match event {
            Event::Waiting(text) => about(102, "Status").with("Message", text),
            Event::Started {
                size,
                last_modified,
                resumed,
            } => {
                let mut message = about(200, "URI Start");
                if let Some(size) = size {
                    message = message.with("Size", size.to_string());
                }
                resume_point(dated(message, last_modified), resumed)
            }
            Event::Done {
                digests,
                last_modified,
                resumed,
            } => {
                let mut message = about(201, "URI Done")
                    .with_raw("Filename", item.filename.as_os_str().as_bytes());
                message = dated(
                    message.with("Size", digests.size.to_string()),
                    last_modified,
                );
                for (algorithm, name) in DIGEST_FIELDS {
                    if let Some(digest) = digests.get(algorithm) {
                        message = message.with(&format!("{name}-Hash"), digest);
                    }
                }
                resume_point(
                    message.with("Checksum-FileSize-Hash", digests.size.to_string()),
                    resumed,
                )
            }
            Event::NotModified => {
                let message = about(201, "URI Done")
                    .with_raw("Filename", item.filename.as_os_str().as_bytes());
                dated(message, item.last_modified).with("IMS-Hit", "true")
            }
            Event::Failed(failure) => failed(&item.uri, &failure),
        };
        if ends {
            self.items.remove(&id);
        }
        Some(message)
    }

    /// How many items wait for an answer.
    pub fn outstanding(&self) -> usize {
        self.items.len()
    }
}

/// A `400` about the whole method, before it ends.
pub fn refused(what: &str) -> Message {
    failed(b"<UNKNOWN>", &Failure::configuration(what))
}

/// The warning that an item of the configuration has no effect.
pub fn has_no_effect(item: &str) -> Message {
    let message = format!("{item} has no effect: there is no setting of that name, see s3(8)");
    Message::new(104, "Warning").with("Message", message)
}

fn failed(uri: &[u8], failure: &Failure) -> Message {
    let mut message = Message::new(400, "URI Failure")
        .with_raw("URI", uri)
        .with("Message", &failure.message);
    if let Some(reason) = failure.reason.field() {
        message = message.with("FailReason", reason);
    }
    if failure.transient {
        message.with("Transient-Failure", "true")
    } else {
        message
    }
}

fn resume_point(message: Message, resumed: u64) -> Message {
    if resumed == 0 {
        message
    } else {
        message.with("Resume-Point", resumed.to_string())
    }
}

fn dated(message: Message, date: Option<Timestamp>) -> Message {
    match date.and_then(|date| {
        rfc2822::DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&date)
            .ok()
    }) {
        Some(text) => message.with("Last-Modified", text),
        None => message,
    }
}

/// A date as apt writes it: `Mon, 23 Nov 2026 10:38:39 GMT`, or with `+0000`.
fn parse_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new()
        .relaxed_weekday(true)
        .parse_timestamp(text.trim())
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;

    fn acquire(protocol: &mut Protocol, message: Message) -> (ItemId, Request) {
        match protocol.handle(Ok(message)) {
            Some(Action::Fetch(id, request)) => (id, request),
            _ => panic!("nothing to fetch"),
        }
    }

    fn text(message: &Message) -> String {
        String::from_utf8(message.to_bytes()).unwrap()
    }

    fn ask(uri: &str) -> Message {
        Message::new(600, "URI Acquire")
            .with("URI", uri)
            .with("Filename", "/p/file")
    }

    #[test]
    fn says_what_it_can_do() {
        assert_eq!(
            text(&capabilities()),
            "100 Capabilities\nVersion: 1.2\nPipeline: true\nSend-Config: true\nSend-URI-Encoded: true\n\n"
        );
    }

    #[test]
    fn reads_all_that_apt_knows() {
        let mut protocol = Protocol::default();
        let message = ask("s3://b/k")
            .with("Last-Modified", "Mon, 23 Nov 2026 10:38:39 GMT")
            .with("Expected-SHA256", "aa")
            .with("Expected-MD5Sum", "bb")
            .with("Expected-Checksum-FileSize", "12")
            .with("Maximum-Size", "99")
            .with("Proxy", "DIRECT");
        let (_, request) = acquire(&mut protocol, message);
        assert_eq!(
            request.last_modified,
            Some("2026-11-23T10:38:39Z".parse().unwrap())
        );
        assert_eq!(
            request.expected.algorithms(1),
            [Algorithm::Md5, Algorithm::Sha256]
        );
        assert_eq!(
            (
                request.expected.size,
                request.maximum_size,
                request.proxy.as_deref()
            ),
            (Some(12), Some(12), Some("DIRECT"))
        );
        assert_eq!(
            parse_date("Mon, 23 Nov 2026 10:38:39 +0000"),
            request.last_modified
        );
        let (_, request) = acquire(&mut protocol, ask("s3://b/k").with("Maximum-Size", "99"));
        assert_eq!(
            (request.maximum_size, request.expected.algorithms(1).len()),
            (Some(99), 4)
        );
    }

    #[test]
    fn of_a_large_file_only_what_counts_is_computed() {
        let expected = Expected::default();
        assert_eq!(expected.algorithms(ALL_DIGESTS), Algorithm::ALL);
        assert_eq!(expected.algorithms(ALL_DIGESTS + 1), [Algorithm::Sha256]);
    }

    #[test]
    fn a_request_that_lacks_something_is_refused_alone() {
        let mut protocol = Protocol::default();
        let Some(Action::Send(answer)) =
            protocol.handle(Ok(Message::new(600, "URI Acquire").with("URI", "s3://b/k")))
        else {
            panic!()
        };
        assert!(text(&answer).starts_with("400 URI Failure\nURI: s3://b/k\nMessage: "));
        let Some(Action::Send(answer)) = protocol.handle(Ok(Message::new(600, "URI Acquire")))
        else {
            panic!()
        };
        assert!(text(&answer).starts_with("400 URI Failure\nURI: <UNKNOWN>\n"));
        assert!(protocol.handle(Ok(Message::new(700, "New"))).is_none());
        assert!(
            matches!(protocol.handle(Err(Malformed::NoKey)), Some(Action::Send(message)) if message.code == 101)
        );
        assert_eq!(protocol.outstanding(), 0);
    }

    #[test]
    fn answers_come_in_any_order_with_the_uri_as_it_was() {
        let mut protocol = Protocol::default();
        let uri = b"s3://K:a%2Fb@b/%7e/\xc3\xa9\xff+ x".to_vec();
        let (first, _) = acquire(
            &mut protocol,
            Message::new(600, "x")
                .with_raw("URI", uri.clone())
                .with("Filename", "/p/1"),
        );
        let (second, _) = acquire(&mut protocol, ask("s3://b/2"));
        let failure = Failure::transient(Reason::Timeout, "slow\nstore");
        let answer = protocol.event(second, Event::Failed(failure)).unwrap();
        assert_eq!(
            text(&answer),
            "400 URI Failure\nURI: s3://b/2\nMessage: slow store\nFailReason: Timeout\nTransient-Failure: true\n\n"
        );
        let digests = Digests::of(&Expected::default().algorithms(3), b"abc");
        let answer = protocol
            .event(
                first,
                Event::Done {
                    digests,
                    last_modified: None,
                    resumed: 1,
                },
            )
            .unwrap();
        assert_eq!(answer.get_raw("URI").unwrap(), uri);
        assert_eq!(
            answer.get("MD5Sum-Hash").unwrap(),
            "900150983cd24fb0d6963f7d28e17f72"
        );
        assert_eq!(answer.get("Checksum-FileSize-Hash").unwrap(), "3");
        assert_eq!(answer.get("Resume-Point").unwrap(), "1");
        assert_eq!(protocol.outstanding(), 0);
        assert!(
            protocol.event(first, Event::NotModified).is_none(),
            "it was answered"
        );
    }

    #[test]
    fn an_unchanged_file_names_its_file_and_date() {
        let mut protocol = Protocol::default();
        let (id, _) = acquire(
            &mut protocol,
            ask("s3://b/k").with("Last-Modified", "Mon, 23 Nov 2026 10:38:39 +0000"),
        );
        let answer = protocol.event(id, Event::NotModified).unwrap();
        assert_eq!(
            text(&answer),
            "201 URI Done\nURI: s3://b/k\nFilename: /p/file\nLast-Modified: Mon, 23 Nov 2026 10:38:39 GMT\nIMS-Hit: true\n\n"
        );
    }

    #[test]
    fn content_is_judged_by_what_apt_knows() {
        let digests = Digests::of(&[Algorithm::Sha256], b"abc");
        let right = digests.get(Algorithm::Sha256).unwrap();
        let expected = |size, hex: &str| Expected {
            size,
            digests: vec![(Algorithm::Sha256, hex.to_owned())],
        };
        assert!(expected(Some(3), &right.to_uppercase()).fits(&digests));
        assert!(!expected(Some(4), &right).fits(&digests));
        assert!(!expected(None, "00").fits(&digests));
        assert!(expected(None, "00").is_provable() && !Expected::default().is_provable());
    }
}

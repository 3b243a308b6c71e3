//! The spellings of an object's address that apt may send.
//!
//! | URI | bucket | from |
//! |---|---|---|
//! | `s3://bucket/prefix/…` | the host | apt-transport-s3 |
//! | `s3://KEY:SECRET@s3.amazonaws.com/bucket/prefix/…` | the path | apt-golang-s3 |
//! | `s3://s3.REGION.amazonaws.com/bucket/…`, `s3-REGION`, `s3.dualstack.REGION` | the path | path-style addresses of AWS |
//! | `s3://bucket.s3.REGION.amazonaws.com/…`, `bucket.s3-REGION`, `bucket.s3` | the host | virtual-hosted addresses of AWS |
//! | the same with `s3-fips`, `dualstack`, or of an interface endpoint: `bucket.vpce-….s3.REGION.vpce` | either | its ways to the same buckets |
//! | `s3://store:9000/bucket/…`, `s3://192.0.2.1/bucket/…`, the host of a configured endpoint | the path | other stores |
//!
//! apt sends the path encoded (`%2b`) to a method that asked for it, if it is new enough to know of
//! that; an old one sends it decoded. Which of the two holds is said by its configuration
//! (`Acquire::Send-URI-Encoded`), so a path is decoded once or not at all. Keys in front of the
//! host are always encoded.
//!
//! What a repository's layout adds is not part of the key: a flat repository's `./`. An empty
//! segment (`//`) is a legal part of a key.

use std::fmt;

use s3_storage::percent_decoded;

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// An access key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Keys {
    pub id: String,
    pub secret: Secret,
    /// The token that belongs to temporary keys.
    pub token: Option<Secret>,
}

/// An object's address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// The host and port as written, which entries of `auth.conf` and proxy settings name.
    pub host: String,
    /// The path behind it as written, with its slash.
    pub path: String,
    /// The store that the host names, as `host[:port]`, where it is neither a bucket nor AWS.
    pub store: Option<String>,
    /// The region that the host names.
    pub region: Option<String>,
    /// Whether the host is one with FIPS 140 cryptography.
    pub use_fips: Option<bool>,
    /// Whether the host is one for IPv4 and IPv6.
    pub use_dualstack: Option<bool>,
    /// The keys in front of the host.
    pub keys: Option<Keys>,
}

impl fmt::Display for Location {
    /// The address without keys, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// Why an address cannot be used. No message repeats the address: it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// It does not begin with a scheme and `//`.
    #[error("the URI has no host; write it as s3://BUCKET/PREFIX/")]
    NoHost,
    /// It is not UTF-8, so it cannot be an S3 key.
    #[error("the URI is not UTF-8, which every S3 key is")]
    NotUtf8,
    /// A store's host without a bucket in the path.
    #[error("the URI names a store but no bucket; write it as s3://STORE/BUCKET/PREFIX/")]
    NoBucket,
    /// The bucket's name has a character that none may have.
    #[error("the URI has no valid bucket name (letters, digits, '.', '-' and '_')")]
    BadBucket,
    /// There is nothing behind the bucket.
    #[error("the URI names a bucket but no object in it")]
    NoKey,
    /// What should be a port is no number: most likely a slash in a secret.
    #[error(
        "the URI has no valid port; a '/' in a secret key must be written %2F, in a deb822 .sources file"
    )]
    BadPort,
    /// Keys without a secret.
    #[error("the URI has an access key but no secret key; write it as s3://KEY:SECRET@…")]
    NoSecret,
}

/// Takes an address apart. `encoded`: whether the path is (see above); `is_store` says whether a
/// host (with its port, if any) is that of a configured endpoint.
///
/// # Errors
/// [`UriError`] where it names no object.
pub fn parse(
    uri: &[u8],
    encoded: bool,
    is_store: impl Fn(&str) -> bool,
) -> Result<Location, UriError> {
    let text = std::str::from_utf8(uri).map_err(|_| UriError::NotUtf8)?;
    let (_, rest) = text.split_once("://").ok_or(UriError::NoHost)?;
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    let (userinfo, host) = match authority.rsplit_once('@') {
        Some((userinfo, host)) => (Some(userinfo), host),
        None => (None, authority),
    };
    if host.is_empty() {
        return Err(UriError::NoHost);
    }
    let (name, port) = split_port(host)?;
    let keys = userinfo
        .filter(|userinfo| !userinfo.is_empty())
        .map(parse_keys)
        .transpose()?;
    let decoded = if encoded {
        percent_decoded(path.as_bytes())
    } else {
        path.as_bytes().to_vec()
    };
    let decoded = String::from_utf8(decoded).map_err(|_| UriError::NotUtf8)?;
    let inside = decoded.strip_prefix('/').unwrap_or(&decoded);

    let mut location = Location {
        bucket: String::new(),
        key: String::new(),
        host: host.to_owned(),
        path: path.to_owned(),
        store: None,
        region: None,
        use_fips: None,
        use_dualstack: None,
        keys,
    };
    let in_host = if let Some(aws) = AwsHost::parse(name).filter(|_| port.is_none()) {
        location.region = aws.region;
        location.use_fips = aws.fips.then_some(true);
        location.use_dualstack = aws.dualstack.then_some(true);
        location.store = aws.interface_endpoint;
        aws.bucket
    } else if port.is_some()
        || name.starts_with('[')
        || name.parse::<std::net::Ipv4Addr>().is_ok()
        || is_store(host)
    {
        location.store = Some(host.to_owned());
        None
    } else {
        Some(name.to_owned())
    };
    let key = match in_host {
        Some(bucket) => {
            location.bucket = bucket;
            inside
        }
        None => {
            let (bucket, key) = inside.split_once('/').unwrap_or((inside, ""));
            if bucket.is_empty() {
                return Err(UriError::NoBucket);
            }
            bucket.clone_into(&mut location.bucket);
            key
        }
    };
    if !location
        .bucket
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    {
        return Err(UriError::BadBucket);
    }
    location.key = key
        .split('/')
        .filter(|segment| *segment != ".")
        .collect::<Vec<_>>()
        .join("/");
    if location.key.is_empty() {
        return Err(UriError::NoKey);
    }
    Ok(location)
}

/// `host[:port]`, the host of an IPv6 address with its brackets.
fn split_port(host: &str) -> Result<(&str, Option<u16>), UriError> {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => {
            Ok((name, Some(port.parse().map_err(|_| UriError::BadPort)?)))
        }
        _ => Ok((host, None)),
    }
}

fn parse_keys(userinfo: &str) -> Result<Keys, UriError> {
    let decode = |text: &str| {
        String::from_utf8(percent_decoded(text.as_bytes())).map_err(|_| UriError::NotUtf8)
    };
    let (id, secret) = userinfo.split_once(':').ok_or(UriError::NoSecret)?;
    if id.is_empty() || secret.is_empty() {
        return Err(UriError::NoSecret);
    }
    Ok(Keys {
        id: decode(id)?,
        secret: Secret(decode(secret)?),
        token: None,
    })
}

/// A host of AWS: `[bucket.]s3[-fips][.dualstack][.REGION].amazonaws.com[.cn]`,
/// `[bucket.]s3-REGION.amazonaws.com` (<https://docs.aws.amazon.com/general/latest/gr/s3.html>).
struct AwsHost {
    bucket: Option<String>,
    region: Option<String>,
    fips: bool,
    dualstack: bool,
    /// The host of an interface endpoint of a VPC,
    /// `bucket.vpce-….s3.REGION.vpce.amazonaws.com` without what stands before it
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/privatelink-interface-endpoints.html>).
    interface_endpoint: Option<String>,
}

impl AwsHost {
    fn parse(host: &str) -> Option<Self> {
        let lower = host.to_ascii_lowercase();
        let inner = lower
            .strip_suffix(".amazonaws.com")
            .or_else(|| lower.strip_suffix(".amazonaws.com.cn"))?;
        let labels: Vec<&str> = inner.split('.').collect();
        let service = labels
            .iter()
            .rposition(|label| *label == "s3" || label.starts_with("s3-"))?;
        let old_style = labels[service]
            .strip_prefix("s3-")
            .filter(|rest| !matches!(*rest, "fips" | "accelerate"));
        let region = match old_style {
            Some("external-1") => Some("us-east-1"),
            Some(region) => Some(region),
            None => labels[service + 1..]
                .iter()
                .find(|label| **label != "dualstack")
                .copied(),
        };
        let before = &labels[..service];
        let endpoint = before.len().checked_sub(2).filter(|at| {
            matches!(before[*at], "bucket" | "accesspoint") && before[at + 1].starts_with("vpce-")
        });
        let bucket = before[..endpoint.unwrap_or(service)].join(".");
        Some(Self {
            region: region.map(str::to_owned),
            fips: labels[service] == "s3-fips",
            dualstack: labels[service + 1..].contains(&"dualstack"),
            interface_endpoint: endpoint.and_then(|at| {
                let suffix = lower.strip_prefix(inner)?;
                Some(labels[at..].join(".") + suffix)
            }),
            bucket: Some(bucket).filter(|bucket| !bucket.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn location(uri: &str) -> Location {
        parse(uri.as_bytes(), true, |host| host == "minio.example.com").unwrap()
    }

    fn parts(uri: &str) -> (String, String, Option<String>) {
        let location = location(uri);
        (location.bucket, location.key, location.region)
    }

    fn expect(bucket: &str, key: &str, region: Option<&str>) -> (String, String, Option<String>) {
        (bucket.into(), key.into(), region.map(str::to_owned))
    }

    #[test]
    fn a_plain_host_is_the_bucket() {
        assert_eq!(
            parts("s3://my.bucket/prefix/dists/stable/InRelease"),
            expect("my.bucket", "prefix/dists/stable/InRelease", None)
        );
        assert_eq!(location("s3://bucket/x").store, None);
    }

    #[test]
    fn hosts_of_aws_name_bucket_and_region() {
        assert_eq!(
            parts("s3://b.c.s3.eu-west-1.amazonaws.com/k"),
            expect("b.c", "k", Some("eu-west-1"))
        );
        assert_eq!(
            parts("s3://b.s3-eu-west-1.amazonaws.com/k"),
            expect("b", "k", Some("eu-west-1"))
        );
        assert_eq!(parts("s3://b.s3.amazonaws.com/k"), expect("b", "k", None));
        assert_eq!(
            parts("s3://b.s3.dualstack.eu-west-1.amazonaws.com/k"),
            expect("b", "k", Some("eu-west-1"))
        );
        assert_eq!(
            parts("s3://b.s3.cn-north-1.amazonaws.com.cn/k"),
            expect("b", "k", Some("cn-north-1"))
        );
        assert_eq!(
            parts("s3://s3.eu-west-1.amazonaws.com/b/k/l"),
            expect("b", "k/l", Some("eu-west-1"))
        );
        assert_eq!(
            parts("s3://s3-fips.us-gov-west-1.amazonaws.com/b/k"),
            expect("b", "k", Some("us-gov-west-1"))
        );
        assert_eq!(
            parts("s3://s3-us-west-2.amazonaws.com/b/k"),
            expect("b", "k", Some("us-west-2"))
        );
    }

    #[test]
    fn the_way_that_a_host_of_aws_names_is_kept() {
        let way = |uri: &str| {
            let location = location(uri);
            assert_eq!(
                (location.bucket.as_str(), location.key.as_str()),
                ("b.c", "k")
            );
            assert_eq!(location.region.as_deref(), Some("us-east-1"));
            (location.use_fips, location.use_dualstack, location.store)
        };
        let yes = Some(true);
        let at = "bucket.vpce-1a2b-3c.s3.us-east-1.vpce.amazonaws.com";
        for (host, expected) in [
            ("s3.us-east-1.amazonaws.com", (None, None, None)),
            ("s3-fips.us-east-1.amazonaws.com", (yes, None, None)),
            ("s3.dualstack.us-east-1.amazonaws.com", (None, yes, None)),
            (
                "s3-fips.dualstack.us-east-1.amazonaws.com",
                (yes, yes, None),
            ),
            (at, (None, None, Some(at.to_owned()))),
        ] {
            assert_eq!(way(&format!("s3://b.c.{host}/k")), expected, "{host}");
            assert_eq!(way(&format!("s3://{host}/b.c/k")), expected, "{host}");
        }
    }

    #[test]
    fn keys_stand_before_the_host_and_are_always_encoded() {
        for encoded in [true, false] {
            let location = parse(
                b"s3://AKIA:a%2fb+c%3D@s3.amazonaws.com/bucket/prefix/x",
                encoded,
                |_| false,
            )
            .unwrap();
            assert_eq!(
                (location.bucket.as_str(), location.key.as_str()),
                ("bucket", "prefix/x")
            );
            assert_eq!(
                location.keys,
                Some(Keys {
                    id: "AKIA".into(),
                    secret: Secret("a/b+c=".into()),
                    token: None
                })
            );
            let shown = format!("{location:?} {location}");
            assert!(
                !shown.contains("a/b") && !shown.contains("a%2fb"),
                "{shown}"
            );
        }
    }

    #[test]
    fn another_store_has_the_bucket_in_the_path() {
        for (uri, store) in [
            ("s3://localhost:9000/bucket/k", "localhost:9000"),
            ("s3://K:S@192.0.2.1/bucket/k", "192.0.2.1"),
            ("s3://[2001:db8::1]:9000/bucket/k", "[2001:db8::1]:9000"),
            ("s3://[2001:db8::1]/bucket/k", "[2001:db8::1]"),
            ("s3://minio.example.com/bucket/k", "minio.example.com"),
        ] {
            let location = location(uri);
            assert_eq!(
                (
                    location.bucket.as_str(),
                    location.key.as_str(),
                    location.store.as_deref()
                ),
                ("bucket", "k", Some(store)),
                "{uri}"
            );
        }
    }

    #[test]
    fn a_path_is_decoded_once_or_not_at_all() {
        assert_eq!(location("s3://b/a%2bb%7e1%20c+d%252b").key, "a+b~1 c+d%2b");
        assert_eq!(
            parse(b"s3://b/a+b~1 c%2b%", false, |_| false).unwrap().key,
            "a+b~1 c%2b%"
        );
        assert_eq!(location("s3://b/100%/x").key, "100%/x");
    }

    #[test]
    fn a_flat_repository_adds_nothing_and_empty_segments_stay() {
        assert_eq!(
            location("s3://b/flat/./Packages.gz").key,
            "flat/Packages.gz"
        );
        assert_eq!(location("s3://b/./Packages").key, "Packages");
        assert_eq!(location("s3://b/a//b///c").key, "a//b///c");
        assert_eq!(location("s3://b//a").key, "/a");
        assert_eq!(location("s3://b/.hidden/a..b/...").key, ".hidden/a..b/...");
    }

    #[test]
    fn what_names_no_object_is_said_without_repeating_it() {
        for (uri, error) in [
            ("s3:/bucket/k", UriError::NoHost),
            ("s3:///k", UriError::NoHost),
            ("s3://bucket", UriError::NoKey),
            ("s3://bucket/./", UriError::NoKey),
            ("s3://bu cket/k", UriError::BadBucket),
            ("s3://localhost:9000/", UriError::NoBucket),
            ("s3://AKIA:sec/ret@s3.amazonaws.com/b/k", UriError::BadPort),
            ("s3://AKIA@s3.amazonaws.com/b/k", UriError::NoSecret),
            ("s3://b/%ff", UriError::NotUtf8),
        ] {
            assert_eq!(parse(uri.as_bytes(), true, |_| false), Err(error), "{uri}");
            assert!(!error.to_string().contains("AKIA"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(uri in proptest::collection::vec(any::<u8>(), 0..60), encoded: bool) {
            let mut whole = b"s3://".to_vec();
            whole.extend(uri);
            if let Ok(location) = parse(&whole, encoded, |_| false) {
                prop_assert!(!location.bucket.is_empty() && !location.key.is_empty());
            }
        }

        #[test]
        fn every_key_comes_back(key in "[^\\pC]{1,30}") {
            prop_assume!(key.split('/').all(|segment| segment != "."));
            let quoted: String = key.bytes().map(|byte| if byte == b'/' { "/".to_owned() } else { format!("%{byte:02x}") }).collect();
            let uri = format!("s3://bucket/{quoted}");
            prop_assert_eq!(&parse(uri.as_bytes(), true, |_| false).unwrap().key, &key);
            let uri = format!("s3://bucket/{key}");
            prop_assert_eq!(&parse(uri.as_bytes(), false, |_| false).unwrap().key, &key);
        }
    }
}

//! Whether a request for credentials must not go through a proxy. The services that hand out those of
//! the instance or the container are on this machine or its link, and answer in clear text.

use std::net::IpAddr;

use hyper::Uri;

/// The host of a URL, without the brackets of an IPv6 address.
pub(crate) fn host(url: &Uri) -> &str {
    let host = url.host().unwrap_or_default();
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Loopback, link-local (169.254.0.0/16, fe80::/10), and AWS's own fd00:ec2::/32.
fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unicast_link_local()
                || (first, second) == (0xfd00, 0x0ec2)
        }
    }
}

/// Whether a request for credentials goes straight to its server: one in clear text, of which a proxy
/// would see the keys, wherever it goes; over TLS only what stays on this machine or its link, because
/// the proxy may be the only way to all else.
pub(crate) fn is_direct(url: &Uri) -> bool {
    let host = host(url).trim_end_matches('.').to_ascii_lowercase();
    // The zone of `fe80::1%eth0`.
    let address = host.split('%').next().unwrap_or_default();
    url.scheme_str() == Some("http")
        || host == "localhost"
        || host.ends_with(".localhost")
        || address.parse().is_ok_and(is_local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credential_services_are_asked_directly() {
        for url in [
            "http://169.254.169.254/latest/api/token",
            "http://127.1/creds",
            "http://metadata.corp/creds",
            "http://192.0.2.1/creds",
            "https://169.254.170.23/v1/credentials",
            "https://[fd00:ec2::254]/latest",
            "https://[FE80::1%25eth0]:80/x",
            "https://[::ffff:169.254.169.254]/x",
            "https://[0:0:0:0:0:ffff:7f00:1]:9/x",
            "https://127.255.0.9/creds",
            "https://0.0.0.0:80/",
            "https://LOCALHOST:80",
            "https://localhost.:80/x",
            "https://a.localhost/x",
            "https://user:169.1.1.1@localhost/x",
            "https://[::1]/creds",
        ] {
            assert!(is_direct(&url.parse().unwrap()), "{url}");
        }
    }

    #[test]
    fn what_only_looks_like_one_is_elsewhere() {
        for url in [
            "https://169.253.169.254/",
            "https://10.0.0.1/",
            "https://192.0.2.1:127/",
            "https://[fd01:ec2::254]/",
            "https://[2001:db8::127.0.0.1]/",
            "https://127.0.0.1.invalid/",
            "https://localhost.invalid/",
            "https://localhost@192.0.2.1/127.0.0.1",
            "https://sts.invalid/169.254.169.254",
        ] {
            assert!(!is_direct(&url.parse().unwrap()), "{url}");
        }
    }
}

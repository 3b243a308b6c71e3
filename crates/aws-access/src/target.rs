//! Whether a request stays on this machine or its link. The services that hand out the credentials of
//! the instance or the container are there, and answer in clear text.

use std::net::IpAddr;

use aws_smithy_runtime_api::client::dns::ResolveDns as _;

use crate::resolver::SystemResolver;

/// The host of a URL, without user, port and brackets.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let server = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    match server
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((address, _)) => address,
        None => server.split_once(':').map_or(server, |(name, _)| name),
    }
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

/// Whether a request to `url` stays on this machine or its link. In clear text, a name, and an
/// address in one of the spellings that only the system's resolver knows (`127.1`), is looked up;
/// one that does not resolve is elsewhere. Over TLS the proxy sees no keys, and the name may be one
/// that only the proxy can resolve, so it is not looked up.
pub(crate) async fn stays_local(url: &str) -> bool {
    let host = host(url).trim_end_matches('.').to_ascii_lowercase();
    if host == "localhost" || host.ends_with(".localhost") {
        return true;
    }
    // The zone of `fe80::1%eth0`.
    let address = host.split('%').next().unwrap_or_default();
    if let Ok(address) = address.parse() {
        return is_local(address);
    }
    if !url.starts_with("http://") {
        return false;
    }
    let resolved = SystemResolver.resolve_dns(&host).await;
    resolved.is_ok_and(|addresses| addresses.into_iter().any(is_local))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn credential_services_are_local_in_every_spelling() {
        for url in [
            "http://169.254.169.254/latest/api/token",
            "http://169.254.170.2/v2/credentials/x",
            "http://169.254.170.23/v1/credentials",
            "http://169.254.1.2:8080?x",
            "http://[fd00:ec2::254]/latest",
            "http://[fd00:ec2::23]:80/v1/credentials",
            "http://[fe80::1]/x",
            "http://[FE80::1%25eth0]:80/x",
            "http://[::ffff:169.254.169.254]/x",
            "http://[0:0:0:0:0:ffff:7f00:1]:9/x",
            "http://127.0.0.1:1234/creds",
            "http://127.255.0.9/creds",
            "http://127.1/creds",
            "http://0x7f000001/creds",
            "http://0.0.0.0:80/",
            "http://[::1]:80/",
            "http://LOCALHOST:80",
            "http://localhost.:80/x",
            "http://a.localhost/x",
            "http://user:169.1.1.1@localhost/x",
            "https://127.0.0.1/creds",
            "https://localhost:8443/creds",
            "https://[::1]/creds",
        ] {
            assert!(stays_local(url).await, "{url}");
        }
    }

    #[tokio::test]
    async fn what_only_looks_like_one_is_elsewhere() {
        for url in [
            "http://169.253.169.254/",
            "http://10.0.0.1/",
            "http://192.0.2.1:127/",
            "http://[fd01:ec2::254]/",
            "http://[2001:db8::127.0.0.1]/",
            "http://127.0.0.1.invalid/",
            "http://localhost.invalid/",
            "http://localhost@192.0.2.1/127.0.0.1",
            "https://sts.invalid/169.254.169.254",
        ] {
            assert!(!stays_local(url).await, "{url}");
        }
    }
}

//! Resolves names by the system's resolver, with an error type of its own.

use std::{io, net::ToSocketAddrs as _};

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};

/// `getaddrinfo` on a thread of its own.
#[derive(Debug, Clone)]
pub(crate) struct SystemResolver;

impl ResolveDns for SystemResolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        let name = name.to_owned();
        DnsFuture::new(async move {
            let resolved = tokio::task::spawn_blocking(move || {
                let addresses = (name.as_str(), 0).to_socket_addrs()?;
                Ok(addresses.map(|address| address.ip()).collect())
            });
            resolved
                .await
                .unwrap_or_else(|error| Err(io::Error::other(error)))
                .map_err(ResolveDnsError::new)
        })
    }
}

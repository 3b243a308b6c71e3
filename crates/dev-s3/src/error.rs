//! What can go wrong before requests are served; afterwards errors are replies.

/// Why a server or a proxy could not be started, or a direct write failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The certificate could not be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The certificate could not be used.
    #[error("cannot set TLS up")]
    Tls(#[from] rustls::Error),
    /// The domain for buckets as hosts is not one.
    #[error("cannot serve buckets below this domain")]
    Domain(#[from] s3s::host::DomainError),
    /// The store refused what was asked of it directly.
    #[error(transparent)]
    Store(#[from] s3s::S3Error),
    /// The proxy's upstream is not `http://host:port`.
    #[error("the upstream {0} is not of the form http://host:port")]
    Upstream(String),
}

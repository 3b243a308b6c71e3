//! The server: from a description to a listening socket, and what a test does with it while it
//! runs.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use s3s::{
    config::{S3Config, StaticConfigProvider},
    host::SingleDomain,
    service::S3ServiceBuilder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    Error,
    access::{Access, AccessKey, Grants},
    checksum::Algorithm,
    clock::Clock,
    conditions::WriteConditions,
    content::Writer,
    front::{Front, WrongRegion},
    listen,
    object::{Attributes, Object},
    request::LoggedRequest,
    service::Service,
    store::{BucketPolicy, Store},
    tls,
};

/// A server that is not started yet: in memory, on a free port of the loopback, plain HTTP, any
/// region.
#[derive(Debug, Clone)]
pub struct Builder {
    keys: Vec<AccessKey>,
    buckets: Vec<String>,
    tls: bool,
    listen: String,
    domain: Option<String>,
    region: Option<(String, WrongRegion)>,
    clock: Clock,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            buckets: Vec::new(),
            tls: false,
            listen: "127.0.0.1:0".to_owned(),
            domain: None,
            region: None,
            clock: Clock::default(),
        }
    }
}

impl Builder {
    /// Adds a key. Without any there is one that may do everything: [`DevS3::DEFAULT_KEY_ID`].
    #[must_use]
    pub fn access_key(mut self, key: AccessKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Creates a bucket at the start, unless it is there.
    #[must_use]
    pub fn bucket(mut self, name: impl Into<String>) -> Self {
        self.buckets.push(name.into());
        self
    }

    /// Whether it speaks TLS, with a certificate of [`DevS3::ca_pem`].
    #[must_use]
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// Where it listens, `127.0.0.1:0` for a free port.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = address.into();
        self
    }

    /// Also serves buckets as hosts, `bucket.<domain>:<port>`, where the host is not an IP address.
    /// `localhost` will do.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// The region of all buckets; a request that was signed for another one is refused in this way.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>, otherwise: WrongRegion) -> Self {
        self.region = Some((region.into(), otherwise));
        self
    }

    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// The address is taken, or the domain is not one.
    pub async fn start(mut self) -> Result<DevS3, Error> {
        if self.keys.is_empty() {
            self.keys.push(AccessKey::new(
                DevS3::DEFAULT_KEY_ID,
                DevS3::DEFAULT_SECRET,
                Grants::All,
            ));
        }
        let store = Arc::new(Store::new(self.clock.clone()));
        let listener = TcpListener::bind(&self.listen).await?;
        let address = listener.local_addr()?;
        // Clients send the port along with the host.
        let domain = self
            .domain
            .as_ref()
            .map(|domain| format!("{domain}:{}", address.port()));
        let access = Access::new(self.keys, Arc::clone(&store), self.tls);
        let service = Service {
            store: Arc::clone(&store),
            access: access.clone(),
            region: self.region.as_ref().map(|(region, _)| region.clone()),
        };
        let mut builder = S3ServiceBuilder::new(service);
        let mut config = S3Config::default();
        // The front compares with the store's clock.
        config.presigned_url_max_skew_time_secs = u32::MAX;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        builder.set_auth(access.clone());
        builder.set_access(access.clone());
        if let Some(domain) = &domain {
            builder.set_host(SingleDomain::new(domain)?);
        }
        let front = Arc::new(Front {
            service: builder.build(),
            clock: self.clock.clone(),
            domain,
            region: self.region,
            log: Mutex::default(),
        });
        let identity = if self.tls {
            Some(tls::identity(self.domain.as_deref())?)
        } else {
            None
        };
        let ca_pem = identity.as_ref().map(|identity| identity.ca_pem.clone());
        let acceptor = identity.map(|identity| identity.acceptor);
        let accepting = Arc::clone(&front);
        let serving = listen::accept(listener, move |stream| {
            connection(stream, acceptor.clone(), Arc::clone(&accepting))
        });
        let server = DevS3 {
            address,
            store,
            access,
            front,
            clock: self.clock,
            ca_pem,
            serving,
        };
        for bucket in self.buckets {
            server.create_bucket(&bucket)?;
        }
        Ok(server)
    }
}

/// One connection, until its client closes it or the server stops.
async fn connection(
    stream: TcpStream,
    acceptor: Option<tokio_rustls::TlsAcceptor>,
    front: Arc<Front>,
) {
    match acceptor {
        None => serve_connection(stream, front).await,
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => serve_connection(stream, front).await,
            Err(error) => tracing::debug!(%error, "no TLS"),
        },
    }
}

async fn serve_connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send, front: Arc<Front>) {
    let service = service_fn(move |request| Arc::clone(&front).serve(request));
    if let Err(error) = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        tracing::debug!(%error, "connection broke");
    }
}

/// A running server. It stops when it is dropped.
pub struct DevS3 {
    address: SocketAddr,
    store: Arc<Store>,
    access: Access,
    front: Arc<Front>,
    clock: Clock,
    ca_pem: Option<String>,
    serving: JoinHandle<()>,
}

impl DevS3 {
    /// The key of a server that was given none.
    pub const DEFAULT_KEY_ID: &'static str = "devs3admin";
    /// Its secret. It protects nothing: the server is for loopback.
    pub const DEFAULT_SECRET: &'static str = "devs3secret";

    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `http://127.0.0.1:4321`, or `https://localhost:4321`; by name where buckets are hosts, since
    /// an address has no hosts below it.
    pub fn endpoint(&self) -> String {
        let scheme = if self.ca_pem.is_some() {
            "https"
        } else {
            "http"
        };
        match &self.front.domain {
            Some(domain) => format!("{scheme}://{domain}"),
            None => format!("{scheme}://{}", self.address),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate in PEM that clients must trust (as `AWS_CA_BUNDLE`); `None` without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub fn set_access_keys(&self, keys: Vec<AccessKey>) {
        self.access.set_keys(keys);
    }

    /// Creates a bucket, unless it is there.
    ///
    /// # Errors
    /// The name is refused.
    pub fn create_bucket(&self, name: &str) -> Result<(), Error> {
        match self.store.create_bucket(name) {
            Err(error) if *error.code() != s3s::S3ErrorCode::BucketAlreadyOwnedByYou => {
                Err(error.into())
            }
            _ => Ok(()),
        }
    }

    /// Sets a bucket's policy, `None` for none.
    ///
    /// # Errors
    /// The bucket is missing, or the policy is malformed or has what is not understood.
    pub fn set_policy(&self, bucket: &str, policy: Option<&str>) -> Result<(), Error> {
        let policy = policy
            .map(|text| BucketPolicy::parse(text.to_owned()))
            .transpose()?;
        Ok(self.store.set_policy(bucket, policy)?)
    }

    /// Puts an object past the protocol; returns its ETag with quotes. Nothing of it is logged.
    ///
    /// # Errors
    /// The bucket is missing.
    pub fn put(&self, bucket: &str, key: &str, bytes: &[u8]) -> Result<String, Error> {
        let mut writer = Writer::default();
        writer.write(bytes);
        let content = writer.finish();
        let (etag, checksums) =
            crate::service::digest(&content, [Algorithm::Crc64Nvme, Algorithm::Sha256]);
        let attributes = Attributes {
            content_type: Some(crate::service::default_content_type()),
            ..Attributes::default()
        };
        let object = Object {
            content,
            etag: etag.clone(),
            modified: self.clock.unix(),
            checksums,
            attributes,
        };
        self.store
            .put(bucket, key, object, &WriteConditions::default())?;
        Ok(format!("\"{etag}\""))
    }

    /// The bytes of an object, `None` where there is none.
    ///
    /// # Errors
    /// The bucket is missing.
    pub fn get(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let object = self
            .store
            .with_bucket(bucket, |bucket| Ok(bucket.objects.get(key).cloned()))?;
        Ok(object.map(|object| {
            let pieces = object.content.read(0..object.size());
            pieces.flat_map(|piece| piece.to_vec()).collect()
        }))
    }

    /// Deletes an object; a missing one is no error.
    ///
    /// # Errors
    /// The bucket is missing.
    pub fn delete(&self, bucket: &str, key: &str) -> Result<(), Error> {
        Ok(self
            .store
            .delete(bucket, key, &WriteConditions::default())?)
    }

    /// The objects of a bucket as they are now, with all that is stored with them.
    ///
    /// # Errors
    /// The bucket is missing.
    pub fn snapshot(&self, bucket: &str) -> Result<Snapshot, Error> {
        let objects = self
            .store
            .with_bucket(bucket, |bucket| Ok(bucket.objects.clone()))?;
        Ok(Snapshot(objects))
    }

    /// Replaces the objects of a bucket by those of a snapshot.
    ///
    /// # Errors
    /// The bucket is missing.
    pub fn restore(&self, bucket: &str, snapshot: &Snapshot) -> Result<(), Error> {
        let restored = self.store.with_bucket(bucket, |bucket| {
            bucket.objects.clone_from(&snapshot.0);
            Ok(())
        });
        Ok(restored?)
    }

    /// All keys of a bucket, in order; none where there is no bucket.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        self.store
            .with_bucket(bucket, |bucket| {
                Ok(bucket.objects.keys().cloned().collect())
            })
            .unwrap_or_default()
    }

    /// Unfinished multipart uploads of a bucket, by their keys.
    pub fn uploads(&self, bucket: &str) -> Vec<String> {
        self.store
            .with_bucket(bucket, |bucket| {
                Ok(bucket
                    .uploads
                    .values()
                    .map(|upload| upload.key.clone())
                    .collect())
            })
            .unwrap_or_default()
    }

    /// The requests that were answered so far, in the order of their answers.
    pub fn request_log(&self) -> Vec<LoggedRequest> {
        self.front.log().clone()
    }

    pub fn clear_request_log(&self) {
        self.front.log().clear();
    }

    /// Stops: closes the socket and all connections, also those in the middle of a request.
    pub async fn stop(mut self) {
        self.serving.abort();
        // Being cancelled is what it was asked for.
        let _ = (&mut self.serving).await;
    }
}

/// The objects of a bucket at some moment.
#[derive(Debug, Clone)]
pub struct Snapshot(BTreeMap<String, Arc<Object>>);

impl Drop for DevS3 {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl fmt::Debug for DevS3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevS3")
            .field("endpoint", &self.endpoint())
            .finish_non_exhaustive()
    }
}

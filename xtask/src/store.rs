//! The S3 store that a run works on: the embedded server, MinIO, or one that is there already.
//!
//! Scenarios see the same thing in each case: an endpoint, credentials, and buckets of their own. What a scenario does to a
//! bucket behind the publisher's back (looking, damaging, opening it to the world) goes through [`Bucket`].

use std::{
    collections::BTreeMap,
    env,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use dev_s3::DevS3;
use futures::TryStreamExt as _;
use s3_storage::{
    Config, Credentials, ErrorKind, Payload, Proxy, PutMode, PutOptions, S3, S3Config, Storage,
    create_bucket, put_bucket_policy,
};
use tokio::runtime::Runtime;

use crate::{
    apt_root,
    minio::{self, Minio},
};

/// The region of the local stores.
pub(crate) const REGION: &str = "eu-central-1";
/// The most that a test reads of one object, in bytes.
const LARGEST: u64 = 1 << 30;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The server of `crates/dev-s3`, in this process.
    Embedded,
    /// MinIO on this machine.
    Minio,
    /// One that is there, with credentials from the environment.
    Url(String),
}

impl std::str::FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "embedded" => Ok(Self::Embedded),
            "minio" => Ok(Self::Minio),
            url if url.starts_with("http://") || url.starts_with("https://") => {
                Ok(Self::Url(url.trim_end_matches('/').into()))
            }
            other => Err(format!(
                "`{other}` is none of embedded, minio, or a URL (http://… or https://…)"
            )),
        }
    }
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Minio => f.write_str("minio"),
            Self::Url(url) => f.write_str(url),
        }
    }
}

/// A store that answers.
pub(crate) struct Store {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) keys: Keys,
    server: Server,
}

/// Credentials of a person who may do everything.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

impl From<&Keys> for s3_storage::Keys {
    fn from(keys: &Keys) -> Self {
        Self {
            session_token: keys.token.clone(),
            ..Self::new(&keys.id, &keys.secret)
        }
    }
}

enum Server {
    Embedded(DevS3),
    Minio(#[expect(dead_code, reason = "it runs as long as this is held")] Minio),
    There,
}

impl Store {
    /// Starts the store, or reaches for the one that is there.
    pub(crate) fn start(choice: &Choice) -> Result<Self> {
        let runtime = runtime()?;
        let local = |id: &str, secret: &str| Keys {
            id: id.into(),
            secret: secret.into(),
            token: None,
        };
        let (endpoint, region, keys, server) = match choice {
            Choice::Embedded => return Self::start_embedded(DevS3::builder()),
            Choice::Minio => {
                let minio = Minio::start(&minio::find()?)?;
                (
                    minio.endpoint(),
                    REGION.into(),
                    local(minio::ACCESS_KEY, minio::SECRET_KEY),
                    Server::Minio(minio),
                )
            }
            Choice::Url(url) => {
                let needed = |name: &str| {
                    env::var(name).with_context(|| format!("{name} must be set for {url}"))
                };
                let keys = Keys {
                    id: needed("AWS_ACCESS_KEY_ID")?,
                    secret: needed("AWS_SECRET_ACCESS_KEY")?,
                    token: env::var("AWS_SESSION_TOKEN").ok(),
                };
                (
                    url.clone(),
                    env::var("AWS_REGION").unwrap_or_else(|_| "us-east-1".into()),
                    keys,
                    Server::There,
                )
            }
        };
        Ok(Self {
            runtime,
            endpoint,
            region,
            keys,
            server,
        })
    }

    /// The embedded server as `builder` describes it; it knows one key at first, which may do everything.
    pub(crate) fn start_embedded(builder: dev_s3::Builder) -> Result<Self> {
        let runtime = runtime()?;
        let server = runtime
            .block_on(builder.start())
            .context("the embedded server does not start")?;
        Ok(Self {
            endpoint: server.endpoint(),
            region: REGION.into(),
            keys: Keys {
                id: DevS3::DEFAULT_KEY_ID.into(),
                secret: DevS3::DEFAULT_SECRET.into(),
                token: None,
            },
            server: Server::Embedded(server),
            runtime,
        })
    }

    /// The embedded server, where it is the store.
    pub(crate) fn embedded(&self) -> Option<&DevS3> {
        match &self.server {
            Server::Embedded(server) => Some(server),
            Server::Minio(_) | Server::There => None,
        }
    }

    /// Whether it runs on this machine, over plain HTTP, for this run alone.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self.server, Server::Embedded(_) | Server::Minio(_))
    }

    pub(crate) fn create_bucket(&self, name: &str) -> Result<Bucket> {
        self.runtime
            .block_on(create_bucket(&self.config(name)))
            .with_context(|| format!("cannot create the bucket {name}"))?;
        self.bucket(name)
    }

    /// A bucket that is there.
    pub(crate) fn bucket(&self, name: &str) -> Result<Bucket> {
        let storage = self.runtime.block_on(S3::connect(self.config(name)))?;
        Ok(Bucket {
            name: name.into(),
            storage: Arc::new(storage),
            runtime: Arc::clone(&self.runtime),
        })
    }

    /// Sets the policy of a bucket.
    pub(crate) fn put_policy(&self, bucket: &str, policy: &str) -> Result<()> {
        self.runtime
            .block_on(put_bucket_policy(&self.config(bucket), policy))
            .with_context(|| format!("cannot set the policy of {bucket}"))
    }

    fn config(&self, bucket: &str) -> S3Config {
        let access = Config {
            region: Some(self.region.clone()),
            endpoint: Some(self.endpoint.clone()),
            credentials: Credentials::Static((&self.keys).into()),
            proxy: if self.is_ours() {
                Proxy::Direct
            } else {
                Proxy::FromEnvironment
            },
            ..Config::default()
        };
        S3Config::new(bucket, access)
    }

    /// Gives `command` this store and nothing else of AWS.
    pub(crate) fn reach<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        self.reach_at(&self.endpoint, command)
    }

    /// The same by way of a proxy in front of it.
    pub(crate) fn reach_at<'a>(&self, endpoint: &str, command: &'a mut Command) -> &'a mut Command {
        apt_root::isolate(command);
        command
            .env("AWS_ENDPOINT_URL", endpoint)
            .env("AWS_REGION", &self.region);
        command
            .env("AWS_ACCESS_KEY_ID", &self.keys.id)
            .env("AWS_SECRET_ACCESS_KEY", &self.keys.secret);
        if let Some(token) = &self.keys.token {
            command.env("AWS_SESSION_TOKEN", token);
        }
        command
    }

    /// `s3auth.conf` of a device that uses this store by `endpoint` with these keys.
    pub(crate) fn s3auth(&self, endpoint: &str, keys: Option<&Keys>) -> String {
        let mut lines = format!("Region = '{}'\nEndpoint = '{endpoint}'\n", self.region);
        if let Some(keys) = keys {
            lines.push_str(&format!(
                "AccessKeyId = '{}'\nSecretAccessKey = '{}'\n",
                keys.id, keys.secret
            ));
            if let Some(token) = &keys.token {
                lines.push_str(&format!("Token = '{token}'\n"));
            }
        }
        lines
    }
}

fn runtime() -> Result<Arc<Runtime>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    Ok(Arc::new(runtime))
}

/// A bucket, past the programs that are tested.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    storage: Arc<dyn Storage>,
    runtime: Arc<Runtime>,
}

/// What a bucket held at one moment: every key with its bytes.
pub(crate) type Content = BTreeMap<String, Vec<u8>>;

impl Bucket {
    /// As the programs see it.
    pub(crate) fn storage(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.storage)
    }

    /// The bytes of an object; `None` where there is none.
    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        match self.runtime.block_on(self.storage.get_bytes(key, LARGEST)) {
            Ok((_, bytes)) => Ok(Some(bytes.to_vec())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The text of an object that must be there.
    pub(crate) fn text(&self, key: &str) -> Result<String> {
        let bytes = self
            .get(key)?
            .with_context(|| format!("{key} is not in the bucket"))?;
        Ok(String::from_utf8(bytes)?)
    }

    /// Writes an object, whatever is there.
    pub(crate) fn put(&self, key: &str, bytes: &[u8]) -> Result<()> {
        let payload = Payload::Bytes(bytes.to_vec().into());
        self.runtime.block_on(self.storage.put(
            key,
            payload,
            PutOptions::new(PutMode::Overwrite),
        ))?;
        Ok(())
    }

    pub(crate) fn delete(&self, key: &str) -> Result<()> {
        Ok(self
            .runtime
            .block_on(self.storage.delete(&[key.to_owned()]))?)
    }

    /// All keys that start with `prefix`, in order.
    pub(crate) fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        self.runtime.block_on(async {
            let listed = self.storage.list(prefix, None);
            let keys = listed.map_ok(|entry| entry.key().to_owned());
            Ok(keys.try_collect().await?)
        })
    }

    /// Everything that is in it.
    pub(crate) fn content(&self) -> Result<Content> {
        let mut content = Content::new();
        for key in self.keys("")? {
            let bytes = self.get(&key)?.with_context(|| format!("{key} vanished"))?;
            content.insert(key, bytes);
        }
        Ok(content)
    }

    /// Fails unless the bucket holds exactly `before`, byte for byte.
    pub(crate) fn expect_unchanged(&self, before: &Content) -> Result<()> {
        let now = self.content()?;
        if &now == before {
            return Ok(());
        }
        let differs = |one: &Content, two: &Content| {
            one.iter()
                .filter(|(key, bytes)| two.get(*key) != Some(bytes))
                .map(|(key, _)| key.clone())
                .collect::<Vec<_>>()
        };
        bail!(
            "the bucket changed; new or different now: {:?}; gone or different: {:?}",
            differs(&now, before),
            differs(before, &now)
        );
    }

    /// Deletes everything in it.
    pub(crate) fn clear(&self) -> Result<()> {
        for keys in self.keys("")?.chunks(1000) {
            self.runtime.block_on(self.storage.delete(keys))?;
        }
        Ok(())
    }

    /// Waits until the store's clock shows another second than that of the last write: `Last-Modified` knows only seconds, and apt
    /// asks by it, so without the pause a second write in the same second is invisible to it. Returns how long it waited.
    pub(crate) fn next_second(&self) -> Duration {
        let started = Instant::now();
        std::thread::sleep(Duration::from_millis(1100));
        started.elapsed()
    }
}

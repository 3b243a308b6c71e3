//! How AWS and services that speak its protocols are reached: who the caller is, which region and
//! endpoint, by which proxy, whose certificates are accepted, how long silence may last, what time
//! it is there.
//!
//! A crate for one service ([`s3-storage`](../s3_storage/index.html) is the first) makes its client
//! from [`Access::sdk`], attaches an [`Exchange`] to each of its requests and needs nothing else
//! from here. This is the only crate that names the SDK's crates for credentials and configuration.

mod access;
mod authorities;
mod bounded;
mod chain;
mod clock;
mod config;
mod config_error;
mod connector;
mod credentials;
mod endpoint;
mod environment;
mod exchange;
mod https;
mod identity;
mod iot;
mod metadata;
mod pem_file;
mod plain;
mod problem;
mod resolver;
mod shared_files;
mod silence;
mod target;
mod variables;

pub use access::Access;
pub use clock::{LocalClock, StoreClock};
pub use config::{Config, Credentials, Proxy};
pub use config_error::ConfigError;
pub use credentials::{CredentialError, CredentialProblem, CredentialSource, Keys};
pub use exchange::Exchange;
pub use identity::{Caller, Unidentified};
pub use iot::{BadDevice, DevicePart, IotCore, IotDevice};
pub use pem_file::PemFile;
pub use problem::{ConnectProblem, cause, causes};
pub use shared_files::SharedFiles;
pub use silence::Silence;

//! An S3 bucket as debucket needs it: reads by range and condition, writes with preconditions, errors sorted by what the caller can do.
//!
//! This crate knows nothing of Debian, and it is the only one that names the AWS S3 SDK.

#[cfg(feature = "test-util")]
mod clock;
mod config;
mod error;
#[cfg(feature = "test-util")]
mod memory;
mod s3;
mod storage;

#[cfg(feature = "test-util")]
pub use clock::ManualClock;
pub use config::{Acl, Credentials, Proxy, S3Config, Sse};
pub use error::{Error, ErrorKind};
#[cfg(feature = "test-util")]
pub use memory::Memory;
#[cfg(feature = "test-util")]
pub use s3::LocalClock;
pub use s3::S3;
pub use storage::{
    Body, ByteRange, ETag, GetOptions, GetReply, ListPage, Listed, Object, ObjectMeta, Payload,
    Progress, PutMode, PutOptions, PutReply, Storage, collect,
};

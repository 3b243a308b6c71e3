//! An S3 bucket as debucket needs it: reads by range and condition, writes with preconditions, errors sorted by what the caller can do.
//!
//! This crate knows nothing of Debian, and it is the only one that names the AWS S3 SDK.

mod error;
mod storage;

pub use error::{Error, ErrorKind};
pub use storage::{Body, ByteRange, ETag, GetOptions, GetReply, ListPage, Listed, Object, ObjectMeta, Payload, Progress, PutMode, PutOptions, PutReply, Storage, collect};

//! An S3 bucket as debucket needs it: reads by range and condition, writes with preconditions,
//! errors sorted by what the caller can do.
//!
//! This crate knows nothing of Debian, and it is the only one that names the AWS S3 SDK. How AWS is reached at all is
//! the part of [`aws_access`].

#[cfg(feature = "test-util")]
mod careless;
mod cas;
#[cfg(feature = "test-util")]
mod clock;
mod config;
#[cfg(feature = "test-util")]
mod conformance;
mod error;
#[cfg(feature = "test-util")]
mod fault;
#[cfg(feature = "test-util")]
mod memory;
mod percent;
mod prefixed;
mod probe;
mod s3;
mod storage;
mod stored;
mod trial;

pub use aws_access::{
    Caller, ConnectProblem, Credentials, LocalClock, PemFile, Proxy, SharedFiles, Unidentified,
};
#[cfg(feature = "test-util")]
pub use careless::{Careless, Flaw};
pub use cas::{Cas, Current, Swap};
#[cfg(feature = "test-util")]
pub use clock::ManualClock;
pub use config::{Acl, S3Config, Sse};
#[cfg(feature = "test-util")]
pub use conformance::conformance;
pub use error::{Error, ErrorKind, Refusable};
#[cfg(feature = "test-util")]
pub use fault::{Fault, Faulty, Gate, On, Operation};
#[cfg(feature = "test-util")]
pub use memory::Memory;
pub use percent::percent_decoded;
pub use prefixed::Prefixed;
pub use probe::{ConditionalWrites, Gap, probe, probe_folder, still_refuses};
pub use s3::{
    AclGrants, Clocks, Condition, Encryption, Greeting, Lifecycle, PublicAccessBlock, S3,
    UnfinishedUpload, Versioning,
};
#[cfg(feature = "test-util")]
pub use s3::{create_bucket, delete_bucket, delete_bucket_policy, open_uploads, put_bucket_policy};
pub use storage::{
    Address, Body, ByteRange, ETag, GetOptions, GetReply, Listed, ListedObject, Object, ObjectMeta,
    Payload, Progress, PutMode, PutOptions, PutReply, Storage,
};
pub use trial::{Further, Trial, try_object};

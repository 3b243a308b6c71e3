//! An S3 server for the demo and for tests: in memory, in this process, on loopback.
//!
//! It keeps S3's rules where debucket relies on them, above all that a conditional write checks and
//! writes in one instant, and it checks what a client sends: signatures, clocks, checksums,
//! permissions. See [`DevS3`].
//!
//! [`FaultProxy`] stands between a client and this or any other store, and breaks what can break:
//! replies are lost, bodies end early, and a test learns of each write before or after it happens.
//!
//! [`DelayProxy`] makes a store as far away as another region.
//!
//! Not shipped: it holds everything in memory.

mod access;
mod checksum;
mod clock;
mod conditions;
mod content;
mod delay_proxy;
mod error;
mod fault_proxy;
mod front;
mod listen;
mod listing;
mod multipart;
mod object;
mod operation;
mod policy;
mod query;
mod request;
mod request_body;
mod server;
mod service;
mod store;
mod tls;

pub use access::{AccessKey, Grants};
pub use clock::Clock;
pub use delay_proxy::DelayProxy;
pub use error::Error;
pub use fault_proxy::{Fault, FaultProxy, Hook, Next, Rule};
pub use front::WrongRegion;
pub use operation::Operation;
pub use policy::{ConditionKey, Context, Effect, Policy, Question};
pub use request::{LoggedRequest, RequestInfo};
pub use server::{Builder, DevS3, Snapshot};

//! An APT repository in an S3 bucket, as a library: what the command line program is made of, and what another Rust program
//! would use.
//!
//! A [`Repository`] is a bucket, or a folder of one. A [`Suite`] of it is read ([`Suite::head`], [`Suite::packages`],
//! [`Suite::history`]) or changed: [`Suite::draft`] plans an intent on what the suite is now, without writing anything, and
//! [`Draft::commit`] carries it out, atomically and together with any number of other publishers.
//!
//! Nothing here reads a command line or prints.

mod adopt;
mod clock;
mod commit;
mod error;
mod folders;
mod gc;
mod read;
mod repair;
mod repository;
mod suite;
mod url;
mod verify;

pub use adopt::{Accept, Adoption, Takeover};
pub use commit::draft::{Allow, Draft};
pub use commit::keys::{HeadSignatures, Keys, accepted_key};
pub use commit::observer::{Observer, Silent, Stage, Work};
pub use commit::phase::{Halting, PhaseTargets};
pub use commit::rollback::Gap;
pub use commit::upload::PackageFile;
pub use commit::{Committed, Outcome, Published};
pub use error::{Error, Loss, Missing};
pub use folders::delete::Deletion;
pub use folders::folder::Folder;
pub use gc::inventory::Tally;
pub use gc::kept::Unreadable;
pub use gc::{CollectOptions, Collected};
pub use read::copies::Copies;
pub use read::head::{Head, PutBack};
pub use read::health::{PackagesSeen, Unhealthy};
pub use read::history::Past;
pub use read::packages::{Listed, PackageList, Selection};
pub use read::revision::{Found, InvalidRevision, Revision};
pub use read::warning::{Warning, key_expiry};
pub use repair::RepairOptions;
pub use repository::{Repository, Writes};
pub use suite::Suite;
pub use url::{InvalidUrl, RepositoryUrl};
pub use verify::check::{Depth, Verified};
pub use verify::problem::{Part, Problem, Remedy, Severity};

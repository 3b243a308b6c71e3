//! An APT repository in an S3 bucket, as a library: what the command line program is made of, and what another Rust program
//! would use.
//!
//! A [`Repository`] is a bucket, or a folder of one. A [`Suite`] of it is read ([`Suite::head`], [`Suite::packages`],
//! [`Suite::history`]) or changed: [`Suite::draft`] plans an intent on what the suite is now, without writing anything, and
//! [`Draft::commit`] carries it out, atomically and together with any number of other publishers.
//!
//! Nothing here reads a command line or prints.

mod adopt;
mod alias;
mod alias_check;
mod carry_out;
mod chain;
mod check;
mod clock;
mod commit;
mod condemned;
mod copies;
mod delete;
mod differences;
mod draft;
mod error;
mod explained;
mod folder;
mod followers;
mod founding;
mod gc;
mod head;
mod health;
mod history;
mod indexes;
mod inventory;
mod kept;
mod key_check;
mod keys;
mod named;
mod nesting;
mod observer;
mod package_files;
mod packages;
mod patience;
mod phase;
mod pool_file;
mod prepare;
mod problem;
mod rebuild;
mod recommit;
mod record;
mod recover;
mod repair;
mod repository;
mod revision;
mod rollback;
mod stale;
mod stand_in;
mod succession;
mod suite;
mod upload;
mod url;
mod verify;
mod warning;

pub use adopt::{Accept, Adoption, Takeover};
pub use check::{Depth, Verified};
pub use commit::{Committed, Outcome, Published};
pub use copies::Copies;
pub use delete::{Deletion, Progress};
pub use draft::{Allow, Draft};
pub use error::{Error, Missing};
pub use folder::{Folder, SuitesFound};
pub use gc::{CollectOptions, Collected, Tally};
pub use head::Head;
pub use health::{Ailing, PackagesSeen};
pub use history::Past;
pub use kept::Unreadable;
pub use keys::{HeadSignatures, Keys, accepted_key};
pub use observer::{Observer, Silent, Stage};
pub use packages::{Listed, PackageList, Selection};
pub use phase::{Halting, Meant};
pub use problem::{Part, Problem, Remedy, Severity};
pub use repair::RepairOptions;
pub use repository::{Repository, Writes};
pub use revision::{Found, InvalidRevision, Revision};
pub use suite::Suite;
pub use upload::PackageFile;
pub use url::{InvalidUrl, RepositoryUrl};
pub use warning::{Warning, key_expiry};

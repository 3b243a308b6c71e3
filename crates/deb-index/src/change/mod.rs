//! Changing a suite: what is wanted, what follows from it on a given base, and what devices notice of it.

mod additions;
mod base;
pub mod client_view;
pub mod collisions;
pub mod device_view;
mod differences;
mod edit;
mod new_settings;
mod phasing;
mod plan;
mod planner;
mod retention;
mod selector;
mod write;

pub use differences::{Difference, differences};
pub use edit::{Edit, Intent, Restored, Retention, Retired, SettingsPatch};
pub use phasing::Phasing;
pub use plan::{IndexPlan, PlainIndexes, Plan, PlanError};
pub use planner::{check, plan};
pub use selector::{InvalidSelector, Selector};
pub use write::{IndexFile, NewIndexes};

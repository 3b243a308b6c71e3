//! Changing a suite: what is wanted, what follows from it on a given base, and what devices notice of it.

pub mod client_view;
mod edit;
mod plan;
mod write;

pub use edit::{Edit, Intent, SettingsPatch};
pub use plan::{IndexPlan, PlainIndexes, Plan, PlanError, check, plan};
pub use write::{IndexFile, NewIndexes};

//! A suite: its state as a commit has it, the face that clients see, and where everything is stored.

pub mod commit;
pub mod foreign;
pub mod founding;
pub mod inspection;
pub mod layout;
pub mod release;
pub mod settings;
pub mod spelling;

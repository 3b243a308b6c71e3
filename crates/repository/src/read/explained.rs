//! Telling a suite that was deleted meanwhile from one that is damaged.

use s3_storage::ErrorKind;

use crate::{Error, Folder, Suite};

impl Suite<'_> {
    /// An error, or what it comes from: of a suite that is deleted meanwhile, what was about to be read is gone.
    pub(crate) async fn explained(&self, error: Error) -> Error {
        let is_loss = match &error {
            Error::Storage(error) => error.kind() == ErrorKind::NotFound,
            error => matches!(error, Error::Damaged { .. } | Error::HeadVanished { .. }),
        };
        if !is_loss || !matches!(self.head_tag().await, Ok(None)) {
            return error;
        }
        let suite = self.name.clone();
        match self.what_it_is().await {
            Ok(Some(Folder::Deleting | Folder::Remains)) => Error::Deleting { suite },
            Ok(Some(Folder::Deleted | Folder::Reserved(_))) => Error::Deleted { suite },
            _ => error,
        }
    }
}

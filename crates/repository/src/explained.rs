//! Telling a suite that was deleted meanwhile from one that is damaged.

use deb_index::suite::founding::Founding;
use s3_storage::ErrorKind;

use crate::{Error, Suite};

impl Suite<'_> {
    /// What `suite.json` says; a damaged one says nothing.
    pub(crate) async fn says(&self) -> Result<Option<Founding>, Error> {
        match self.founding().await {
            Ok((founding, _)) => Ok(founding),
            Err(Error::Damaged { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

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
        match self.says().await {
            Ok(Some(Founding::Deleting(_))) => Error::Deleting { suite },
            Ok(Some(Founding::Deleted)) => Error::Deleted { suite },
            _ => error,
        }
    }
}

//! Looking after the list of what a garbage collection is going to delete.

use deb_index::suite::layout;
use s3_storage::{Current, Swap};

use crate::{
    Error, Repository,
    gc::condemned::Record,
    verify::problem::{Part, Problem, Remedy, Severity},
};

impl Repository {
    /// How many objects are on the list of garbage, or what is wrong with it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn verify_condemned(&self) -> Result<Result<usize, Problem>, Error> {
        let current = self.condemned_record().read(self.storage.as_ref()).await?;
        let (text, remedy) = match Record::of(&current) {
            Ok(record) if !is_malformed(&current) => {
                let doomed = record.doomed.map_or(0, |doomed| doomed.objects.len());
                return Ok(Ok(record.condemned.len() + doomed));
            }
            Ok(_) => ("is malformed".to_owned(), Remedy::Repair),
            Err(Error::CondemnedMalformed { until }) => {
                let text = format!("is malformed; it can be written anew after {until}");
                (text, Remedy::Manual)
            }
            Err(Error::CondemnedTooNew) => {
                let text = "was written by a later version of debucket";
                (text.to_owned(), Remedy::Manual)
            }
            Err(error) => return Err(error),
        };
        Ok(Err(Problem {
            suite: None,
            part: Part::Condemned,
            key: layout::CONDEMNED.to_owned(),
            text,
            severity: Severity::Warning,
            remedy,
            fix: None,
        }))
    }

    /// Writes the list anew if it is malformed and no collector can be alive: nothing is condemned then.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn repair_condemned(&self) -> Result<(), Error> {
        let write = |current: &Current| {
            let record = Record::of(current)?;
            Ok::<_, Error>(match is_malformed(current) {
                true => Swap::Write(record.next(), ()),
                false => Swap::Keep(()),
            })
        };
        let storage = self.storage.as_ref();
        self.condemned_record().update(storage, write).await
    }
}

fn is_malformed(current: &Current) -> bool {
    let bytes = current.bytes.as_ref();
    bytes.is_some_and(|bytes| Record::parse(bytes).is_err())
}

//! Whether `suite.json` says what the head shows.

use deb_index::suite::{founding::Founding, layout};

use crate::{
    Error, Folder, Head, Suite,
    commit::founding::UNKNOWN,
    verify::problem::{Fix, Part, Problem, Remedy},
};

/// What is wrong with `suite.json` while a deletion has not come to its end.
pub(crate) const BEING_DELETED: &str = "says that the suite is being deleted";

impl Suite<'_> {
    /// What is wrong with `suite.json`, if something is.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn verify_founding(&self, head: &Head) -> Result<Option<Problem>, Error> {
        let signed = !head.signatures.is_unsigned();
        let problem = |text| {
            let key = layout::founding_key(&self.name);
            self.problem(Part::Founding, key, text)
        };
        let text = match self.founding().await?.0 {
            Some(founding) if founding.is_suite(signed) => return Ok(None),
            Some(Founding::Unknown) => UNKNOWN,
            Some(Founding::Deleting(_)) if self.what_it_is().await? == Some(Folder::Deleting) => {
                let mut problem = problem(BEING_DELETED);
                problem.remedy = Remedy::Delete;
                return Ok(Some(problem));
            }
            Some(_) => "contradicts the head",
            None => "is missing",
        };
        Ok(Some(problem(text).fixed_by(Some(Fix::Founding { signed }))))
    }
}

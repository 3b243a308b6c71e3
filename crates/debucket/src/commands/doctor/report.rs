//! A check and its result, for people and for programs.

use deb_index::name::SuiteName;
use serde::Serialize;

use crate::{
    error::{Error, Role, in_full},
    printer::Report,
    storage_advice::storage_advice,
    text::one_line,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Ok,
    /// It works, but will cause trouble.
    Warn,
    /// Something that the role has to do does not work, or something is allowed that should not be.
    Fail,
    /// It could not be made.
    Skipped,
}

/// A check and its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) check: &'static str,
    /// The suite that it is about; null if it is about the repository.
    pub(super) suite: Option<SuiteName>,
    pub(super) status: Status,
    /// What was seen, or why it was not looked at.
    pub(super) detail: String,
    /// What to do; null if nothing is to be done.
    pub(super) next: Option<String>,
    /// Whether a suite that was named is not there.
    #[serde(skip)]
    pub(super) is_missing: bool,
}

impl Check {
    pub(super) fn new(
        check: &'static str,
        status: Status,
        detail: impl Into<String>,
        next: Option<String>,
    ) -> Self {
        Self {
            check,
            suite: None,
            status,
            detail: detail.into(),
            next,
            is_missing: false,
        }
    }

    pub(super) fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Status::Ok, detail, None)
    }

    pub(super) fn warn(
        check: &'static str,
        detail: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self::new(check, Status::Warn, detail, Some(next.into()))
    }

    pub(super) fn fail(
        check: &'static str,
        detail: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self::new(check, Status::Fail, detail, Some(next.into()))
    }

    pub(super) fn skipped(check: &'static str, why: impl Into<String>) -> Self {
        Self::new(check, Status::Skipped, why, None)
    }

    /// A failure because of an error, with the advice for it.
    pub(super) fn failed(check: &'static str, error: &Error, role: Role) -> Self {
        let next = error.advice(role);
        Self::fail(check, in_full(error), next.unwrap_or_else(again))
    }

    /// A failure because of a failed request.
    pub(super) fn failed_request(
        check: &'static str,
        error: &s3_storage::Error,
        role: Role,
    ) -> Self {
        let next = storage_advice(error, role);
        Self::fail(check, in_full(error), next.unwrap_or_else(again))
    }

    /// Adds the result of the same check on something else.
    pub(super) fn and(&mut self, other: Self) {
        match (self.status, other.status) {
            (Status::Ok, Status::Ok) => {
                self.detail.push_str("; ");
                self.detail.push_str(&other.detail);
            }
            (Status::Ok, _) => *self = other,
            _ => {}
        }
    }

    pub(super) fn of_suite(mut self, suite: &SuiteName) -> Self {
        self.suite = Some(suite.clone());
        self
    }

    fn name(&self) -> String {
        match &self.suite {
            Some(suite) => format!("{suite}: {}", self.check),
            None => self.check.to_owned(),
        }
    }
}

/// What to do about an error that has no advice of its own.
fn again() -> String {
    "put right what is said here, then run the same command again; --verbose shows more".to_owned()
}

/// The JSON document of `debucket doctor`.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    pub(super) repo: String,
    /// Whose rights were tried: `reader`, `publisher`, `collector` or `deleter`.
    pub(super) role: Role,
    /// In the order in which one thing depends on another.
    pub(super) checks: Vec<Check>,
}

impl Document {
    pub(super) fn count(&self, status: Status) -> usize {
        let checks = self.checks.iter();
        checks.filter(|check| check.status == status).count()
    }
}

impl Report for Document {
    fn text(&self) -> String {
        let names: Vec<_> = self.checks.iter().map(Check::name).collect();
        let width = names.iter().map(|name| name.chars().count()).max();
        let width = width.unwrap_or_default();
        let mut text = String::new();
        for (check, name) in self.checks.iter().zip(&names) {
            let status = match check.status {
                Status::Ok => "ok",
                Status::Warn => "warn",
                Status::Fail => "fail",
                Status::Skipped => "skipped",
            };
            let detail = one_line(&check.detail);
            text.push_str(&format!("{status:<7}  {name:<width$}  {detail}\n"));
            if let Some(next) = &check.next {
                text.push_str(&format!("  next: {}\n", one_line(next)));
            }
        }
        let count = |status| self.count(status);
        text.push_str(&format!(
            "{} ok, {} warn, {} fail, {} skipped\n",
            count(Status::Ok),
            count(Status::Warn),
            count(Status::Fail),
            count(Status::Skipped)
        ));
        text
    }
}

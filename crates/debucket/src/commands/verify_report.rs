//! What a verification prints: all problems, each with what it means and what can be done.

use deb_index::{digest::Sha256, name::SuiteName, suite::layout};
use repository::{Part, Problem, Remedy, Severity, Verified};
use serde::Serialize;

use crate::{
    context::Context,
    error::Error,
    printer::Report,
    text::{bytes, short},
};

/// The JSON document of `debucket verify` and `debucket log --verify`.
#[derive(Debug, Serialize)]
pub(super) struct VerifyReport {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    repo: String,
    /// Whether everything was read and hashed.
    deep: bool,
    suites: Vec<SuiteReport>,
    /// Problems outside the suites.
    problems: Vec<Found>,
    repaired: Vec<Found>,
}

#[derive(Debug, Serialize)]
struct SuiteReport {
    suite: SuiteName,
    /// The commit that its head names; null if the head cannot be used.
    commit: Option<Sha256>,
    /// Whether its head is signed; null if the head cannot be used.
    signed: Option<bool>,
    /// Package files that its indexes name; null if only its history was looked at.
    packages: Option<u64>,
    bytes: Option<u64>,
    /// Commits of its history that were read.
    commits: u64,
    /// Index files and package files that these name, which were looked for.
    files: u64,
    problems: Vec<Found>,
    /// The newest earlier commit whose state can be brought back; missing if there is none, if all can be, or if only the present was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_whole: Option<Sha256>,
}

#[derive(Debug, Serialize)]
pub(super) struct Found {
    /// Null if it is about the repository.
    suite: Option<SuiteName>,
    /// `error`: devices or publishers fail. `warning`: the suite as it is now is whole.
    severity: &'static str,
    /// `head`, `key`, `date`, `commit`, `index`, `package`, `history`, `follower`, `founding` or `condemned`.
    part: &'static str,
    /// Key of the object, relative to the repository.
    key: String,
    problem: String,
    /// What follows from it.
    pub(super) means: &'static str,
    /// `repair`: with `--repair`. `repair-unproven`: with `--repair --accept-unproven`. `manual`: see `next`. `lost`: its content is
    /// nowhere in the repository.
    remedy: &'static str,
    pub(super) next: String,
    #[serde(skip)]
    is_settled: bool,
}

/// How many problems are left to be solved.
fn open(problems: &[Found]) -> usize {
    problems
        .iter()
        .filter(|problem| !problem.is_settled)
        .count()
}

impl VerifyReport {
    pub(super) fn new(
        context: &Context,
        deep: bool,
        found: Vec<(SuiteName, Verified)>,
    ) -> Result<Self, Error> {
        let suites = found.into_iter().map(|(suite, found)| SuiteReport {
            suite,
            commit: found.commit,
            signed: found.commit.map(|_| !found.is_unsigned),
            packages: Some(found.packages),
            bytes: Some(found.bytes),
            commits: found.commits,
            files: found.files,
            problems: found
                .problems
                .iter()
                .map(|problem| Found::of(problem, deep))
                .collect(),
            newest_whole: None,
        });
        Ok(Self {
            repo: context.url()?.to_string(),
            deep,
            suites: suites.collect(),
            problems: Vec::new(),
            repaired: Vec::new(),
        })
    }

    /// The same of the history of one suite alone, and the newest earlier commit that is whole, if others are not.
    pub(super) fn of_history(
        context: &Context,
        deep: bool,
        suite: SuiteName,
        found: Verified,
        newest_whole: Option<Sha256>,
    ) -> Result<Self, Error> {
        let mut report = Self::new(context, deep, vec![(suite, found)])?;
        for suite in &mut report.suites {
            (suite.packages, suite.bytes) = (None, None);
            suite.newest_whole = newest_whole;
            // Whether it is whole is the question.
            for problem in &mut suite.problems {
                problem.is_settled = false;
            }
        }
        Ok(report)
    }

    pub(super) fn of_repository(&mut self, problems: &[Problem]) {
        self.problems = self.found(problems);
    }

    pub(super) fn repaired(&mut self, problems: &[Problem]) {
        self.repaired = self.found(problems);
    }

    fn found(&self, problems: &[Problem]) -> Vec<Found> {
        let problems = problems.iter();
        problems
            .map(|problem| Found::of(problem, self.deep))
            .collect()
    }

    /// Prints it; an error if problems are left about which something can be done, or that matter.
    pub(super) fn conclude(mut self, context: &Context) -> Result<(), Error> {
        let of_suites = self.suites.iter_mut().map(|suite| &mut suite.problems);
        for problem in of_suites
            .chain([&mut self.problems, &mut self.repaired])
            .flatten()
        {
            problem.next = context.printer.complete(&problem.next);
        }
        context.printer.result(&self)?;
        let of_suites = self.suites.iter().map(|suite| &suite.problems);
        let left = of_suites.chain([&self.problems]).map(|of| open(of)).sum();
        match left {
            0 => Ok(()),
            left => Err(Error::Problems(left)),
        }
    }
}

impl Found {
    /// `deep`: whether everything was read to find it.
    pub(super) fn of(problem: &Problem, deep: bool) -> Self {
        Self {
            suite: problem.suite.clone(),
            severity: match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            part: problem.part.name(),
            key: problem.key.clone(),
            problem: problem.text.clone(),
            means: match (problem.remedy, problem.part) {
                (Remedy::Manual | Remedy::Delete, Part::Founding) => {
                    "the suite cannot use this name"
                }
                (Remedy::Delete, _) => "devices that still use this name refuse it",
                (_, part) => means(part),
            },
            remedy: match problem.remedy {
                Remedy::Repair => "repair",
                Remedy::RepairUnproven => "repair-unproven",
                Remedy::NameCommit | Remedy::GiveKey | Remedy::Manual | Remedy::Delete => "manual",
                Remedy::Lost => "lost",
            },
            next: next(problem, deep),
            is_settled: problem.is_settled(),
        }
    }

    fn text(&self) -> String {
        let Self {
            severity,
            key,
            problem,
            means,
            next,
            ..
        } = self;
        format!("{severity}: {key} {problem}\n  means: {means}\n  next: {next}\n")
    }
}

fn means(part: Part) -> &'static str {
    match part {
        Part::Key => "devices that know no other key of the suite refuse it",
        Part::Date => "devices refuse the suite",
        Part::Head => "devices refuse the suite or see an old state, and nothing can be published",
        Part::Commit => "nothing can be published; devices are not affected",
        Part::Index => "devices that fetch this index fail to update",
        Part::Package => "devices cannot install the package",
        Part::History => "that state cannot be brought back; devices and publishers miss nothing",
        Part::Follower => {
            "clients without InRelease or by-hash fail, or see another state; evidence about the head is incomplete"
        }
        Part::Founding => "nothing can be published if the store drops conditional writes",
        Part::Condemned => {
            "nothing is collected, and files that are in the pool already cannot be used, until an hour after the damage"
        }
    }
}

fn next(problem: &Problem, deep: bool) -> String {
    let suite = problem.suite.as_ref();
    let name = suite.map_or_else(String::new, |suite| format!(" {suite}"));
    let folder = layout::folder_of(&problem.key);
    let folder = folder.map_or_else(String::new, |folder| format!(" {folder}"));
    let of = suite.map_or_else(String::new, |suite| format!(" --suite {suite}"));
    match (problem.remedy, problem.part) {
        // Without it, it may not be found.
        (Remedy::Repair, Part::Index | Part::History | Part::Follower) if deep => {
            format!("`debucket verify{name} --deep --repair` repairs it")
        }
        (Remedy::Repair, _) => format!("`debucket verify{name} --repair` repairs it"),
        (Remedy::RepairUnproven, Part::Index) => {
            format!("`debucket verify{name} --repair --accept-unproven` makes the index again \
             without the packages that are gone; publish those afterwards")
        }
        (Remedy::RepairUnproven, _) => {
            format!("look at the suite's commits; then `debucket verify{name} --repair --accept-unproven` signs the newest again, or if none \
             is left, what is in the pool")
        }
        (Remedy::NameCommit, _) => {
            format!("restore the object from the bucket's version history; if that has none, look at these commits, and name the newest \
             with --commit to `debucket verify{name} --repair --accept-unproven`")
        }
        (Remedy::GiveKey, _) => {
            format!("give the suite's key, so that Release.gpg can be checked (`debucket verify{name} --keyring FILE`); if it vouches for the \
             newest commit, `debucket verify{name} --repair --sign-key FILE` repairs it")
        }
        (Remedy::Manual, Part::Head) => {
            "check --keyring; otherwise restore the object from the bucket's version history".to_owned()
        }
        (Remedy::Manual, Part::Key) => {
            format!("if it has not signed, sign the suite anew with it (`debucket refresh{of} --force`); otherwise retire it if the suite has \
             another key (`debucket key retire{name} FINGERPRINT`); if not, extend it (`gpg --quick-set-expire`), give devices the new certificate, and sign with it (`debucket refresh{of} --force --adopt-signing-key`); where that is not \
             possible, `debucket key reset{name} --i-lost-the-keys-of{name}` replaces it")
        }
        (Remedy::Manual, Part::Date) => {
            format!("refresh the suite if its validity is over (`debucket refresh{of}`); if it is dated in the future and the store's clock is \
             right by now, `debucket refresh{of} --force --reset-date` dates it anew")
        }
        (Remedy::Manual, Part::Founding) => {
            format!("drop the alias (`debucket suite set{name} --no-alias{folder}`), or have the other suite drop it")
        }
        (Remedy::Delete, Part::Founding) => {
            format!("`debucket suite delete{folder} --yes` brings the deletion to its end")
        }
        (Remedy::Delete, _) => format!("`debucket suite delete{folder}` deletes what it shows"),
        (Remedy::Manual, Part::Commit) => {
            "use a newer debucket if it says so; if another key signs the suite, too, give it with --sign-key or --keyring; \
             otherwise restore the object from the bucket's version history".to_owned()
        }
        (Remedy::Manual, Part::Condemned) => {
            format!("use a newer debucket if it says so; otherwise run `debucket verify{name} --repair` after that time")
        }
        (Remedy::Lost, Part::Package) => {
            format!("publish the same file again (`debucket publish --replace FILE{of}`); if it is nowhere else, it is lost for good, unless the \
             bucket has an earlier version of it: then remove the package")
        }
        (Remedy::Lost, Part::History) => {
            "nothing has to be done: it is lost for good, unless the bucket has an earlier version of it".to_owned()
        }
        (Remedy::Manual | Remedy::Lost, _) => {
            "lost for good, unless the bucket has an earlier version of it".to_owned()
        }
    }
}

impl Report for VerifyReport {
    fn text(&self) -> String {
        let mut text = String::new();
        for problem in &self.repaired {
            text.push_str(&format!("repaired: {} {}\n", problem.key, problem.problem));
        }
        let of_suites = self.suites.iter().flat_map(|suite| &suite.problems);
        for problem in self.problems.iter().chain(of_suites) {
            text.push_str(&problem.text());
        }
        for suite in &self.suites {
            let SuiteReport {
                suite,
                signed,
                packages,
                commits,
                files,
                problems,
                bytes: size,
                newest_whole,
                ..
            } = suite;
            let unsigned = match signed {
                Some(false) => " (unsigned)",
                _ => "",
            };
            let left = open(problems);
            let mut count = match left {
                0 => "no problem".to_owned(),
                1 => "1 problem".to_owned(),
                count => format!("{count} problems"),
            };
            match problems.len() - left {
                0 => {}
                1 => count.push_str(", 1 loss in its history"),
                lost => count.push_str(&format!(", {lost} lost objects in its history")),
            }
            let checked = match packages.zip(*size) {
                Some((packages, size)) => {
                    format!("{packages} packages ({}), {commits} commits", bytes(size))
                }
                None => format!("{commits} commits and {files} files that they name"),
            };
            text.push_str(&format!("suite {suite}{unsigned}: {checked}: {count}\n"));
            if let Some(id) = newest_whole {
                let id = short(id);
                text.push_str(&format!("the newest earlier commit that is whole: {id}\n"));
            }
        }
        if self.suites.is_empty() {
            text.push_str(&format!("there is no suite in {}\n", self.repo));
        }
        text
    }
}

//! Work that takes more than a moment, a line for each on a terminal.

use std::{
    io::{self, IsTerminal as _},
    sync::{
        Arc, Once,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use repository::{Observer, Work};
use tokio::time::Instant;

use crate::{
    environment,
    printer::Printer,
    text::{bytes, grouped},
};

/// How long work takes of which nothing is shown.
const MOMENT: Duration = Duration::from_millis(500);

/// Where bars are shown: standard error, if it is a terminal that can move its cursor. CI systems have some that only pretend to be
/// one.
pub(crate) fn bars(printer: &Printer) -> Option<MultiProgress> {
    let term = environment::text("TERM");
    let is_ci = environment::variable("CI").is_some();
    let has_bars = has_bars(io::stderr().is_terminal(), term.as_deref(), is_ci);
    (printer.shows_progress() && has_bars).then(MultiProgress::new)
}

fn has_bars(is_terminal: bool, term: Option<&str>, is_ci: bool) -> bool {
    is_terminal && term.is_some_and(|term| term != "dumb") && !is_ci
}

/// Shows work that takes more than a moment, a line for each.
pub(crate) struct Works(pub(crate) MultiProgress);

impl Observer for Works {
    fn work(&self, work: Work) -> Option<s3_storage::Progress> {
        let work = Shown {
            bars: self.0.clone(),
            bar: ProgressBar::hidden(),
            work,
            done: AtomicU64::new(0),
            began: Instant::now(),
            started: Once::new(),
        };
        Some(Arc::new(move |more| work.done(more)))
    }
}

struct Shown {
    bars: MultiProgress,
    bar: ProgressBar,
    work: Work,
    done: AtomicU64,
    began: Instant,
    started: Once,
}

impl Shown {
    fn done(&self, more: u64) {
        let done = self.done.fetch_add(more, Ordering::Relaxed) + more;
        if self.began.elapsed() < MOMENT {
            return;
        }
        self.started.call_once(|| {
            self.bar.set_style(style("{msg}"));
            self.bars.add(self.bar.clone());
        });
        self.bar.set_message(text(&self.work, done));
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// How much of some work is done.
fn text(work: &Work, done: u64) -> String {
    // What is tried again is done twice.
    let done = work.total().map_or(done, |total| total.min(done));
    let count = grouped(done);
    let total = work.total().map(grouped).unwrap_or_default();
    match work {
        Work::Listing { folder } => format!("{count} objects listed in {folder}"),
        Work::Commits { suite, .. } => format!("{suite}: {count} of {total} commits read"),
        Work::Files { suite, .. } => format!("{suite}: {count} of {total} files checked"),
        Work::Content {
            suite,
            bytes: total,
        } => {
            format!("{suite}: {} of {} read", bytes(done), bytes(*total))
        }
        Work::Deletion { .. } => format!("{count} of {total} objects deleted"),
    }
}

pub(crate) fn style(template: &str) -> ProgressStyle {
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_told_in_its_own_unit() {
        let suite = || "stable".parse().unwrap();
        let listing = Work::Listing {
            folder: "pool/".to_owned(),
        };
        let count = 63_000;
        let files = Work::Files {
            suite: suite(),
            count,
        };
        let commits = Work::Commits {
            suite: suite(),
            count: 7,
        };
        let content = Work::Content {
            suite: suite(),
            bytes: 30_000_000_000,
        };
        for (work, done, expected) in [
            (&listing, 40_000, "40,000 objects listed in pool/"),
            (&files, 12_000, "stable: 12,000 of 63,000 files checked"),
            // Some were looked at again.
            (&files, 63_005, "stable: 63,000 of 63,000 files checked"),
            (&commits, 1, "stable: 1 of 7 commits read"),
            (&content, 1_234_567_890, "stable: 1.2 GB of 30.0 GB read"),
            (
                &Work::Deletion { count },
                1000,
                "1,000 of 63,000 objects deleted",
            ),
        ] {
            assert_eq!(text(work, done), expected);
        }
    }

    #[test]
    fn bars_are_for_people_at_a_terminal() {
        assert!(has_bars(true, Some("xterm"), false));
        for (is_terminal, term, is_ci) in [
            (false, Some("xterm"), false),
            (true, None, false),
            (true, Some("dumb"), false),
            (true, Some("xterm"), true),
        ] {
            assert!(!has_bars(is_terminal, term, is_ci));
        }
    }
}

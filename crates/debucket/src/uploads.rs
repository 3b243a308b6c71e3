//! Uploads as they go, on standard error: bars on a terminal, a line for each elsewhere (in CI), nothing with `--quiet` or for a
//! program.

use std::sync::{
    Arc, Once,
    atomic::{AtomicU64, Ordering},
};

use deb_index::stanza::Stanza;
use indicatif::{MultiProgress, ProgressBar};
use repository::{Observer, Stage};

use crate::{context::Context, printer::eprint_line, progress::style, text::bytes};

/// Shows the uploads of one change, and notes how far it has come.
pub(crate) struct Progress<'a> {
    context: &'a Context,
    display: Display,
}

enum Display {
    Bars {
        bars: MultiProgress,
        packages: ProgressBar,
    },
    /// The word for an upload that is over.
    Lines(&'static str),
    Nothing,
}

impl<'a> Progress<'a> {
    /// For this number of uploads, or of copies.
    pub(crate) fn new(context: &'a Context, uploads: usize, are_copies: bool) -> Self {
        let display = if !context.printer.shows_progress() || uploads == 0 {
            Display::Nothing
        } else if let Some(bars) = context.bars.clone() {
            let packages = bars.add(ProgressBar::new(uploads as u64));
            packages.set_style(style("{bar:30} {pos}/{len} packages"));
            packages.tick();
            Display::Bars { bars, packages }
        } else {
            Display::Lines(if are_copies { "copied" } else { "sent" })
        };
        Self { context, display }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Display::Bars { bars, packages } = &self.display {
            packages.finish_and_clear();
            // A terminal that is gone needs no clearing.
            let _ = bars.clear();
        }
    }
}

impl Observer for Progress<'_> {
    fn upload(&self, stanza: &Stanza) -> Option<s3_storage::Progress> {
        let upload: Box<dyn Watch> = match &self.display {
            Display::Bars { bars, packages } => {
                // It joins the others when its first bytes are sent: there may be thousands, of which a few run.
                let bar = ProgressBar::hidden();
                bar.set_length(stanza.size);
                bar.set_style(style(
                    "{bar:30} {decimal_bytes:>9}/{decimal_total_bytes:<9} {msg}",
                ));
                bar.set_message(stanza.id.to_string());
                Box::new(Bar {
                    bars: bars.clone(),
                    packages: packages.clone(),
                    bar,
                    started: Once::new(),
                })
            }
            Display::Lines(word) => Box::new(Line {
                word,
                name: stanza.id.to_string(),
                size: stanza.size,
                sent: AtomicU64::new(0),
            }),
            Display::Nothing => return None,
        };
        Some(Arc::new(move |more| upload.sent(more)))
    }

    fn stage(&self, stage: Stage) {
        self.context.set_stage(stage);
    }

    fn notice(&self, text: &str) {
        match &self.display {
            Display::Bars { bars, .. } => bars.suspend(|| self.context.printer.note(text)),
            Display::Lines(_) | Display::Nothing => self.context.printer.note(text),
        }
    }
}

/// Sees one upload. It is dropped when the upload is over: only then is it known that nothing is sent again.
trait Watch: Send + Sync {
    fn sent(&self, more: u64);
}

struct Bar {
    bars: MultiProgress,
    packages: ProgressBar,
    bar: ProgressBar,
    started: Once,
}

impl Watch for Bar {
    fn sent(&self, more: u64) {
        self.started.call_once(|| {
            self.bars.add(self.bar.clone());
        });
        // A request that is tried again sends the same bytes again.
        let position = self.bar.position().saturating_add(more);
        self.bar
            .set_position(position.min(self.bar.length().unwrap_or(position)));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.packages.inc(1);
    }
}

struct Line {
    word: &'static str,
    name: String,
    size: u64,
    sent: AtomicU64,
}

impl Watch for Line {
    fn sent(&self, more: u64) {
        self.sent.fetch_add(more, Ordering::Relaxed);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Otherwise it was there already, or it failed; both are reported elsewhere.
        if self.sent.load(Ordering::Relaxed) >= self.size {
            eprint_line(&format!(
                "{} {} ({})",
                self.word,
                self.name,
                bytes(self.size)
            ));
        }
    }
}

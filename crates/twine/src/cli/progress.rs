//! Something to look at while a large module compiles.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use twine::{Observer, Stage, StartPhase};

/// Draws on a terminal, else stays quiet.
pub struct Progress {
    terminal: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub fn new(terminal: bool) -> Self {
        Self { terminal, bar: None }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Progress {
    fn phase(&mut self, _: StartPhase, _: Duration) {
        self.clear();
    }

    fn progress(&mut self, stage: Stage, done: u64, total: u64) {
        if !self.terminal || (total != 0 && done >= total) {
            return self.clear();
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let what = match stage {
            Stage::Load => "reading the module into the enclave",
            Stage::Compile => "compiling inside the enclave",
        };
        bar.set_message(format!("{what}: {} KiB", total >> 10));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

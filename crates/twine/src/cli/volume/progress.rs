//! Something to look at while much is copied: a line on a terminal, and the counts that are reported in the end.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use bytesize::ByteSize;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Counts files and bytes; draws on a terminal, else stays quiet.
pub struct Progress {
    bar: Option<ProgressBar>,
    /// Files, folders and links.
    pub entries: u64,
    /// Bytes of contents.
    pub bytes: u64,
}

impl Progress {
    pub fn new() -> Self {
        let bar = stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {wide_msg} ({elapsed})");
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, entries: 0, bytes: 0 }
    }

    /// One more file, folder or link.
    pub fn entry(&mut self, path: &str) {
        self.entries += 1;
        self.show(path);
    }

    /// More of the contents of the last one.
    pub fn bytes(&mut self, path: &str, more: u64) {
        self.bytes += more;
        self.show(path);
    }

    fn show(&self, path: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} in {} files: {path}", ByteSize(self.bytes), self.entries));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

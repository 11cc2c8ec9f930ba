//! Owns the line about the step under way on a terminal: a spinner with elapsed time. The only file that names `indicatif`.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// A spinner on standard error, redrawn several times a second by itself.
pub struct Live {
    bar: ProgressBar,
}

impl Live {
    pub fn new() -> Live {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{prefix}{spinner} {wide_msg} {elapsed}") {
            bar.set_style(style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
        }
        Live { bar }
    }

    pub fn show(&self, indent: usize, text: String) {
        self.bar.reset_elapsed();
        self.bar.set_prefix(" ".repeat(indent));
        self.bar.set_message(text);
        self.bar.enable_steady_tick(Duration::from_millis(120));
    }

    /// Changes the text without starting the clock again.
    pub fn update(&self, text: String) {
        self.bar.set_message(text);
    }

    pub fn clear(&self) {
        self.bar.disable_steady_tick();
        self.bar.set_message(String::new());
        self.bar.finish_and_clear();
        self.bar.reset();
    }

    /// Prints with the spinner out of the way.
    pub fn suspend(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }
}

//! Owns logs of what happens inside, on standard error, masked. The only file that names `tracing-subscriber`.

use crate::secret::{MaskWriter, Masker};
use std::io::Stderr;
use tracing_subscriber::fmt::MakeWriter;

struct MaskedStderr(Masker);

impl<'a> MakeWriter<'a> for MaskedStderr {
    type Writer = MaskWriter<Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        self.0.writer(std::io::stderr())
    }
}

/// `verbosity`: 0 is silent, 1 info, 2 debug, 3 trace.
pub fn start(verbosity: u8, masker: &Masker) {
    let level = match verbosity {
        0 => return,
        1 => tracing::Level::INFO,
        2 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_target(true)
        // Told on the same standard error that could not be written to, it would be a panic.
        .log_internal_errors(false)
        .with_writer(MaskedStderr(masker.clone()))
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
}

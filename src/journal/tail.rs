//! Owns reading a journal while another process writes it: whole lines as they come, whatever is torn left for later.
//! Deliberately never waits: whoever watches decides how often to look.

use super::chain::{Chain, Damage};
use super::record::Record;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A journal, read up to where it was looked at last.
pub struct Tail {
    path: PathBuf,
    chain: Chain,
    /// Bytes up to the end of the last whole line.
    read: u64,
    /// Bytes after it, when it was last looked at.
    torn: u64,
}

/// Why no more can be read.
#[derive(Debug, thiserror::Error)]
pub enum Cut {
    #[error("it cannot be read: {0}")]
    Io(io::Error),
    #[error("it is damaged: {0}")]
    Damaged(Damage),
}

impl Tail {
    pub fn of(path: &Path) -> Tail {
        Tail { path: path.to_path_buf(), chain: Chain::default(), read: 0, torn: 0 }
    }

    /// What was written since, and why it ends there, where it does so before its end.
    pub fn look(&mut self) -> (Vec<(SystemTime, Record)>, Option<Cut>) {
        let mut records = Vec::new();
        let mut bytes = Vec::new();
        // A last line that was torn is cut off by whoever goes on; what was read stays as it is.
        let mut fill = || {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(self.read))?;
            file.read_to_end(&mut bytes)
        };
        if let Err(error) = fill() {
            return (records, Some(Cut::Io(error)));
        }
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in bytes[..whole].split_inclusive(|byte| *byte == b'\n') {
            match self.chain.follow(&line[..line.len() - 1]) {
                Ok(record) => records.push(record),
                Err(damage) => return (records, Some(Cut::Damaged(damage))),
            }
            self.read += line.len() as u64;
        }
        self.torn = (bytes.len() - whole) as u64;
        (records, None)
    }

    /// Whether there may be more than was read.
    pub fn has_changed(&self) -> bool {
        std::fs::metadata(&self.path).map_or(true, |metadata| metadata.len() != self.read + self.torn)
    }
}

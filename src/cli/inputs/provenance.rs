//! Owns where a resolved input came from, in a form that a run's record can keep.
//! Deliberately holds no value, and knows not how to fetch one.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// Where an input's value came from; never the value. As JSON: `{"from": "env", "name": "API_TOKEN"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum From {
    /// A variant's `set`.
    Fixed,
    /// `--set`.
    Set,
    /// `--inputs`; the path is absolute.
    InputsFile {
        #[serde(serialize_with = "lossy")]
        path: PathBuf,
    },
    World,
    /// The environment variable of this name.
    Env {
        name: String,
    },
    /// What the program of this name (argv[0]) printed.
    Command {
        program: String,
    },
    /// The playbook's `file`; the path is absolute, since a resume reads the playbook from elsewhere.
    File {
        #[serde(serialize_with = "lossy")]
        path: PathBuf,
    },
    Default,
    /// A person, at the terminal.
    Typed,
}

impl From {
    /// Whether whoever runs it named this very value, rather than the playbook a place to look for one.
    pub fn is_named_for_the_run(&self) -> bool {
        match self {
            From::Set | From::InputsFile { .. } | From::Typed | From::World => true,
            From::Fixed | From::Env { .. } | From::Command { .. } | From::File { .. } | From::Default => false,
        }
    }
}

/// A path that is not UTF-8 cannot be written as JSON; what is written instead is no file, and its value is asked for.
fn lossy<S: serde::Serializer>(path: &std::path::Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

/// As a message names it: after "from".
impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            From::Fixed => f.write_str("the variant"),
            From::Set => f.write_str("`--set`"),
            From::InputsFile { path } => write!(f, "the inputs file `{}`", path.display()),
            From::World => f.write_str("the world"),
            From::Env { name } => write!(f, "the environment variable `{name}`"),
            From::Command { program } => write!(f, "the command `{program}`"),
            From::File { path } => write!(f, "the file `{}`", path.display()),
            From::Default => f.write_str("its default"),
            From::Typed => f.write_str("a person at a terminal"),
        }
    }
}

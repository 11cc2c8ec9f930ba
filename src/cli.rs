//! Owns arguments, environment and exit codes; puts it all together. The only folder that reads any of them.

mod begin;
mod check;
mod config;
mod discard;
mod hygiene;
mod inputs;
mod keys;
mod launch;
mod list;
mod logs;
mod person;
mod plan;
mod resume;
mod reveal;
mod run;
mod runs;
mod show;
mod signals;
mod status;
mod verify;

use crate::diagnostic::{Diagnostic, Severity, draw};
use crate::plan::permissions::Allowed;
use crate::secret::Masker;
use clap::{Args, Parser, Subcommand, ValueEnum};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// How a process of ours ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Exit {
    Passed = 0,
    Failed = 1,
    /// The playbook or its inputs are wrong; nothing ran.
    Mistakes = 2,
    /// Waits for a person.
    Waiting = 3,
    /// The outcome of a `once` step is unknown.
    Unknown = 4,
    /// Lock, permission, role.
    Refused = 5,
    OurFault = 70,
    Interrupted = 130,
}

const EXAMPLES: &str = "\
Examples:
  runbook check playbooks                        every mistake of every playbook
  runbook run playbooks/health-check.yaml        run one
  runbook run playbooks/cf-pages-deploy.yaml --world playbooks/worlds/raxx.yaml
                                                 rehearse it where nothing real is touched
  runbook run deploy.yaml --set version=1.4.2 --inputs prod.yaml --approve release

Exit codes: 0 passed, 1 failed, 2 the playbook or its inputs are wrong (nothing ran), 3 waits for a person,
4 the outcome of a `once` step is unknown, 5 refused (lock, permission, role), 70 our own fault, 130 interrupted";

/// Runs standard operating procedures written as YAML playbooks.
#[derive(Parser)]
#[command(name = "runbook", version, after_help = EXAMPLES, max_term_width = 100, arg_required_else_help = true)]
struct Arguments {
    /// More of what happens inside, on standard error (-v, -vv, -vvv)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(flatten)]
    flags: config::Flags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a playbook
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunArguments>),
    /// Go on with a run that was cut short, failed, or waits for a person
    Resume(Box<ResumeArguments>),
    /// List the runs that there were, the latest first
    List(list::ListArguments),
    /// Tell what needs attention: runs, locks, secrets that are held; or one run in detail
    Status(status::StatusArguments),
    /// Show a run as it went; `--follow` watches one that is under way
    Show(show::ShowArguments),
    /// Check that the records of runs are those that were written
    Verify(verify::VerifyArguments),
    /// Hand out one secret that a run holds
    Reveal(reveal::RevealArguments),
    /// Give a run up, and destroy what it holds
    Discard(discard::DiscardArguments),
    /// Tell all mistakes of playbooks; runs nothing
    Check(CheckArguments),
    /// Show what a playbook may do and would do, permissions first; runs nothing and asks for nothing
    Plan(plan::PlanArguments),
    /// Print what is configured, and where it comes from
    Config(config::ConfigArguments),
    /// Keep a world up for several runs, and print where it listens
    World(WorldArguments),
    /// Print the JSON Schema of a kind of file, for editors
    Schema {
        #[arg(value_enum, default_value = "playbook")]
        kind: SchemaKind,
    },
    /// What a program of a world runs
    #[command(hide = true)]
    WorldProgram {
        #[arg(long)]
        at: String,
        #[arg(long)]
        name: String,
        #[arg(last = true)]
        argv: Vec<std::ffi::OsString>,
    },
}

const RUN_EXAMPLES: &str = "\
Examples:
  runbook run playbooks/health-check.yaml --set 'urls=[\"https://example.com/health\"]'
  runbook run playbooks/cf-pages-deploy.yaml --world playbooks/worlds/raxx.yaml --world-state after.json
  runbook run playbooks/cf-pages-deploy.yaml --dry-run --inputs prod.yaml
  CF_ROLLING_TOKEN=… runbook run playbooks/cf-pages-deploy.yaml --inputs prod.yaml

A secret is never given on the command line, where every process of the machine can read it: use the
environment variable, command or file that the playbook names, an --inputs file, or the prompt.";

#[derive(Args)]
pub struct RunArguments {
    /// The playbook
    playbook: PathBuf,
    /// Gives an input; lists and objects as JSON. Not for secrets
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// A YAML file of inputs; may be given several times, the last wins
    #[arg(long, value_name = "FILE")]
    inputs: Vec<PathBuf>,
    /// Performs `read` steps, renders the rest and sends none of it
    #[arg(long)]
    dry_run: bool,
    /// Rehearses in a world: a file, or the address of one that is up
    #[arg(long, value_name = "FILE|URL")]
    world: Option<String>,
    /// Writes the world's last state to a file, as JSON
    #[arg(long, value_name = "FILE", requires = "world")]
    world_state: Option<PathBuf>,
    /// Runs only the steps with one of these tags
    #[arg(long, value_delimiter = ',')]
    tags: Vec<String>,
    /// Stops after this step
    #[arg(long, value_name = "ID")]
    until: Option<String>,
    /// Leaves no record; only for playbooks that read and change nothing
    #[arg(long)]
    no_journal: bool,
    #[command(flatten)]
    operator: OperatorArguments,
}

/// What whoever runs or resumes says of themselves, and how they watch.
#[derive(Args)]
pub struct OperatorArguments {
    /// Approves a `confirm` step beforehand; several with commas
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub approve: Vec<String>,
    /// Approves every `confirm` step, and attests the role that the SOP requires
    #[arg(long)]
    pub approve_all: bool,
    /// The role that you hold, where the SOP requires one
    #[arg(long, env = "RUNBOOK_ROLE")]
    pub role: Option<String>,
    /// Takes the lock over from a run that is gone or has failed
    #[arg(long)]
    pub take_over: bool,
    #[command(flatten)]
    pub allow: AllowArguments,
    /// human (live on a terminal; the default), plain, or json (an event a line) [env: RUNBOOK_OUTPUT]
    #[arg(long, value_enum)]
    pub output: Option<OutputKind>,
}

/// What the operator permits besides.
#[derive(Args)]
pub struct AllowArguments {
    /// Permits something for this run besides: `net:GET https://host/path`, `run:PROGRAM`, `env:NAME`, `read:PATH`,
    /// `write:PATH` (paths are relative to the current folder); may be given several times
    #[arg(long, value_name = "RULE")]
    pub allow: Vec<String>,
}

impl AllowArguments {
    /// The rules, with those that a run was given before.
    fn parse(&self, before: &[String]) -> Result<Allowed, Exit> {
        let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let all: Vec<String> = before.iter().chain(&self.allow).cloned().collect();
        Allowed::parse(&all, &folder).map_err(|faults| {
            faults.iter().for_each(|fault| tell(&format!("error: {fault}")));
            Exit::Mistakes
        })
    }
}

#[derive(Args)]
pub struct ResumeArguments {
    /// The run: its id, the beginning or end of it, `last`, or its folder
    run: String,
    /// The world that the rehearsal goes on in: the address of one that is up, or a file
    #[arg(long, value_name = "FILE|URL")]
    world: Option<String>,
    /// Writes the world's last state to a file, as JSON
    #[arg(long, value_name = "FILE")]
    world_state: Option<PathBuf>,
    /// A YAML file with secret inputs whose source is gone or has changed
    #[arg(long, value_name = "FILE")]
    inputs: Vec<PathBuf>,
    /// A public input; only what it was already
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// A step whose outcome is unknown is done again; its id or key
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    redo: Vec<String>,
    /// A step whose outcome is unknown has happened; its id or key
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    done: Vec<String>,
    /// The run ends at the step whose outcome is unknown
    #[arg(long)]
    abandon: bool,
    /// Goes on with the playbook as it is now; refused where what has been done is written otherwise
    #[arg(long)]
    with_current_playbook: bool,
    #[command(flatten)]
    operator: OperatorArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutputKind {
    Human,
    Plain,
    Json,
}

#[derive(Args)]
pub struct CheckArguments {
    /// Playbooks, and folders of playbooks
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    allow: AllowArguments,
    #[arg(long, value_enum, default_value = "human")]
    output: CheckOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CheckOutput {
    Human,
    Json,
}

#[derive(Args)]
struct WorldArguments {
    /// The world
    file: PathBuf,
    /// Port on 127.0.0.1; a free one where none is given
    #[arg(long)]
    port: Option<u16>,
    /// Stays up when the pipe that is its standard input ends
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemaKind {
    Playbook,
    World,
    /// One line of a run's journal
    Journal,
}

/// The whole program. Gives the exit code.
pub fn main() -> i32 {
    // The panic hook has told it already.
    std::panic::catch_unwind(program).unwrap_or(Exit::OurFault as i32)
}

fn program() -> i32 {
    let masker = Masker::default();
    hygiene::harden();
    hygiene::tell_panics(&masker);
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // It says back what was asked, and knows no characters that steer but ESC.
            match std::env::args_os().any(|argument| argument.to_string_lossy().contains(crate::source::steers)) {
                true => tell(crate::report::neutral(&error.render().to_string()).trim_end()),
                false => drop(error.print()),
            }
            return if error.use_stderr() { Exit::Mistakes as i32 } else { Exit::Passed as i32 };
        }
    };
    logs::start(arguments.verbose, &masker);
    // Whatever is done: what a killed run left is to go soon. A program of a world is within a run that did so.
    if !matches!(arguments.command, Command::WorldProgram { .. } | Command::Schema { .. }) {
        hygiene::sweep();
    }
    let flags = arguments.flags;
    match arguments.command {
        Command::Run(arguments) => with_config(&flags, |config| run::run(&arguments, config, &masker)) as i32,
        Command::Resume(arguments) => with_config(&flags, |config| resume::resume(&arguments, config, &masker)) as i32,
        Command::List(arguments) => with_config(&flags, |config| list::list(&arguments, config, &masker)) as i32,
        Command::Status(arguments) => with_config(&flags, |config| status::status(&arguments, config, &masker)) as i32,
        Command::Show(arguments) => with_config(&flags, |config| show::show(&arguments, config, &masker)) as i32,
        Command::Verify(arguments) => with_config(&flags, |config| verify::verify(&arguments, config, &masker)) as i32,
        Command::Reveal(arguments) => with_config(&flags, |config| reveal::reveal(&arguments, config, &masker)) as i32,
        Command::Discard(arguments) => {
            with_config(&flags, |config| discard::discard(&arguments, config, &masker)) as i32
        }
        Command::Check(arguments) => check::check(&arguments) as i32,
        Command::Plan(arguments) => plan::plan(&arguments, &masker) as i32,
        Command::Config(arguments) => config::show(&flags, &arguments, &masker) as i32,
        Command::World(arguments) => world(&arguments) as i32,
        Command::Schema { kind } => {
            let schema = match kind {
                SchemaKind::Playbook => crate::playbook::playbook_schema(),
                SchemaKind::World => crate::world::world_schema(),
                SchemaKind::Journal => crate::journal::record::journal_schema(),
            };
            print_line(&serde_json::to_string_pretty(&schema).unwrap_or_default());
            Exit::Passed as i32
        }
        Command::WorldProgram { at, name, argv } => {
            let argv = argv.into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
            crate::world::play_program(&at, &name, argv)
        }
    }
}

/// What is in force, handed to a command.
fn with_config(flags: &config::Flags, command: impl FnOnce(&config::Config) -> Exit) -> Exit {
    match config::Config::load(flags) {
        Ok(config) => command(&config),
        Err(found) => {
            tell_mistakes(&found);
            Exit::Mistakes
        }
    }
}

fn world(arguments: &WorldArguments) -> Exit {
    let serving = crate::world::Serving { file: arguments.file.clone(), port: arguments.port, keep: arguments.keep };
    match crate::world::serve(&serving) {
        Ok(()) => Exit::Passed,
        Err(error) => tell_world_error(&error),
    }
}

fn tell_world_error(error: &crate::world::WorldError) -> Exit {
    match error {
        crate::world::WorldError::Mistakes(found) => {
            tell_mistakes(found);
            Exit::Mistakes
        }
        crate::world::WorldError::Failed(message) => {
            tell(&format!("error: {message}"));
            Exit::OurFault
        }
    }
}

/// Mistakes and things to think about, drawn on standard error, with a count.
fn tell_mistakes(found: &[Diagnostic]) {
    const MOST_DRAWN: usize = 50;
    let mut text = draw(&found[..found.len().min(MOST_DRAWN)], colour_on_stderr());
    let errors = found.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    let warnings = found.len() - errors;
    let count = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    text.push_str(&match (errors, warnings) {
        (0, warnings) => count(warnings, "warning"),
        (errors, 0) => count(errors, "error"),
        (errors, warnings) => format!("{} and {}", count(errors, "error"), count(warnings, "warning")),
    });
    if found.len() > MOST_DRAWN {
        text.push_str(&format!(", the first {MOST_DRAWN} are shown"));
    }
    tell(&text);
}

/// One text on standard error; nothing of a run passes here but what is masked already.
fn tell(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn print_line(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn colour_on_stderr() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

fn colour_on_stdout() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

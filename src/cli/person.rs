//! Owns asking the person at the terminal, and those who answer in their place: flags, and a world.
//! The only file that names `rpassword`.

use crate::event::StepKey;
use crate::ledger::{Ask, Decision, Person};
use crate::plan;
use crate::playbook::document::InputType;
use crate::secret::{Masker, Origin, Secret};
use crate::value::Value;
use crate::world::World;
use async_trait::async_trait;
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How the terminal was before a secret is asked for; set while it is.
static MODES: Mutex<Option<libc::termios>> = Mutex::new(None);

/// How long the signal that tells of a terminal's end may come after an error that does.
const HANGUP: Duration = Duration::from_secs(1);

fn modes() -> Option<libc::termios> {
    let mut modes = MaybeUninit::uninit();
    // SAFETY: the structure is read only where the call says that it filled it in.
    unsafe { (libc::tcgetattr(libc::STDIN_FILENO, modes.as_mut_ptr()) == 0).then(|| modes.assume_init()) }
}

fn restore(modes: Option<libc::termios>) {
    if let Some(modes) = modes {
        // SAFETY: the structure was filled in by the system. A process in the background would be stopped here.
        unsafe {
            libc::signal(libc::SIGTTOU, libc::SIG_IGN);
            libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, &modes);
        }
    }
}

/// While there is one, signals end the process at once, but with the terminal as it was.
struct Leaving(Vec<(i32, libc::sighandler_t)>);

impl Leaving {
    fn begin() -> Leaving {
        Leaving::at(&[libc::SIGINT, libc::SIGTERM, libc::SIGHUP])
    }

    fn at(signals: &[i32]) -> Leaving {
        let signals = signals.iter().copied();
        // Whoever had the terminal's end ignored is not ended by it.
        let signals = signals.filter(|signal| *signal != libc::SIGHUP || !super::signals::is_ignored(*signal));
        // SAFETY: a plain change of how this process takes a signal, undone when this is dropped.
        Leaving(signals.map(|signal| (signal, unsafe { libc::signal(signal, leave as *const () as usize) })).collect())
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        for (signal, before) in &self.0 {
            // SAFETY: as above.
            unsafe { libc::signal(*signal, *before) };
        }
    }
}

/// Runs in the midst of anything: nothing here allocates or waits.
extern "C" fn leave(_: i32) {
    // Held elsewhere only for a moment in which the terminal is as it was.
    restore(MODES.try_lock().ok().and_then(|mut modes| modes.take()));
    // SAFETY: plain system calls. What the shell prints next begins a line.
    unsafe {
        libc::write(libc::STDERR_FILENO, c"\n".as_ptr().cast(), 1);
        libc::_exit(super::Exit::Interrupted as i32);
    }
}

/// A terminal that a person sits at.
#[derive(Clone, Copy)]
pub struct Terminal;

impl Terminal {
    /// `None` where standard input or standard error is no terminal.
    pub fn open() -> Option<Terminal> {
        (std::io::stdin().is_terminal() && std::io::stderr().is_terminal()).then_some(Terminal)
    }

    /// As `ask`, before anything listens for signals: Ctrl-C, SIGTERM and SIGHUP end the process with exit code 130, and
    /// the terminal as it was. A terminal that is gone is an error of kind `Interrupted`.
    pub fn ask_alone(&self, question: &str, unseen: bool) -> std::io::Result<String> {
        let _leaving = Leaving::begin();
        match self.ask(question, unseen) {
            // The signal that tells it comes a little later than the error.
            Err(error) if self.is_gone() => Err(std::io::Error::new(std::io::ErrorKind::Interrupted, error)),
            answer => answer,
        }
    }

    fn is_gone(&self) -> bool {
        modes().is_none()
    }

    /// Lets the terminal show what is typed again, where a question for a secret is still open.
    pub fn restore() {
        restore(MODES.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// One line; unseen where it is a secret.
    pub fn ask(&self, question: &str, unseen: bool) -> std::io::Result<String> {
        let mut stderr = std::io::stderr();
        // What it says comes from a playbook, or from an answer by a template.
        write!(stderr, "{}: ", crate::report::one_line(question))?;
        stderr.flush()?;
        if unseen {
            let keep = |modes| *MODES.lock().unwrap_or_else(PoisonError::into_inner) = modes;
            keep(modes());
            // Nobody else listens for Ctrl-\, at which the process would end with the terminal as it is now.
            let _leaving = Leaving::at(&[libc::SIGQUIT]);
            let answer = rpassword::read_password();
            keep(None);
            return answer;
        }
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line)? == 0 {
            return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the terminal was closed"));
        }
        Ok(line.trim_end_matches(['\n', '\r']).to_string())
    }
}

/// Who answers during a run: flags first, then the world, then the terminal.
pub struct Operator {
    pub actor: String,
    pub approve: Vec<String>,
    pub approve_all: bool,
    pub world: Option<Rc<World>>,
    /// Public inputs, for a world's answers.
    pub inputs: Json,
    pub terminal: Option<Terminal>,
    pub masker: Masker,
    /// What was said beforehand of steps whose outcome is unknown.
    pub words: Words,
    /// The run's id, where it can be resumed.
    pub run: Option<String>,
}

/// A person's words on unknown outcomes, given by flags. A word holds for one question about a step, and no longer:
/// the step may be lost a second time.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// Step ids or keys.
    pub redo: Vec<String>,
    pub done: Vec<String>,
    pub abandon: bool,
    /// Keys of steps that a word was taken for.
    taken: RefCell<Vec<String>>,
}

impl Words {
    pub fn new(redo: Vec<String>, done: Vec<String>, abandon: bool) -> Words {
        Words { redo, done, abandon, taken: RefCell::default() }
    }

    fn on(&self, step: &str, key: &StepKey, by: &str) -> Option<Decision> {
        let key = key.as_str();
        let named = |list: &[String]| list.iter().any(|name| name == step || name == key);
        let decision = match (named(&self.done), named(&self.redo)) {
            (true, _) => Decision::Happened { by: by.into() },
            (_, true) => Decision::Redo { by: by.into() },
            _ if self.abandon => Decision::Abandon { by: by.into() },
            _ => return None,
        };
        if self.taken.borrow().iter().any(|taken| taken == key) {
            return None;
        }
        self.taken.borrow_mut().push(key.into());
        Some(decision)
    }
}

#[async_trait(?Send)]
impl Person for Operator {
    async fn answer(&self, ask: &Ask<'_>) -> Decision {
        match ask {
            Ask::Confirm { step, message, phrase, next } => self.confirm(&step.0, message, *phrase, next).await,
            Ask::Manual { step, instructions, fields } => self.manual(&step.0, instructions, fields).await,
            Ask::Unknown { step, key, failure, lost } => self.unknown(&step.0, key, &failure.message, lost).await,
        }
    }
}

impl Operator {
    async fn confirm(&self, step: &str, message: &str, phrase: Option<&str>, next: &[String]) -> Decision {
        let approved = |reason: &str| Decision::Approved {
            by: self.actor.clone(),
            at: SystemTime::now(),
            reason: Some(reason.into()),
        };
        if self.approve_all {
            return approved("--approve-all");
        }
        if self.approve.iter().any(|id| id == step) {
            return approved("--approve");
        }
        if self.world.as_ref().is_some_and(|world| world.approves(step)) {
            return approved("the world approves");
        }
        let Some(terminal) = self.terminal else {
            return Decision::Nobody { help: self.approving(step) };
        };
        // Each line with a mark of ours, lest it say itself what comes next, or that somebody approved.
        let message = crate::report::neutral(message);
        let mut text = String::from("\n");
        message.trim_end().lines().for_each(|line| text.push_str(&format!("{}\n", format!("| {line}").trim_end())));
        if !next.is_empty() {
            text.push_str("\nnext:\n");
            next.iter().for_each(|step| text.push_str(&format!("  - {}\n", crate::report::one_line(step))));
        }
        super::tell(&self.masker.mask(&text));
        let question = match phrase {
            Some(phrase) => format!("type `{phrase}` to approve, anything else to decline"),
            None => "approve? [y/N]".to_string(),
        };
        match on_terminal(terminal, question, false).await {
            Ok(answer) => {
                let yes = match phrase {
                    Some(phrase) => answer.trim() == phrase,
                    None => matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"),
                };
                if yes {
                    Decision::Approved { by: self.actor.clone(), at: SystemTime::now(), reason: None }
                } else {
                    Decision::Declined { by: self.actor.clone(), reason: None }
                }
            }
            Err(error) => Decision::Nobody { help: format!("the question could not be asked: {error}") },
        }
    }

    async fn manual(&self, step: &str, instructions: &str, fields: &[plan::Ask]) -> Decision {
        if let Some(world) = &self.world {
            let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
            match world.answer(step, instructions, &names, &self.inputs) {
                Ok(Some(answers)) => return self.done("the world", fields, &answers),
                Ok(None) => {}
                Err(error) => return Decision::Nobody { help: format!("the world cannot answer: {error}") },
            }
        }
        let no_answers_needed = fields.iter().all(|field| field.default.is_some());
        let world_approves = self.world.as_ref().is_some_and(|world| world.approves(step));
        let flagged = self.approve.iter().any(|id| id == step);
        if no_answers_needed && (world_approves || flagged) {
            return self.done(if flagged { &self.actor } else { "the world" }, fields, &json!({}));
        }
        let Some(terminal) = self.terminal else {
            let help = match (&self.run, no_answers_needed) {
                (Some(run), true) => format!(
                    "`{step}` is done by a person: go on at a terminal, or say that it is done: \
                     `runbook resume {run} --approve {step}`"
                ),
                (Some(run), false) => {
                    format!("`{step}` is done by a person: go on at a terminal: `runbook resume {run}`")
                }
                (None, true) => format!(
                    "`{step}` is done by a person: run it at a terminal, or say that it is done: `--approve {step}`"
                ),
                (None, false) => format!("`{step}` is done by a person: run it at a terminal"),
            };
            return Decision::Nobody { help };
        };
        super::tell(&self.masker.mask(&format!("\n{}\n", crate::report::neutral(instructions).trim_end())));
        let mut answers = serde_json::Map::new();
        for field in fields {
            let question = field.prompt.clone().unwrap_or_else(|| field.name.clone());
            loop {
                let text = match on_terminal(terminal, question.clone(), field.kind == InputType::Secret).await {
                    Ok(text) => text,
                    Err(error) => {
                        return Decision::Nobody { help: format!("the question could not be asked: {error}") };
                    }
                };
                if field.kind == InputType::Secret {
                    self.masker.learn(&text);
                }
                if text.is_empty()
                    && let Some(default) = &field.default
                {
                    answers.insert(field.name.clone(), default.clone());
                    break;
                }
                match judge_answer(field, &Json::String(text)) {
                    Ok(json) => {
                        answers.insert(field.name.clone(), json);
                        break;
                    }
                    Err(fault) => {
                        super::tell(&self.masker.mask(&crate::report::neutral(&format!("{fault}; once more, please"))))
                    }
                }
            }
        }
        match on_terminal(terminal, "done? [y/N]".into(), false).await {
            Ok(answer) if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes" | "done") => {
                self.done(&self.actor, fields, &Json::Object(answers))
            }
            Ok(_) => Decision::Declined { by: self.actor.clone(), reason: Some("not done".into()) },
            Err(error) => Decision::Nobody { help: format!("the question could not be asked: {error}") },
        }
    }

    /// What to do where nobody is there to approve.
    fn approving(&self, step: &str) -> String {
        match &self.run {
            Some(run) => format!(
                "approve it: `runbook resume {run} --approve {step}` (without `--approve`, you are asked at a terminal)"
            ),
            None => format!("run it at a terminal, or approve beforehand: `--approve {step}`"),
        }
    }

    fn done(&self, by: &str, fields: &[plan::Ask], answers: &Json) -> Decision {
        let mut judged = Vec::new();
        for field in fields {
            let given = answers.get(&field.name).or(field.default.as_ref()).unwrap_or(&Json::Null);
            if field.kind == InputType::Secret
                && let Json::String(text) = given
            {
                self.masker.learn(text);
            }
            let json =
                if given.is_null() && field.default.is_some() { Ok(Json::Null) } else { judge_answer(field, given) };
            match json {
                Ok(json) if field.kind == InputType::Secret && !json.is_null() => {
                    let origin = Arc::new(Origin { name: field.name.clone(), to: None });
                    judged.push((field.name.clone(), Value::secret(json, origin)));
                }
                Ok(json) => judged.push((field.name.clone(), Value::plain(json))),
                Err(fault) => {
                    return Decision::Declined { by: by.into(), reason: Some(format!("`{}`: {fault}", field.name)) };
                }
            }
        }
        Decision::Done { by: by.into(), at: SystemTime::now(), answers: judged }
    }

    async fn unknown(&self, step: &str, key: &StepKey, message: &str, lost: &[String]) -> Decision {
        if let Some(decision) = self.words.on(step, key, &self.actor) {
            return decision;
        }
        // Whoever says that a token was rolled has no token by that.
        let lost = match lost {
            [] => String::new(),
            names => format!("; what it answered ({}) nobody has", names.join(", ")),
        };
        let help = match &self.run {
            None => format!("look whether `{step}` took effect"),
            Some(run) => {
                let word = for_shell(key.as_str());
                format!(
                    "look whether `{key}` took effect, then say so:\n\
                     `runbook resume {run} --redo {word}` does it again,\n\
                     `runbook resume {run} --done {word}` goes on, since it has happened{lost},\n\
                     `runbook resume {run} --abandon` ends the run"
                )
            }
        };
        let Some(terminal) = self.terminal else { return Decision::Nobody { help } };
        let text = format!(
            "\n`{step}`: {message}\nLook whether it took effect, then say:\n  r  do it again\n  h  it has happened, go on{lost}\n  a  end the run here"
        );
        super::tell(&self.masker.mask(&crate::report::neutral(&text)));
        match on_terminal(terminal, "r, h or a".into(), false).await.unwrap_or_default().trim() {
            "r" => Decision::Redo { by: self.actor.clone() },
            "h" => Decision::Happened { by: self.actor.clone() },
            "a" => Decision::Abandon { by: self.actor.clone() },
            _ => Decision::Nobody { help },
        }
    }
}

/// A step's key as it can be pasted into a shell, to which `[1]`, `#2` and `(round-2)` mean something.
fn for_shell(key: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_/".contains(letter);
    if key.chars().all(plain) { key.into() } else { format!("'{key}'") }
}

/// Reading a line blocks, so it is done beside the runtime, which goes on hearing signals.
async fn on_terminal(terminal: Terminal, question: String, unseen: bool) -> std::io::Result<String> {
    let answer = tokio::task::spawn_blocking(move || terminal.ask(&question, unseen)).await;
    match answer.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        // Ctrl-C at a question for a secret has been sent on as a signal: that ends the question, not this.
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => std::future::pending().await,
        // A terminal that is gone is told by a signal too, if a little later, and what that sets going comes first.
        Err(error) if terminal.is_gone() => {
            tokio::time::sleep(HANGUP).await;
            Err(error)
        }
        answer => answer,
    }
}

fn judge_answer(field: &plan::Ask, json: &Json) -> Result<Json, String> {
    let text = match json {
        Json::String(text) => text.clone(),
        Json::Null => return Err("it was not given".into()),
        other => other.to_string(),
    };
    if field.kind == InputType::Secret
        && let Some(fault) = Secret::new(text.clone()).fault()
    {
        return Err(format!("this cannot be a secret: {fault}"));
    }
    if field.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(&text)) {
        return Err(format!("it does not match `{}`", field.pattern.as_ref().map_or("", |pattern| pattern.as_str())));
    }
    let typed = match field.kind {
        InputType::Integer => {
            text.trim().parse::<i64>().map(Json::from).map_err(|_| "it is not a whole number".to_string())?
        }
        InputType::Number => {
            text.trim().parse::<f64>().map(Json::from).map_err(|_| "it is not a number".to_string())?
        }
        InputType::Boolean => match text.trim() {
            "true" | "yes" | "y" => Json::Bool(true),
            "false" | "no" | "n" => Json::Bool(false),
            _ => return Err("it is not `true` or `false`".into()),
        },
        InputType::List | InputType::Object if !json.is_string() => json.clone(),
        _ => Json::String(text),
    };
    if field.one_of.as_ref().is_some_and(|choices| !choices.contains(&typed)) {
        let shown: Vec<String> =
            field.one_of.iter().flatten().map(|choice| format!("`{}`", crate::value::text_of(choice))).collect();
        return Err(format!("it is none of {}", shown.join(", ")));
    }
    Ok(typed)
}

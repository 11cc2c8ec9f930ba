//! Tests of what goes before what, and of mistakes in the configuration.

use super::*;
use crate::diagnostic::draw;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    fn with(config: &str) -> Home {
        let home = Home::new();
        let folder = home.0.path().join(".config/runbook");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.yaml"), config).unwrap();
        home
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn load(&self, flags: &Flags, variables: &[(&str, &str)]) -> Result<Config, Vec<Diagnostic>> {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
        load(flags, &Surroundings { home: Some(self.0.path().to_path_buf()), variable: &variable })
    }

    #[track_caller]
    fn mistakes(&self, variables: &[(&str, &str)]) -> String {
        draw(&self.load(&Flags::default(), variables).unwrap_err(), false)
    }
}

#[test]
fn without_a_file_the_defaults_hold() {
    let home = Home::new();
    let config =
        home.load(&Flags::default(), &[("USER", "ana"), ("RUNBOOK_ACTOR", ""), ("RUNBOOK_KEY_FILE", "")]).unwrap();
    assert!(!config.is_there);
    assert_eq!(config.file.value, home.path(".config/runbook/config.yaml"));
    assert_eq!(config.actor, Given { value: "ana".into(), from: Whence::Variable("USER") });
    assert_eq!(config.state, Given { value: home.path(".local/state/runbook"), from: Whence::Default });
    assert_eq!(config.output, Given { value: OutputKind::Human, from: Whence::Default });
    assert_eq!(config.key, Given { value: Key::File(home.path(".config/runbook/key")), from: Whence::Default });
    assert_eq!(home.load(&Flags::default(), &[]).unwrap().actor.value, "unknown");
    let xdg = [("XDG_CONFIG_HOME", "/conf"), ("XDG_STATE_HOME", "/state")];
    let config = home.load(&Flags::default(), &xdg).unwrap();
    assert_eq!(config.file.value, Path::new("/conf/runbook/config.yaml"));
    assert_eq!(config.key.value, Key::File("/conf/runbook/key".into()));
    assert_eq!(config.state.value, Path::new("/state/runbook"));
    let relative = [("XDG_CONFIG_HOME", "conf"), ("XDG_STATE_HOME", "state")];
    assert_eq!(home.load(&Flags::default(), &relative).unwrap().state.value, home.path(".local/state/runbook"));
}

#[test]
fn a_flag_goes_before_a_variable_before_the_file() {
    let home = Home::with("# mine\nactor: file\nstate: ~/there\noutput: json\nkey_passphrase: true\n");
    let config = home.load(&Flags::default(), &[("USER", "user")]).unwrap();
    assert_eq!(config.actor, Given { value: "file".into(), from: Whence::File { line: 2 } });
    assert_eq!(config.state, Given { value: home.path("there"), from: Whence::File { line: 3 } });
    assert_eq!(config.output, Given { value: OutputKind::Json, from: Whence::File { line: 4 } });
    assert_eq!(config.key, Given { value: Key::Passphrase, from: Whence::File { line: 5 } });
    let variables = [
        ("RUNBOOK_ACTOR", "variable"),
        ("RUNBOOK_STATE_DIR", "/variable"),
        ("RUNBOOK_OUTPUT", "plain"),
        ("RUNBOOK_KEY_FILE", "~/variable"),
    ];
    let config = home.load(&Flags::default(), &variables).unwrap();
    assert_eq!(config.actor, Given { value: "variable".into(), from: Whence::Variable("RUNBOOK_ACTOR") });
    assert_eq!(config.state, Given { value: "/variable".into(), from: Whence::Variable("RUNBOOK_STATE_DIR") });
    assert_eq!(config.output, Given { value: OutputKind::Plain, from: Whence::Variable("RUNBOOK_OUTPUT") });
    let key = Key::File(home.path("variable"));
    assert_eq!(config.key, Given { value: key, from: Whence::Variable("RUNBOOK_KEY_FILE") });
    let flags = Flags {
        actor: Some("flag".into()),
        state_dir: Some("/flag".into()),
        key_file: Some("flag".into()),
        ..Flags::default()
    };
    let config = home.load(&flags, &variables).unwrap();
    assert_eq!(config.actor, Given { value: "flag".into(), from: Whence::Flag("--actor") });
    assert_eq!(config.state, Given { value: "/flag".into(), from: Whence::Flag("--state-dir") });
    let key = Key::File(std::env::current_dir().unwrap().join("flag"));
    assert_eq!(config.key, Given { value: key, from: Whence::Flag("--key-file") });
}

#[test]
fn paths_of_the_file_are_relative_to_it_and_know_the_home_folder() {
    let home = Home::with("state: here\nkey_command: {wrap: [~/bin/age, -R, ~/team, a~/b], unwrap: [age]}\n");
    let config = home.load(&Flags::default(), &[]).unwrap();
    assert_eq!(config.state.value, home.path(".config/runbook/here"));
    let inside = |below: &str| home.path(below).to_str().unwrap().to_string();
    let wrap = vec![inside("bin/age"), "-R".into(), inside("team"), "a~/b".into()];
    assert_eq!(config.key.value, Key::Command { wrap, unwrap: Some(vec!["age".into()]) });
    let home = Home::with("key_command: {wrap: [age]}\nkey_passphrase: false\n");
    let key = home.load(&Flags::default(), &[]).unwrap().key.value;
    assert_eq!(key, Key::Command { wrap: vec!["age".into()], unwrap: None });
    let home = Home::with("# nothing yet\n");
    assert_eq!(home.load(&Flags::default(), &[("USER", "ana")]).unwrap().actor.value, "ana");
}

#[test]
fn another_file_is_named_by_flag_or_variable_and_must_be_there() {
    let home = Home::with("actor: default\n");
    std::fs::write(home.path("other.yaml"), "actor: other\n").unwrap();
    let other = home.path("other.yaml");
    let config = home.load(&Flags::default(), &[("RUNBOOK_CONFIG", other.to_str().unwrap())]).unwrap();
    assert_eq!((config.actor.value.as_str(), config.file.from), ("other", Whence::Variable("RUNBOOK_CONFIG")));
    let flags = Flags { config: Some(home.path("othr.yaml")), ..Flags::default() };
    let shown = draw(&home.load(&flags, &[("RUNBOOK_CONFIG", other.to_str().unwrap())]).unwrap_err(), false);
    assert!(shown.contains("there is no file") && shown.contains("did you mean `other.yaml`?"), "{shown}");
}

#[test]
fn mistakes_are_drawn_where_they_stand() {
    let shown = Home::with("actr: ana\n").mistakes(&[]);
    assert!(shown.contains("actr") && shown.contains("did you mean `actor`?") && shown.contains("1 | actr"), "{shown}");
    let shown = Home::with("output: loud\n").mistakes(&[]);
    assert!(shown.contains("`loud`") && shown.contains("`plain`"), "{shown}");
    let shown = Home::with("key_file: k\nkey_command: {wrap: [age]}\nkey_passphrase: true\n").mistakes(&[]);
    assert_eq!(shown.matches("one thing wraps the keys of runs, not two").count(), 2, "{shown}");
    let shown = Home::with("key_command: {wrap: [], unwrap: ['']}\nactor: ' '\nstate: ~bob/x\n").mistakes(&[]);
    for part in ["`wrap` names no program", "`unwrap` names no program", "`actor` says nothing", "`~bob/x`"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let shown = Home::with("key_command: age\n").mistakes(&[]);
    assert!(shown.contains("key_command"), "{shown}");
    let shown = Home::new().mistakes(&[("RUNBOOK_OUTPUT", "loud")]);
    assert!(shown.contains("RUNBOOK_OUTPUT") && shown.contains("`human`, `plain` or `json`"), "{shown}");
}

#[test]
fn a_machine_without_home_says_what_to_name() {
    let nothing = Surroundings { home: None, variable: &|_| None };
    let shown = draw(&load(&Flags::default(), &nothing).unwrap_err(), false);
    assert!(shown.contains("--state-dir"), "{shown}");
    let flags = Flags { state_dir: Some("/s".into()), ..Flags::default() };
    assert!(draw(&load(&flags, &nothing).unwrap_err(), false).contains("--key-file"));
    let flags = Flags { state_dir: Some("/s".into()), key_file: Some("/k".into()), ..Flags::default() };
    assert!(!load(&flags, &nothing).unwrap().is_there);
}

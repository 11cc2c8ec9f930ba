//! What the shipped rotation never comes to: steps whose outcome only a person can tell. A small playbook with each kind
//! of `on_unknown`, killed at every write to its journal; where it asks (exit code 4), the operator looks at the world and
//! says `--redo` or `--done`.

use crate::points::PARTS;
use crate::story::{Ended, ended};
use crate::support::Folder;
use runbook::world::World;
use serde_json::Value as Json;
use std::path::Path;
use std::process::Stdio;

const PLAYBOOK: &str = r#"
runbook: 1
name: test
inputs: {api: {type: string, default: https://api.example.com/orders}}
permissions:
  net: ["GET,POST,PUT https://api.example.com/orders/**"]
  run: [stamp]
steps:
  - id: asks
    http: {method: POST, url: "{{ api }}/asks"}
  - id: looks
    http: {method: POST, url: "{{ api }}/looks"}
    on_unknown:
      - http: {url: "{{ api }}/looks"}
        capture: {happened: .count > 0}
  - id: stamps
    exec: {argv: [stamp, stamps]}
  - id: reruns
    http: {method: POST, url: "{{ api }}/reruns"}
    on_unknown: rerun
  - id: repeats
    http: {method: PUT, url: "{{ api }}/repeats"}
  - id: skips
    http: {method: POST, url: "{{ api }}/skips"}
    on_unknown: skip
  - id: each
    for_each: [a, b, c]
    as: item
    http: {method: POST, url: "{{ api }}/each-{{ item }}"}
"#;

const WORLD: &str = r#"
world: 1
pace: 0
state: {orders: {}}
define: |
  def taken($name): .state | .orders[$name] = ((.orders[$name] // 0) + 1);
hosts:
  api.example.com:
    GET /orders/{name}: '.params.name as $name | {status: 200, json: {count: (.state.orders[$name] // 0)}}'
    "* /orders/{name}": '.params.name as $name | {status: 201, json: {}, state: taken($name)}'
programs:
  stamp: '.argv[1] as $name | {exit_code: 0, state: taken($name)}'
"#;

/// The most often that each may have taken effect, with one process killed, and the least.
const ORDERS: [(&str, u64, u64); 9] = [
    ("asks", 1, 1),
    ("looks", 1, 1),
    ("stamps", 1, 1),
    ("reruns", 1, 2),
    ("repeats", 1, 2),
    ("skips", 0, 1),
    ("each-a", 1, 1),
    ("each-b", 1, 1),
    ("each-c", 1, 1),
];

struct Shop {
    folder: Folder,
    world: World,
}

impl Shop {
    fn new() -> Shop {
        let folder = Folder::with(PLAYBOOK);
        let file = folder.file("world.yaml", WORLD);
        let world = World::start(Path::new(env!("CARGO_BIN_EXE_runbook")), &file).unwrap();
        Shop { folder, world }
    }

    fn play(&self, arguments: &[&str], fault: Option<&str>) -> (Ended, String) {
        let mut program = self.folder.program();
        program.0.args(arguments).args(["--output", "json", "--world", self.world.address()]);
        program.0.env("RUNBOOK_STATE_DIR", self.folder.path().join("state")).stdin(Stdio::null());
        if let Some(fault) = fault {
            program.0.env("RUNBOOK_FAULT", fault);
        }
        let output = program.0.output().unwrap();
        let shown = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (ended(output.status), shown)
    }

    fn count(&self, name: &str) -> u64 {
        self.world.state().unwrap()["orders"][name].as_u64().unwrap_or(0)
    }

    /// Until it has passed. How often it asked.
    fn finish(&self, first: (Ended, String)) -> usize {
        let (mut last, mut questions) = (first, 0);
        for _ in 0..6 {
            last = match &last.0 {
                Ended::Exit(0) => return questions,
                Ended::Killed if !self.has_begun() => self.play(&["run", "test.yaml"], None),
                Ended::Killed => self.play(&["resume", "last"], None),
                Ended::Exit(4) => {
                    questions += 1;
                    let step = in_doubt(&last.1);
                    let order =
                        step.replace("each[0]", "each-a").replace("each[1]", "each-b").replace("each[2]", "each-c");
                    let answer = if self.count(&order) > 0 { "--done" } else { "--redo" };
                    self.play(&["resume", "last", answer, &step], None)
                }
                Ended::Exit(code) => panic!("exit code {code}:\n{}", last.1),
            };
        }
        panic!("no end of it:\n{}", last.1)
    }

    fn has_begun(&self) -> bool {
        let runs = std::fs::read_dir(self.folder.path().join("state/runs")).into_iter().flatten().flatten();
        runs.into_iter()
            .any(|run| std::fs::read(run.path().join("journal.jsonl")).is_ok_and(|text| text.contains(&b'\n')))
    }
}

fn in_doubt(shown: &str) -> String {
    let events = shown.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    let mut doubts = events.filter(|event| event["event"] == "step-finished" && event["outcome"] == "unknown");
    doubts.next().unwrap_or_else(|| panic!("nothing is in doubt:\n{shown}"))["step"].as_str().unwrap().to_owned()
}

#[test]
fn what_only_a_person_can_tell_is_asked_and_nothing_is_sent_twice() {
    let (mut points, mut questions, mut broken) = (0, 0, Vec::new());
    'points: for write in 1.. {
        for part in PARTS {
            let shop = Shop::new();
            let fault = format!("{write}:{part}");
            let first = shop.play(&["run", "test.yaml"], Some(&fault));
            let past = first.0 != Ended::Killed;
            questions += shop.finish(first);
            for (name, least, most) in ORDERS {
                let count = shop.count(name);
                if count < least || count > most {
                    broken.push(format!("killed at {fault}: `{name}` took effect {count} times"));
                }
            }
            if past {
                break 'points;
            }
            points += 1;
        }
    }
    assert_eq!(broken, Vec::<String>::new());
    // Once for each step of which it may be in doubt: after its intent is whole, and while its outcome is written.
    assert!(points >= 30 && questions >= 10, "{points} points, {questions} questions");
}

/// A wrong word does harm, and a word about a step that is not in doubt is refused.
#[test]
fn a_word_about_what_is_not_in_doubt_is_refused() {
    let shop = Shop::new();
    let first = shop.play(&["run", "test.yaml"], None);
    assert_eq!(first.0, Ended::Exit(0), "{}", first.1);
    let (ended, shown) = shop.play(&["resume", "last", "--redo", "asks"], None);
    assert_ne!(ended, Ended::Exit(70), "{shown}");
    assert_eq!(shop.count("asks"), 1, "{shown}");
}

/// A file that a program is given is in clear on the disk for as long as the program runs: where the run is killed
/// meanwhile, whatever of ours is started next takes it away.
#[test]
fn a_private_file_of_a_killed_run_goes_with_the_next_process() {
    let folder = Folder::with(
        r#"
runbook: 1
name: test
inputs: {token: {type: secret, to: ["run:sleep"]}}
permissions: {run: [sleep]}
steps:
  - id: slow
    exec: {argv: [sleep, "5"], files: {config: "token={{ token }}"}}
"#,
    );
    let inputs = folder.file("inputs.yaml", "token: made-up-for-this-test");
    let tmp = folder.path().join("tmp");
    std::fs::create_dir(&tmp).unwrap();
    let program = || folder.program().env("TMPDIR", &tmp.display().to_string());
    let is_there = || {
        let files = crate::search::files(&tmp);
        files.iter().any(|file| std::fs::read_to_string(file).is_ok_and(|text| text.contains("made-up-for-this-test")))
    };
    let mut run = program().args(["run", "test.yaml", "--inputs"]).arg(inputs);
    let mut child = run.0.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    crate::support::until("the file is written", is_there);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(is_there(), "nobody was left to remove it");
    program().args(["check", "test.yaml"]).ran().exits(0);
    assert!(!is_there());
    assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 0);
}

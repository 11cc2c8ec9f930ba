//! Every kind of step, in a run that is killed at each write to its journal and gone on with until it ends. Whoever is
//! asked what became of a step looks at the server first. Then: the ending and the outputs are those of an undisturbed
//! run, every effect is there, and nothing that is `once` was done twice without a word.

use crate::stage::{Bench, Call, Stage, asked, hides, playbook};
use crate::support::{Answer, Ran};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// No run of these tests is killed more often.
const MOST_DEATHS: usize = 80;

/// A playbook, and how its runs are judged.
#[derive(Clone, Copy)]
struct Plot {
    rest: &'static str,
    /// Other playbooks, by path.
    modules: &'static [(&'static str, &'static str)],
    answer: fn(&Call) -> Answer,
    /// Given to `run`, and to a resume of a run that waits for a person.
    arguments: &'static [&'static str],
    /// How it ends undisturbed.
    ends: i32,
    /// The request that a `once` step sends.
    request: fn(&str) -> String,
    /// A step that the server saw is done again rather than said to have happened: its answer is needed.
    redo: bool,
    /// How often it is polled depends on what else was asked.
    polls: bool,
    /// Requests that are made once in every round.
    each_round: &'static [&'static str],
}

const PLOT: Plot = Plot {
    rest: "",
    modules: &[],
    answer: says_back,
    arguments: &[],
    ends: 0,
    request: |key| format!("POST /{}", key.rsplit('/').next().unwrap()),
    redo: false,
    polls: false,
    each_round: &[],
};

fn says_back(call: &Call) -> Answer {
    Answer::json(200, json!({"n": call.before + 1, "sent": call.body}))
}

/// What the processes of one run came to.
struct Told<'s> {
    bench: Bench<'s>,
    last: Ran,
    deaths: usize,
    /// How often a request was sent again upon a person's word.
    redone: BTreeMap<String, usize>,
    point: String,
}

impl Plot {
    fn bench<'s>(&self, stage: &'s Stage, part: &str) -> Bench<'s> {
        let bench = Bench::new(stage, part, self.rest);
        for (path, rest) in self.modules {
            let name = path.rsplit('/').next().unwrap().trim_end_matches(".yaml");
            bench.folder.file(path, &playbook(stage, name, rest));
        }
        bench
    }

    /// One run: the first process, and every further one where `always`, kills itself at a write. `None`: none did.
    fn at<'s>(&self, stage: &'s Stage, part: &str, fault: &str, always: bool) -> Option<Told<'s>> {
        let mut bench = self.bench(stage, part);
        let (mut deaths, mut redone) = (0, BTreeMap::new());
        let mut words: Vec<String> = Vec::new();
        let mut began = false;
        loop {
            let program = match began {
                false => bench.starting(self.arguments),
                true => bench.resuming(&words.iter().map(String::as_str).collect::<Vec<_>>()),
            };
            let program = if always || deaths == 0 { program.env("RUNBOOK_FAULT", fault) } else { program };
            let ran = program.ran();
            assert!(deaths < MOST_DEATHS, "it comes no further: {}", bench.told());
            match ran.code {
                // Killed.
                -1 => {
                    deaths += 1;
                    if bench.records().last().is_some_and(|record| record["outcome"] == "waiting") {
                        words = self.arguments.iter().map(|word| word.to_string()).collect();
                    }
                    began = bench.journal().contains('\n');
                    if !began {
                        // Nothing was done, and it says so.
                        bench.resume(&[]).exits(2).shows("cut short before its first record");
                        assert!(bench.calls().is_empty());
                        bench = self.bench(stage, part);
                        bench.part = part.into();
                        words.clear();
                        if always {
                            return None;
                        }
                    }
                }
                3 => words = self.arguments.iter().map(|word| word.to_string()).collect(),
                4 => {
                    let key = asked(&ran);
                    let request = (self.request)(&key);
                    let happened = bench.count(&request) > redone.get(&request).copied().unwrap_or(0);
                    words = match happened && !self.redo {
                        true => vec!["--done".into(), key],
                        false => vec!["--redo".into(), key],
                    };
                    if happened && self.redo {
                        *redone.entry(request).or_insert(0) += 1;
                    }
                }
                _ if deaths == 0 => return None,
                _ => return Some(Told { bench, last: ran, deaths, redone, point: format!("{fault} {always}") }),
            }
        }
    }

    /// Every point.
    fn plays(self) {
        self.plays_and(|_| {});
    }

    fn plays_and(self, judge: impl Fn(&Told<'_>) + Sync) {
        let stage = Stage::new(self.answer);
        let bench = self.bench(&stage, "undisturbed");
        let wanted = bench.run(self.arguments).exits(self.ends);
        let points = AtomicUsize::new(0);
        // What takes long is the disk: two at a time. The third lets every process get a little further, and no more:
        // an intent that is written again and again would be no way forward.
        std::thread::scope(|scope| {
            for part in ["half", "after"] {
                let (judge, stage, wanted, bench, points) = (&judge, &stage, &wanted, &bench, &points);
                scope.spawn(move || {
                    for write in 1.. {
                        let name = format!("{part}-{write}");
                        let Some(told) = self.at(stage, &name, &format!("{write}:{part}"), false) else { break };
                        self.judge(&told, wanted, bench);
                        judge(&told);
                        points.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let told = self.at(&stage, "always", "3:after", true).unwrap();
            self.judge(&told, &wanted, &bench);
            judge(&told);
        });
        assert!(points.into_inner() > 6, "too few writes");
    }

    #[track_caller]
    fn judge(&self, told: &Told<'_>, wanted: &Ran, undisturbed: &Bench<'_>) {
        let Told { bench, last, deaths, redone, point } = told;
        let context = || format!("killed at {point}\n{}\n{:?}\n{}", last.shown(), bench.whats(), bench.told());
        assert_eq!(last.code, wanted.code, "{}", context());
        if wanted.code == 0 && !last.shown().contains("there is nothing to go on with") {
            assert_eq!(last.finished()["outputs"], wanted.finished()["outputs"], "{}", context());
        }
        let rounds = bench.records_of("run-resumed").iter().filter_map(|record| record["round"].as_u64()).max();
        let rounds = rounds.unwrap_or(1) as usize;
        let mut whats = [bench.whats(), undisturbed.whats()].concat();
        whats.sort();
        whats.dedup();
        for what in whats {
            let (is, was) = (bench.count(&what), undisturbed.count(&what));
            let again = redone.get(&what).copied().unwrap_or(0);
            if self.each_round.contains(&what.as_str()) {
                // What follows upon a failure is not asked about when it was cut short: it is told as unknown.
                let unknown = format!("/{}\" \"unknown\"", what.rsplit('/').next().unwrap());
                let least = usize::from(self.ends == 0 && !bench.told().contains(&unknown));
                assert!((least..=rounds).contains(&is), "{what}: {is} in {rounds} rounds, {}", context());
            } else if what.starts_with("POST") {
                assert_eq!(is, was + again, "{what}, {}", context());
            } else {
                assert!(is >= was || self.polls, "{what}: {is} instead of {was}, {}", context());
                assert!(is <= was + deaths, "{what}: {is} instead of {was}, {}", context());
            }
        }
        runbook::journal::look::look(&runbook::journal::folder::RunFolder {
            id: bench.run_id(),
            path: bench.run_folder(),
        })
        .unwrap();
    }
}

#[test]
fn plain_steps_with_captures_settings_assertions_and_outputs_of_steps() {
    let plot = Plot {
        rest: r#"
vars:
  greeting: "hello {{ run.started_at | length }}"
outputs: {all: "{{ item }} {{ twice }} {{ third }} {{ greeting }}"}
steps:
  - {id: first, http: {url: "{{ api }}/first"}, capture: {began: .n}}
  - {id: second, http: {method: POST, url: "{{ api }}/second", json: {x: 7}}, capture: {item: .sent.x}}
  - {id: put, http: {method: PUT, url: "{{ api }}/put/{{ item }}", json: {item: "{{ item }}"}}}
  - {id: setting, set: {twice: "{{ item * 2 }}"}}
  - {id: sane, assert: [twice == 14]}
  - {id: third, http: {method: POST, url: "{{ api }}/third", json: {was: "{{ steps['second'].output.json.sent }}"}}, capture: {third: .sent.was.x}}
"#,
        redo: true,
        ..PLOT
    };
    plot.plays();
}

#[test]
fn a_loop_over_once_steps_does_each_once() {
    let plot = Plot {
        rest: r#"
outputs: {after: done}
steps:
  - {id: each, for_each: [a, b, c], http: {method: POST, url: "{{ api }}/each/{{ item }}"}}
"#,
        request: |key| format!("POST /each/{}", ["a", "b", "c"][index(key)]),
        ..PLOT
    };
    plot.plays();
}

/// Of the last segment of a key, such as 1 of `x/each[1]`.
fn index(key: &str) -> usize {
    key.rsplit_once('[').unwrap().1.split(']').next().unwrap().parse().unwrap()
}

#[test]
fn loops_within_loops_and_what_they_capture() {
    let plot = Plot {
        rest: r#"
outputs: {sent: "{{ sent }}", item_of: "{{ own }}"}
steps:
  - id: outer
    for_each: [x, y]
    as: left
    group:
      - {id: own, set: {own: "{{ left }}!"}}
      - {id: inner, for_each: {jq: '[1, 2]'}, as: right, effect: idempotent, http: {method: POST, url: "{{ api }}/put/{{ left }}/{{ right }}", json: {v: "{{ left }}{{ right }}"}}, capture: {sent: .sent.v}}
"#,
        answer: says_back,
        ..PLOT
    };
    // What is idempotent is done again when it was in flight.
    let stage = Stage::new(plot.answer);
    let bench = plot.bench(&stage, "undisturbed");
    let wanted = bench.run(&[]).exits(0).finished()["outputs"].clone();
    assert_eq!(wanted, json!({"sent": [["x1", "x2"], ["y1", "y2"]], "item_of": ["x!", "y!"]}));
    for write in 1.. {
        let Some(told) = plot.at(&stage, &format!("after-{write}"), &format!("{write}:after"), false) else { break };
        if !told.last.shown().contains("there is nothing to go on with") {
            assert_eq!(told.last.finished()["outputs"], wanted, "{}", told.point);
        }
        for what in bench.whats() {
            assert!((1..=2).contains(&told.bench.count(&what)), "{what}");
        }
    }
}

#[test]
fn a_group_that_is_tried_again() {
    let plot = Plot {
        rest: r#"
outputs: {n: "{{ enough }}"}
steps:
  - id: both
    retry: {attempts: 9, delay: 1ms}
    group:
      - {id: store, http: {method: PUT, url: "{{ api }}/store"}}
      - {id: look, http: {url: "{{ api }}/look"}, expect: [{jq: '.n >= 3'}], capture: {n: .n}}
  - {id: enough, set: {enough: {jq: $n >= 3}}}
  - {id: last, http: {method: POST, url: "{{ api }}/last"}}
"#,
        polls: true,
        ..PLOT
    };
    plot.plays();
}

#[test]
fn a_module_with_its_own_vars_failures_and_last_steps() {
    let plot = Plot {
        rest: r#"
outputs: {got: "{{ got }}"}
steps:
  - {id: mine, use: modules/mine.yaml, with: {api: "{{ api }}", word: hi}, capture: {got: .said}}
  - {id: theirs, use: modules/theirs.yaml, with: {api: "{{ api }}"}, continue_on_failure: true}
  - {id: after, http: {method: POST, url: "{{ api }}/after"}}
"#,
        modules: &[
            (
                "modules/mine.yaml",
                r#"
  word: {type: string}
vars: {text: "{{ word }} there"}
outputs: {said: "{{ said }}"}
steps:
  - {id: say, http: {method: PUT, url: "{{ api }}/say", json: {text: "{{ text }}"}}, capture: {said: .sent.text}}
  - {id: charge, http: {method: POST, url: "{{ api }}/charge"}}
finally:
  - {id: close, http: {method: POST, url: "{{ api }}/close"}}
"#,
            ),
            (
                "modules/theirs.yaml",
                r#"
vars: {text: no}
steps:
  - {id: ask, http: {url: "{{ api }}/ask"}, expect: [{jq: '.n == 0'}]}
on_failure:
  - {id: sorry, http: {method: POST, url: "{{ api }}/sorry", json: {text: "{{ text }}"}}}
finally:
  - {id: shut, http: {method: POST, url: "{{ api }}/shut"}}
"#,
            ),
        ],
        // What ends unknown, or fails, is followed by them too.
        each_round: &["POST /close", "POST /shut", "POST /sorry"],
        ..PLOT
    };
    plot.plays();
}

#[test]
fn what_may_run_at_once() {
    let plot = Plot {
        rest: r#"
steps:
  - id: all
    parallel:
      - {id: one, http: {method: POST, url: "{{ api }}/one"}}
      - {id: two, http: {method: PUT, url: "{{ api }}/two"}}
      - {id: three, http: {method: POST, url: "{{ api }}/three"}}
  - {id: many, for_each: [a, b, c], max_parallel: 3, http: {method: POST, url: "{{ api }}/many/{{ item }}"}}
"#,
        request: |key| match key.strip_prefix("many") {
            Some(_) => format!("POST /many/{}", ["a", "b", "c"][index(key)]),
            None => (PLOT.request)(key),
        },
        ..PLOT
    };
    plot.plays();
}

#[test]
fn retries_go_on_where_they_were() {
    let plot = Plot {
        rest: r#"
outputs: {ok: "{{ n >= 3 }}"}
steps:
  - {id: poll, http: {url: "{{ api }}/poll"}, expect: [{jq: '.n >= 3'}], capture: {n: .n}, retry: {attempts: 5, delay: 1ms, backoff: exponential, jitter: true}}
  - {id: busy, http: {method: POST, url: "{{ api }}/busy"}, retry: {attempts: 4, delay: 1ms}}
"#,
        // Too many requests: it surely did not happen.
        answer: |call| match (call.what().as_str(), call.before) {
            ("POST /busy", 0 | 1) => Answer::json(429, json!({})),
            _ => says_back(call),
        },
        request: |_| "POST /busy".into(),
        redo: true,
        polls: true,
        ..PLOT
    };
    let stage = Stage::new(plot.answer);
    for part in ["half", "after"] {
        for write in 1.. {
            let Some(told) = plot.at(&stage, &format!("{part}-{write}"), &format!("{write}:{part}"), false) else {
                assert!(write > 8);
                break;
            };
            let is = told.bench.count("POST /busy");
            assert_eq!(told.last.code, 0);
            assert!((3..=4).contains(&is), "{is} at {}", told.point);
            // Each attempt has a number of its own, and none is left out.
            for step in ["poll", "busy"] {
                let finished = told.bench.records_of("attempt-finished");
                let own = finished.iter().filter(|record| record["step"] == step);
                let mut numbers: Vec<u64> = own.map(|record| record["attempt"].as_u64().unwrap()).collect();
                numbers.dedup();
                assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?} at {}", told.point);
                assert!(numbers.len() <= 4 && numbers[0] <= 2, "{numbers:?} at {}", told.point);
            }
        }
    }
}

#[test]
fn failures_at_every_level_are_followed_by_what_is_written_for_them_once_a_round() {
    let plot = Plot {
        rest: r#"
steps:
  - {id: before, http: {method: POST, url: "{{ api }}/before"}}
  - id: outer
    group:
      - id: breaks
        http: {url: "{{ api }}/breaks"}
        expect: [{jq: '.n < 0'}]
        on_failure:
          - {id: own, http: {method: POST, url: "{{ api }}/own", json: {why: "{{ run.failed_step }}"}}}
    on_failure:
      - {id: outer-own, http: {method: POST, url: "{{ api }}/outer-own"}}
  - {id: never, http: {method: POST, url: "{{ api }}/never"}}
on_failure:
  - {id: report, http: {method: POST, url: "{{ api }}/report", json: {why: "{{ run.failure }}"}}}
finally:
  - {id: last, http: {method: POST, url: "{{ api }}/last"}}
"#,
        ends: 1,
        each_round: &["POST /own", "POST /outer-own", "POST /report", "POST /last"],
        ..PLOT
    };
    plot.plays_and(|told| assert_eq!(told.bench.count("POST /never"), 0));
}

#[test]
fn a_failure_that_is_let_pass_stays_passed_over() {
    let plot = Plot {
        rest: r#"
steps:
  - id: breaks
    continue_on_failure: true
    http: {method: POST, url: "{{ api }}/breaks"}
    expect: [{jq: '.n < 0'}]
    on_failure: [{id: own, http: {method: POST, url: "{{ api }}/own"}}]
  - {id: after, http: {method: POST, url: "{{ api }}/after"}}
  - {id: looks, continue_on_failure: true, http: {url: "{{ api }}/looks"}, expect: [{jq: '.n < 0'}]}
  - {id: last, http: {method: POST, url: "{{ api }}/last"}}
"#,
        each_round: &["POST /own"],
        ..PLOT
    };
    plot.plays();
}

#[test]
fn unknown_outcomes_are_decided_as_it_is_written() {
    let plot = Plot {
        rest: r#"
outputs: {last: done}
steps:
  - id: found
    http: {method: POST, url: "{{ api }}/found"}
    on_unknown:
      - {id: look, http: {url: "{{ api }}/look"}, capture: {happened: .there}}
  - {id: again, http: {method: POST, url: "{{ api }}/again"}, on_unknown: rerun}
  - {id: let-go, http: {method: POST, url: "{{ api }}/let-go"}, on_unknown: skip}
  - {id: last, http: {method: POST, url: "{{ api }}/last"}}
"#,
        // Whoever asks is told that it has happened.
        answer: |call| match call.path.as_str() {
            "/look" => Answer::json(200, json!({"there": true})),
            _ => says_back(call),
        },
        ..PLOT
    };
    let stage = Stage::new(plot.answer);
    let (mut looked, mut reran, mut skipped) = (0, 0, 0);
    for part in ["half", "after"] {
        for write in 1.. {
            let Some(told) = plot.at(&stage, &format!("{part}-{write}"), &format!("{write}:{part}"), false) else {
                break;
            };
            let bench = &told.bench;
            assert_eq!((told.last.code, bench.count("POST /last")), (0, 1), "{}", told.point);
            // Where it was in flight and never sent, what the look says is all that is known.
            assert!(bench.count("POST /found") <= 1 && bench.count("POST /let-go") <= 1, "{}", told.point);
            assert!((1..=2).contains(&bench.count("POST /again")), "{}", told.point);
            looked += bench.count("GET /look");
            reran += bench.count("POST /again") - 1;
            skipped += usize::from(bench.journal().contains("`on_unknown: skip` goes on"));
        }
    }
    assert!(looked > 0 && reran > 0 && skipped > 0, "{looked} {reran} {skipped}");
}

#[test]
fn an_unknown_outcome_that_is_to_fail_fails_and_is_not_sent_again() {
    let plot = Plot {
        rest: r#"
steps:
  - {id: strict, http: {method: POST, url: "{{ api }}/strict"}, on_unknown: fail}
"#,
        ..PLOT
    };
    let stage = Stage::new(plot.answer);
    let mut failed = 0;
    for write in 1.. {
        let Some(told) = plot.at(&stage, &format!("after-{write}"), &format!("{write}:after"), false) else { break };
        assert!(told.bench.count("POST /strict") <= 1);
        if told.last.code == 1 {
            failed += 1;
            // What failed with its outcome unknown is as unknown in the next round.
            let sent = told.bench.count("POST /strict");
            let again = told.bench.resume(&[]);
            assert!(again.code == 1 || again.code == 4, "{}", again.shown());
            assert_eq!(told.bench.count("POST /strict"), sent);
        }
    }
    assert!(failed > 0);
}

#[test]
fn a_person_is_asked_once() {
    let plot = Plot {
        rest: r#"
outputs: {by: "{{ who }} {{ ticket }}"}
steps:
  - {id: agree, confirm: Shall we?, capture: {who: .by}}
  - id: by-hand
    manual: {instructions: Do it., ask: {ticket: {default: REL-1}}}
    capture: {ticket: .answers.ticket}
  - {id: post, http: {method: POST, url: "{{ api }}/post"}}
"#,
        arguments: &["--approve", "agree,by-hand"],
        ..PLOT
    };
    plot.plays_and(|told| {
        let decisions: Vec<Json> = told.bench.records_of("decision");
        let of = |step: &str| decisions.iter().filter(|record| record["step"] == step).count();
        assert_eq!((of("agree"), of("by-hand")), (1, 1), "{}", told.point);
    });
}

const VALUE: &str = "s3cr3t-value-shown-once";

#[test]
fn a_secret_that_is_shown_once_is_there_after_a_kill_and_nowhere_on_disk() {
    let plot = Plot {
        rest: r#"
steps:
  - {id: roll, http: {method: POST, url: "{{ api }}/roll"}, capture: {value: {jq: .value, secret: true}}}
  - {id: derived, set: {both: "a:{{ value }}"}}
  - {id: store, http: {method: PUT, url: "{{ api }}/store", json: {value: "{{ value }}", both: "{{ both }}"}}}
  - {id: told, http: {method: POST, url: "{{ api }}/told"}}
"#,
        answer: |call| match call.path.as_str() {
            "/roll" => Answer::json(200, json!({"value": VALUE})),
            _ => says_back(call),
        },
        redo: true,
        ..PLOT
    };
    plot.plays_and(|told| {
        let stored = told.bench.calls().into_iter().filter(|call| call.path == "/store");
        for call in stored {
            assert_eq!(call.body, json!({"value": VALUE, "both": format!("a:{VALUE}")}), "{}", told.point);
        }
        hides(told.bench.folder.path(), VALUE);
        assert!(!told.bench.run_folder().join("key").exists(), "{}", told.point);
        assert_eq!(told.bench.records_of("custody-ended").len(), 1, "{}", told.point);
    });
}

#[test]
fn the_times_of_a_run_are_those_of_its_beginning() {
    let stage = Stage::plain();
    let rest = r#"
vars: {begun: "{{ run.now }}"}
steps:
  - {id: one, http: {method: PUT, url: "{{ api }}/one", json: {begun: "{{ begun }}", started: "{{ run.started_at }}", now: "{{ run.now }}"}}}
  - {id: two, http: {method: PUT, url: "{{ api }}/two", json: {begun: "{{ begun }}", started: "{{ run.started_at }}", id: "{{ run.id }}"}}}
"#;
    let bench = Bench::new(&stage, "a", rest);
    let writes = 4;
    bench.starting(&[]).env("RUNBOOK_FAULT", &format!("{writes}:before")).ran().exits(-1);
    assert_eq!(bench.whats(), ["PUT /one"]);
    // In another second, whatever is not remembered is otherwise.
    let second = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let then = second();
    crate::support::until("the clock goes on", || second() > then + 1);
    bench.resume(&[]).exits(0);
    let bodies: Vec<Json> = bench.calls().into_iter().map(|call| call.body).collect();
    let all = |name: &str| bodies.iter().filter_map(|body| body.get(name)).collect::<std::collections::HashSet<_>>();
    assert_eq!(bench.count("PUT /one"), 2, "{:?}", bench.whats());
    assert_eq!((all("begun").len(), all("started").len(), all("now").len()), (1, 1, 1), "{bodies:?}");
}

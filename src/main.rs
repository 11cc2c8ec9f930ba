//! The `runbook` program.

use std::path::PathBuf;

/// Only what the world's own processes need; `cli` takes its place.
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let code = match arguments.first().map(String::as_str) {
        Some("world") => {
            let serving = runbook::world::Serving {
                file: PathBuf::from(arguments.last().cloned().unwrap_or_default()),
                port: after("--port").and_then(|port| port.parse().ok()),
                keep: arguments.iter().any(|argument| argument == "--keep"),
            };
            match runbook::world::serve(&serving) {
                Ok(()) => 0,
                Err(runbook::world::WorldError::Mistakes(mistakes)) => {
                    eprint!("{}", runbook::diagnostic::draw(&mistakes, false));
                    2
                }
                Err(error) => {
                    eprintln!("{error}");
                    1
                }
            }
        }
        Some("world-program") => {
            let name = arguments.iter().find_map(|argument| argument.strip_prefix("--name=")).unwrap_or_default();
            let argv = arguments.iter().skip_while(|argument| *argument != "--").skip(1).cloned().collect();
            runbook::world::play_program(&after("--at").unwrap_or_default(), name, argv)
        }
        _ => 2,
    };
    std::process::exit(code);
}

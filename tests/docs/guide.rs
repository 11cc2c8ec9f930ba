//! Documents that are played: their files are written, their commands run, and what they show is what is shown.
//!
//! A block with a path after its kind (`yaml playbook a/b.yaml`) is that file. In a `console` block, what follows `$ ` is run
//! by a shell in the folder of the files, and the lines below it are what it prints.

use crate::blocks::{Block, blocks, path, text};
use crate::support::Folder;
use regex::Regex;
use std::process::Stdio;

/// Between the outputs of two commands.
const MARK: &str = "\u{1}\n";

#[test]
fn the_guide_does_what_it_shows() {
    play("docs/guide.md");
}

#[test]
fn the_example_of_worlds_does_what_it_shows() {
    play("docs/worlds.md");
}

fn play(document: &str) {
    let folder = Folder::new();
    let mut now = text(document);
    let mut played = 0;
    for block in blocks(document) {
        if block.info == "console" {
            let shown = console(&folder, &block);
            if !alike(&shown, &block.text) {
                assert!(
                    std::env::var_os("RUNBOOK_UPDATE").is_some(),
                    "{}: shows\n{}\nand it is\n{shown}\nRUNBOOK_UPDATE=1 cargo test --test docs writes it anew",
                    block.place(),
                    block.text
                );
                now = now.replacen(&format!("```console\n{}```", block.text), &format!("```console\n{shown}```"), 1);
            }
            played += 1;
        } else if let Some(name) = block.words().get(1) {
            folder.file(name, &block.text);
        }
    }
    assert!(played > 0, "{document} has nothing to play");
    if now != text(document) {
        std::fs::write(path(document), now).unwrap();
    }
}

/// The block as it would be with the outputs of today.
fn console(folder: &Folder, block: &Block) -> String {
    let commands: Vec<&str> = block.text.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    let mut script = String::from("exec 2>&1\n");
    for command in &commands {
        // `$?` of the next command is this one's.
        script.push_str(&format!("{command}\ncode=$?; printf '\\001\\n'; (exit $code)\n"));
    }
    let runbook = std::path::Path::new(env!("CARGO_BIN_EXE_runbook")).parent().unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", format!("{}:{}", runbook.display(), std::env::var("PATH").unwrap_or_default()))
        .env("HOME", folder.path())
        .env("USER", "ann")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let outputs: Vec<&str> = printed.split(MARK).collect();
    assert_eq!(outputs.len(), commands.len() + 1, "{}:\n{printed}", block.place());
    commands.iter().zip(outputs).map(|(command, output)| format!("$ {command}\n{output}")).collect()
}

/// Whether two outputs differ in ids, times, ports, and in what the kernel can hold programs to only.
fn alike(one: &str, other: &str) -> bool {
    let masks = [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}", "RUN"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "WHEN"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r" +\d+(\.\d+)? m?s\b", " TIME"),
        (r"(?m)^programs were (not )?confined.*", "CONFINED"),
    ];
    let masks = masks.map(|(pattern, word)| (Regex::new(pattern).unwrap(), word));
    let mask = |text: &str| {
        masks.iter().fold(text.to_string(), |text, (pattern, word)| pattern.replace_all(&text, *word).into_owned())
    };
    mask(one) == mask(other)
}

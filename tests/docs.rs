//! The documents tell the truth: their examples are judged and run, and each key of a format occurs in one of them.
//!
//! With `RUNBOOK_UPDATE=1` the outputs that the guide shows are written anew.

mod support;

#[path = "docs/blocks.rs"]
mod blocks;
#[path = "docs/guide.rs"]
mod guide;
#[path = "docs/keys.rs"]
mod keys;
#[path = "docs/language.rs"]
mod language;
#[path = "docs/links.rs"]
mod links;
#[path = "docs/worlds.rs"]
mod worlds;

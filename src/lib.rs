//! `runbook`: runs standard operating procedures written as YAML playbooks.
//!
//! Modules in reading order; each may know those above it and none below (ARCHITECTURE.md, tests/layers.rs).

pub mod action;
pub mod cli;
pub mod diagnostic;
pub mod digest;
pub mod engine;
pub mod event;
pub mod journal;
pub mod ledger;
pub mod plan;
pub mod playbook;
pub mod query;
pub mod report;
pub mod review;
pub mod secret;
pub mod source;
pub mod template;
pub mod value;
pub mod world;

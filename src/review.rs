//! Owns what a playbook may do and would do, told before it is run: for whoever has to trust a file from someone else.
//! Deliberately runs nothing, renders nothing and asks for nothing; a view is made of the plan alone.

pub mod draw;
pub mod plan;
mod secrets;
mod text;

pub use text::safe_json;

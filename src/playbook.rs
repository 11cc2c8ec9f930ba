//! Owns what was written: the strict YAML front end, the document's shape, `extends`.
//! Deliberately judges nothing but form. The only folder that names `serde_yaml` and `saphyr_parser`.

pub mod document;
mod gate;
mod read;
mod schema;
mod shape;

pub use read::{Loaded, load, part, read_yaml};
pub use schema::playbook_schema;

//! Owns what was written: the strict YAML front end, the document's shape, `extends`.
//! Deliberately judges nothing but form. The only folder that names `serde_yaml` and `saphyr_parser`.

#[cfg(test)]
mod agreement;
pub mod document;
mod extend;
mod foreign;
mod forms;
mod gate;
mod read;
mod schema;
mod shape;
mod spans;
mod subset;
mod syntax;
mod texts;

pub use extend::{Loaded, is_kebab, kebab, load, load_for, outside};
pub use read::{json as written, part, read_yaml};
pub use schema::playbook_schema;
pub use texts::{Recording, Texts};

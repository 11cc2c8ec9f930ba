//! placeholder
pub fn playbook_schema() -> serde_json::Value {
    todo!()
}

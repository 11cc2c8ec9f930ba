//! Owns the shape of a world file: what may be written where. The JSON Schema is made from these types.
//! Deliberately judges nothing but shape; `scene` says what it means, and that it can be played.

use crate::playbook::document::Named;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

/// A world: fakes that stand in for everything outside, sharing one state.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Number of the format this file is written in.
    pub world: u32,
    /// Stand-ins for what an operator would supply: a value, or `{jq: …}` over `{state, inputs}`.
    pub inputs: Option<Named<Json>>,
    /// `all`, or the ids of the confirm and manual steps that answer themselves.
    pub approve: Option<Approve>,
    /// What a person does at a manual step, by its id: the fields, or a jq text giving `{answers, state?}`.
    pub answers: Option<Named<Answer>>,
    /// Every wait and retry delay is multiplied by it.
    pub pace: Option<f64>,
    /// jq definitions put before every jq text of this file.
    pub define: Option<String>,
    /// What the world knows at the start; every fake reads it and may replace it.
    pub state: Option<Json>,
    /// Hosts, by name or `name:port`.
    pub hosts: Option<Named<Host>>,
    /// Programs, by the name they are called by.
    pub programs: Option<Named<Program>>,
    /// Files put into the world's own folder, by relative path.
    pub files: Option<Named<String>>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Approve {
    Word(All),
    Steps(Vec<String>),
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum All {
    All,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Answer {
    Jq(String),
    Fields(Named<Json>),
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Host {
    Forward(Forward),
    /// `METHOD /path/{param}` to the jq that answers it, tried in order.
    List(Vec<Named<String>>),
    Routes(Named<String>),
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// A server on loopback that stands in for this host: `http://127.0.0.1:PORT`.
    pub forward: String,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Program {
    Jq(String),
    Real(Real),
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Real {
    /// Absolute path of a real program.
    pub program: String,
    /// What is put into its environment; `{{ world.folder }}`, `{{ world.socket }}` and `{{ world.address }}` are filled in.
    pub env: Option<Named<String>>,
}

/// The JSON Schema of a world file, for editors.
pub fn world_schema() -> Json {
    schemars::schema_for!(Document).to_value()
}

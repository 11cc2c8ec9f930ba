//! stub
use crate::journal::keeper::Keeper;
use std::path::PathBuf;
use std::rc::Rc;
pub struct Config {
    pub state: PathBuf,
    pub keeper: Rc<Keeper>,
    pub actor: Option<String>,
}
impl Config {
    pub fn stub() -> Config {
        let home = PathBuf::from(std::env::var("HOME").unwrap_or_default());
        let state = std::env::var_os("RUNBOOK_STATE_DIR")
            .map(PathBuf::from)
            .unwrap_or_else(|| home.join(".local/state/runbook"));
        Config {
            state,
            keeper: Rc::new(Keeper::File(home.join(".config/runbook/key"))),
            actor: std::env::var("RUNBOOK_ACTOR").ok(),
        }
    }
}

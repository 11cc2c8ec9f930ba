//! Owns `runbook plan`: what a playbook may do and would do, shown before anybody runs it. Asks for nothing, sends nothing.

use super::inputs::public_given;
use super::runs::{Form, out};
use super::{AllowArguments, Exit};
use crate::plan::check::check_allowing;
use crate::playbook::Texts;
use crate::review::{draw, plan::View, safe_json};
use crate::secret::Masker;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub struct PlanArguments {
    /// The playbook
    playbook: PathBuf,
    /// Gives an input; none is needed
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// A YAML file of inputs; may be given several times, the last wins
    #[arg(long, value_name = "FILE")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    allow: AllowArguments,
    /// human, or json
    #[arg(long, value_enum, default_value = "human")]
    output: Form,
}

pub fn plan(arguments: &PlanArguments, masker: &Masker) -> Exit {
    shown(arguments, masker).unwrap_or_else(|exit| exit)
}

fn shown(arguments: &PlanArguments, masker: &Masker) -> Result<Exit, Exit> {
    let allowed = arguments.allow.parse(&[])?;
    let checked = check_allowing(&arguments.playbook, &Texts::disk(), &allowed).map_err(|found| {
        super::tell_mistakes(&found);
        Exit::Mistakes
    })?;
    let given = super::inputs::Given { set: &arguments.set, files: &arguments.inputs, allowed: &allowed };
    let given = public_given(&checked.plan, given, masker).map_err(|unresolved| unresolved.tell(masker))?;
    let view = View::of(&checked, &allowed, &given);
    let text = match arguments.output {
        Form::Json => safe_json(&serde_json::to_string(&view).unwrap_or_default()),
        Form::Human => draw::draw(&view).trim_end().to_string(),
    };
    out(masker).line(&text);
    Ok(Exit::Passed)
}

//! Owns confinement: what a program may reach by its grant, its surroundings and its step, as rules that the kernel keeps.
//! Deliberately makes no system call that confines; and confines no guard, which has to end what is confined.

use super::kernel::{self, Door, Place, Rules};
use super::made::Made;
use super::places::{self, Places, Rights};
use super::program::Surroundings;
use super::{Command, system, unsent};
use crate::action::{ActionError, StandIns};
use crate::event::Confinement;
use crate::plan::permissions::Grant;
use std::collections::BTreeSet;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// DNS, which turns to TCP where an answer is long.
const DNS: u16 = 53;

/// Whether the operator wants programs confined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confine {
    /// Where the kernel can.
    #[default]
    Auto,
    Off,
    /// No program without.
    Required,
}

impl Confine {
    /// What it comes to on this machine.
    pub fn here(self) -> Confinement {
        match self {
            Confine::Off => Confinement::none("`confine` is off"),
            Confine::Auto | Confine::Required => kernel::offered(),
        }
    }

    /// Why programs cannot be confined as it demands.
    pub fn lacks(self) -> Option<String> {
        let here = (self == Confine::Required).then(|| self.here())?;
        match (here.files && here.ports, here.why_not) {
            (true, _) => None,
            (false, Some(why)) => Some(why),
            (false, None) => Some(format!("this kernel has Landlock for files only (ABI {})", here.abi)),
        }
    }
}

/// The rules for one program, and what was made for it.
pub(super) struct Cage {
    rules: Rules,
    _made: Made,
}

impl Cage {
    pub(super) fn door(&self) -> Door {
        self.rules.door()
    }
}

/// `None`: it is not confined.
pub(super) fn cage(
    confinement: &Confinement,
    grant: &Grant,
    command: &Command,
    around: &Surroundings,
    stand_ins: Option<&StandIns>,
) -> Result<Option<Cage>, ActionError> {
    if !confinement.files {
        return Ok(None);
    }
    let is_real = stand_ins.is_none();
    let named = places::of(grant, is_real).map_err(unsent)?;
    let made = Made::for_what_is_missing(grant, &named, is_real);
    let unix = !is_real || named.iter().any(|(path, rights)| rights.holds(Rights::WRITE) && is_socket(path));
    let places = system_places(grant, around).chain(own_places(command, around, stand_ins)).chain(of_rules(named));
    let rules = kernel::rules(places, ports(grant, stand_ins), unix).map_err(|error| {
        let program = around.file.display();
        unsent(format!("`{program}` could not be confined, so it was not started: {error}"))
    })?;
    Ok(Some(Cage { rules, _made: made }))
}

/// The kernel asks no rule whether a program may talk to a socket that is there: it talks to none, or to all.
fn is_socket(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|about| about.file_type().is_socket())
}

fn of_rules(named: Places) -> impl Iterator<Item = Place> {
    named.into_iter().map(|(path, rights)| Place { path, rights, trusted: false })
}

fn trusted(path: impl Into<PathBuf>, rights: Rights) -> Place {
    Place { path: path.into(), rights, trusted: true }
}

/// What every program may use; the program itself; and the programs that are permitted besides, which it may start.
fn system_places(grant: &Grant, around: &Surroundings) -> impl Iterator<Item = Place> {
    let mut all: Vec<Place> = system::places().map(|(path, rights)| trusted(path, rights)).collect();
    all.extend(system::on_path(&around.path).into_iter().map(|folder| trusted(folder, Rights::READ)));
    let programs = grant.programs().into_iter().filter_map(|name| around.find(name));
    all.extend(programs.chain([around.file.clone()]).map(|file| trusted(file, Rights::READ)));
    all.into_iter()
}

/// What is made for the program: its temporary folder and its private files; in a rehearsal, what plays there.
fn own_places(command: &Command, around: &Surroundings, stand_ins: Option<&StandIns>) -> impl Iterator<Item = Place> {
    let mut all = vec![trusted(around.own(), Rights::WRITE)];
    all.extend(command.files.as_deref().map(|folder: &Path| trusted(folder, Rights::WRITE)));
    if let Some(stand_ins) = stand_ins {
        all.push(trusted(&stand_ins.programs, Rights::READ));
        all.extend(stand_ins.players.iter().map(|file| trusted(file, Rights::READ)));
        all.extend(stand_ins.belongings.iter().map(|path| trusted(path, Rights::WRITE)));
    }
    all.into_iter()
}

/// Ports to connect to: what all rules agree on; in a rehearsal those of the world, and nothing real.
fn ports(grant: &Grant, stand_ins: Option<&StandIns>) -> Option<BTreeSet<u16>> {
    if let Some(stand_ins) = stand_ins {
        return Some(stand_ins.ports());
    }
    let each = grant.reach(true);
    let agreed = each.into_iter().filter_map(|reach| reach.ports).reduce(|one, other| &one & &other)?;
    Some(agreed.into_iter().chain([DNS]).collect())
}

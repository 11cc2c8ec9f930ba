//! Owns which places of the system every confined program may use: what programs are made of, and what is everybody's.
//! Deliberately leaves out all that is somebody's: homes, `/tmp`, `/var`, `/srv`, `/mnt`.

use super::places::Rights;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Programs, libraries, what they ship with; DNS, time zones and certificates where systems keep them; processes and the
/// machine. Of other processes `/proc` tells what it tells everybody: what stands in their memory and environment is
/// refused to who is confined.
const READ: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/snap",
    "/run/current-system",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager/resolv.conf",
    "/run/nscd",
    "/var/lib/ca-certificates",
    "/proc",
    "/sys",
];

const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// Some may not be there. Links in them are followed: they are the system's own.
pub(super) fn places() -> impl Iterator<Item = (&'static Path, Rights)> {
    let read = READ.iter().map(|path| (Path::new(path), Rights::READ));
    let devices = DEVICES.iter().map(|path| (Path::new(path), Rights::WRITE));
    read.chain(devices)
        .chain([(Path::new("/etc"), Rights::LIST)])
        .chain(settings().iter().map(|path| (path.as_path(), Rights::READ)))
}

/// What of `/etc` everybody may read. The mode of a file says so, but root is not asked for it: hence looked for, once.
fn settings() -> &'static [PathBuf] {
    static SETTINGS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        // SAFETY: a plain system call without arguments.
        let is_root = unsafe { libc::geteuid() } == 0;
        let etc = PathBuf::from("/etc");
        if is_root { everybodys(&etc).unwrap_or_else(|some| some) } else { vec![etc] }
    })
}

/// Ok: all below `folder` is everybody's to read, so that the folder can stand for it. Err: what of it is.
fn everybodys(folder: &Path) -> Result<Vec<PathBuf>, Vec<PathBuf>> {
    let (mut some, mut all) = (Vec::new(), true);
    let Ok(entries) = folder.read_dir() else { return Err(some) };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.metadata() {
            // What a link leads to has rights of its own.
            Ok(about) if about.is_symlink() => {}
            Ok(about) if about.is_dir() && about.mode() & 0o005 == 0o005 => match everybodys(&path) {
                Ok(_) => some.push(path),
                Err(within) => {
                    all = false;
                    some.extend(within);
                }
            },
            Ok(about) if about.is_file() && about.mode() & 0o004 != 0 => some.push(path),
            _ => all = false,
        }
    }
    if all { Ok(vec![folder.to_path_buf()]) } else { Err(some) }
}

/// The folders of PATH, but those around the home folder: who has `/` there means programs, not files.
pub(super) fn on_path(path: &OsStr) -> Vec<PathBuf> {
    let home = std::env::home_dir().unwrap_or_default();
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    folders
        .filter(|folder| folder.canonicalize().is_ok_and(|real| real != Path::new("/") && !home.starts_with(&real)))
        .collect()
}

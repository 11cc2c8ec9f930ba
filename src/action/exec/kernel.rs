//! Owns what the kernel does for confinement: Landlock's rules made of places and ports, and the system calls by which a
//! process enters them. The only file that names `landlock`.
//! Deliberately knows nothing of permissions, nor of why a place is named.

#[cfg(target_os = "linux")]
use super::calls::{self, Calls};
use super::places::Rights;
use crate::event::Confinement;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

/// A place that may be used.
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) rights: Rights,
    /// Links in the path are followed, since whoever named it may lead where he likes: the system, or we.
    pub(super) trusted: bool,
}

/// Rules that a process can enter, never to leave them again; nor can any that it starts.
pub(super) struct Rules {
    landlock: OwnedFd,
    #[cfg(target_os = "linux")]
    calls: Calls,
}

/// How a process between fork and exec enters rules; good as long as they live.
#[derive(Clone, Copy)]
pub(super) struct Door {
    landlock: RawFd,
    #[cfg(target_os = "linux")]
    calls: Calls,
}

/// What a process is told as that could not enter; no start of a program ends so.
pub(super) const NOT_ENTERED: i32 = libc::ENOTRECOVERABLE;

impl Rules {
    pub(super) fn door(&self) -> Door {
        Door {
            landlock: self.landlock.as_raw_fd(),
            #[cfg(target_os = "linux")]
            calls: self.calls,
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use landlock::{
        ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr,
        RulesetError, Scope,
    };
    use std::ffi::CString;
    use std::os::fd::FromRawFd;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    /// The newest that this was tried with. What later ones can keep from a process is not kept from it.
    const NEWEST: ABI = ABI::V7;

    /// From here on there are rules for TCP.
    const FIRST_WITH_PORTS: u32 = 4;

    pub(in crate::action::exec) fn offered() -> Confinement {
        // SAFETY: with these arguments the call only tells a number.
        let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<()>(), 0, 1) };
        match u32::try_from(abi) {
            Ok(abi) if abi > 0 && !calls::are_to_be_had() => {
                Confinement::none("this kernel has Landlock, but no filters of system calls (seccomp)")
            }
            Ok(abi) if abi > 0 => Confinement { files: true, ports: abi >= FIRST_WITH_PORTS, abi, why_not: None },
            _ => {
                let is_off = io::Error::last_os_error().raw_os_error() == Some(libc::EOPNOTSUPP);
                Confinement::none(if is_off {
                    "Landlock is turned off in this kernel"
                } else {
                    "this kernel has no Landlock"
                })
            }
        }
    }

    pub(in crate::action::exec) fn rules(
        places: impl Iterator<Item = Place>,
        ports: Option<impl IntoIterator<Item = u16>>,
        unix: bool,
    ) -> io::Result<Rules> {
        let failed = |error: RulesetError| io::Error::other(error.to_string());
        let mut net = AccessNet::from_all(NEWEST);
        if ports.is_none() {
            net.remove(AccessNet::ConnectTcp);
        }
        let rules = Ruleset::default().handle_access(AccessFs::from_all(NEWEST)).map_err(failed)?;
        let rules = rules.handle_access(net).map_err(failed)?.scope(Scope::from_all(NEWEST)).map_err(failed)?;
        let mut rules = rules.create().map_err(failed)?;
        for place in places {
            // What is not there, or led elsewhere meanwhile, is not given.
            let Some((descriptor, is_folder)) = hold(&place) else { continue };
            let rule = PathBeneath::new(descriptor, access(place.rights, is_folder));
            rules = rules.add_rule(rule).map_err(failed)?;
        }
        for port in ports.into_iter().flatten() {
            rules = rules.add_rule(NetPort::new(port, AccessNet::ConnectTcp)).map_err(failed)?;
        }
        let descriptor: Option<OwnedFd> = rules.into();
        let landlock = descriptor.ok_or_else(|| io::Error::other("the kernel gave none"))?;
        Ok(Rules { landlock, calls: calls::calls(unix) })
    }

    fn access(rights: Rights, is_folder: bool) -> BitFlags<AccessFs> {
        let mut access = BitFlags::empty();
        if rights.holds(Rights::LIST) {
            access |= AccessFs::ReadDir;
        }
        if rights.holds(Rights::READ) {
            access |= AccessFs::from_read(NEWEST);
        }
        if rights.holds(Rights::WRITE) {
            // Nobody makes devices.
            access |= AccessFs::from_write(NEWEST) & !(AccessFs::MakeChar | AccessFs::MakeBlock);
        }
        if is_folder { access } else { access & AccessFs::from_file(NEWEST) }
    }

    /// A hold on the file or folder itself, and whether it is a folder.
    fn hold(place: &Place) -> Option<(OwnedFd, bool)> {
        let descriptor = open(&place.path, if place.trusted { 0 } else { libc::RESOLVE_NO_SYMLINKS })?;
        let mut about = std::mem::MaybeUninit::<libc::stat>::uninit();
        // SAFETY: the structure is read only where the call says that it filled it in.
        let mode = unsafe {
            if libc::fstat(descriptor.as_raw_fd(), about.as_mut_ptr()) != 0 {
                return None;
            }
            about.assume_init().st_mode
        };
        Some((descriptor, mode & libc::S_IFMT == libc::S_IFDIR))
    }

    /// One call, so that no program can put a link there between a look and the opening.
    fn open(path: &Path, resolve: u64) -> Option<OwnedFd> {
        let text = CString::new(path.as_os_str().as_bytes()).ok()?;
        // SAFETY: all zeros is a value of the structure; the call reads it and the text, and keeps neither. What it gives
        // is a descriptor of ours, or negative.
        unsafe {
            let mut how: libc::open_how = std::mem::zeroed();
            how.flags = (libc::O_PATH | libc::O_CLOEXEC) as u64;
            how.resolve = resolve;
            let size = size_of::<libc::open_how>();
            let descriptor = libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, text.as_ptr(), &how, size);
            i32::try_from(descriptor).ok().filter(|number| *number >= 0).map(|number| OwnedFd::from_raw_fd(number))
        }
    }

    /// What root can do to the kernel and to others' memory, by number (capabilities(7)): read files by handle, load
    /// modules, reach raw memory and devices, trace, mount, boot, change the rules of security modules, read the kernel's
    /// log, measure, load programs into it.
    const POWERS: [libc::c_ulong; 12] = [2, 16, 17, 19, 21, 22, 27, 32, 33, 34, 38, 39];

    impl Door {
        /// For a process between fork and exec: only system calls.
        pub(in crate::action::exec) fn enter(self) -> io::Result<()> {
            // SAFETY: plain system calls on numbers.
            unsafe {
                // Root alone may, and needs it: without these the rules hold for root, too.
                for power in POWERS {
                    libc::prctl(libc::PR_CAPBSET_DROP, power, 0, 0, 0);
                }
                if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                    || libc::syscall(libc::SYS_landlock_restrict_self, self.landlock, 0) != 0
                    || self.calls.enter().is_err()
                {
                    return Err(io::Error::from_raw_os_error(NOT_ENTERED));
                }
            }
            Ok(())
        }
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::{offered, rules};

#[cfg(not(target_os = "linux"))]
pub(super) fn offered() -> Confinement {
    Confinement::none("this system has no Landlock")
}

#[cfg(not(target_os = "linux"))]
pub(super) fn rules(
    _: impl Iterator<Item = Place>,
    _: Option<impl IntoIterator<Item = u16>>,
    _: bool,
) -> io::Result<Rules> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
impl Door {
    pub(super) fn enter(self) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(NOT_ENTERED))
    }
}

//! Owns which machine this is, and whether a process of it lives.

/// A machine, as far as it can be told: since when it has run as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    /// Another one after each start of the machine; `None` where the system does not say.
    pub boot: Option<String>,
}

impl Host {
    pub fn here() -> Host {
        let mut bytes = [0u8; 256];
        // SAFETY: the call writes no further than the length that it is given.
        let got = unsafe { libc::gethostname(bytes.as_mut_ptr().cast(), bytes.len()) } == 0;
        let name = bytes.split(|byte| *byte == 0).next().filter(|name| got && !name.is_empty());
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        Host {
            name: name.map_or_else(|| "unknown".into(), |name| String::from_utf8_lossy(name).into_owned()),
            boot: boot.map(|boot| boot.trim().to_string()).filter(|boot| !boot.is_empty()),
        }
    }
}

/// Whether a process of this machine is there, and does something: one that only waits to be buried does not.
pub fn lives(pid: u32) -> bool {
    let Ok(number) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: a plain system call on numbers; signal 0 only asks.
    let there = number > 0
        && (unsafe { libc::kill(number, 0) } == 0
            || std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM));
    // Linux tells its state after the name, which may hold anything but is in brackets.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let dead = stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']));
    there && !dead
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_itself() {
        assert_eq!(Host::here(), Host::here());
        assert!(lives(std::process::id()));
        assert!(!lives(0) && !lives(u32::MAX) && !lives(i32::MAX as u32));
    }
}

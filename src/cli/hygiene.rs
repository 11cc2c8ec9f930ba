//! Owns what keeps secrets in this process: no core dumps, no debugger of another user, private files, masked panics;
//! and takes away what a killed one has left.

use crate::action::TemporaryFolder;
use crate::secret::Masker;

/// Asks the system to keep this process's memory to itself, makes every file it creates private, and removes the private
/// files of processes that could not do so themselves.
pub fn harden() {
    // SAFETY: plain system calls on this process with constant arguments; a refusal only means less protection.
    unsafe {
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &none);
        libc::umask(0o077);
        #[cfg(target_os = "linux")]
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
    TemporaryFolder::sweep();
}

/// A panic is our own fault: it is said so, masked, and ends with exit code 70.
pub fn tell_panics(masker: &Masker) {
    let masker = masker.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
        let what = panic
            .payload()
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.payload().downcast_ref::<String>().cloned())
            .unwrap_or_default();
        let text = format!(
            "error: this is a fault of runbook's own{place}: {what}\nhelp: please report it with the playbook that shows it"
        );
        super::tell(&masker.mask(&text));
    }));
}

//! Owns what keeps secrets in this process: no core dumps, no debugger of another user, private files, masked panics;
//! what keeps this process there when what it writes to is not; and taking away what a killed one has left.

use crate::action::TemporaryFolder;
use crate::secret::Masker;

/// Asks the system to keep this process's memory to itself, and makes every file it creates private.
pub fn harden() {
    // SAFETY: plain system calls on this process with constant arguments; a refusal only means less protection.
    unsafe {
        // Programs get the 1 (`as_born`).
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 1 };
        libc::setrlimit(libc::RLIMIT_CORE, &none);
        libc::umask(0o077);
        // A file that may not grow further is an error of that write, told like a full disk. A closed pipe is one
        // already: Rust has it so from the start.
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        #[cfg(target_os = "linux")]
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
}

/// Removes the private files of processes that were killed and could not do so themselves.
pub fn sweep() {
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
        super::tell(&account(&masker, &place, &what));
    }));
}

/// What is said of a panic. One that came while the masker was taught cannot wait for it, and what it says of itself may
/// be the secret.
fn account(masker: &Masker, place: &str, what: &str) -> String {
    let fault = "error: this is a fault of runbook's own";
    let help = "help: please report it with the playbook that shows it";
    match masker.mask_at_once(&format!("{fault}{place}: {what}\n{help}")) {
        Some(text) => text,
        None => format!("{fault}{place}\n{help}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_masked_and_one_of_the_masker_says_only_where() {
        let masker = Masker::default();
        masker.learn("s3cr3t-text");
        let told = account(&masker, " at src/a.rs:1", "no s3cr3t-text");
        assert!(told.starts_with("error: this is a fault of runbook's own at src/a.rs:1: no ***\nhelp: "), "{told}");
        let held = masker.hold();
        let told = account(&masker, " at src/a.rs:1", "no s3cr3t-text");
        assert!(told.starts_with("error: this is a fault of runbook's own at src/a.rs:1\nhelp: "), "{told}");
        drop(held);
        // Whoever fell over while teaching may have left it half taught.
        let other = masker.clone();
        let fallen = std::thread::spawn(move || {
            let _held = other.hold();
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(fallen.join().is_err());
        assert!(!account(&masker, "", "no s3cr3t-text").contains("t-text"));
    }
}

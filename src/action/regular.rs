//! Owns opening a file that was judged: the very one, though a program that is still there moves links about.
//! Deliberately judges nothing itself, and reads nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a file for reading by a path that has no links in it (as `Grant::read` gives it): where there is one by now, be it
/// a folder on the way, that is an error. Waits for no pipe.
///
/// # Errors
/// Besides those of the system: what is no file is of kind `InvalidInput`.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let file = open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is no file"));
    }
    Ok(file)
}

/// One call, so that no link can come between a look and the opening.
#[cfg(target_os = "linux")]
fn open(path: &Path) -> io::Result<File> {
    use std::os::fd::FromRawFd;
    use std::os::unix::ffi::OsStrExt;
    let text = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: all zeros is a value of the structure; the call reads it and the text, and keeps neither. What it gives is a
    // descriptor of ours, or negative.
    let opened = unsafe {
        let mut how: libc::open_how = std::mem::zeroed();
        how.flags = (libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK) as u64;
        how.resolve = libc::RESOLVE_NO_SYMLINKS;
        let size = size_of::<libc::open_how>();
        let descriptor = libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, text.as_ptr(), &raw const how, size);
        match i32::try_from(descriptor) {
            Ok(number) if number >= 0 => Ok(File::from_raw_fd(number)),
            _ => Err(io::Error::last_os_error()),
        }
    };
    match opened {
        // Linux before 5.6, and some sandboxes, know no such call.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => open_last(path),
        opened => opened,
    }
}

#[cfg(not(target_os = "linux"))]
fn open(path: &Path) -> io::Result<File> {
    open_last(path)
}

/// Where nothing better is to be had: the last name alone is no link.
fn open_last(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_link_is_followed_that_was_put_there_since() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().canonicalize().unwrap();
        std::fs::create_dir(at.join("real")).unwrap();
        std::fs::write(at.join("real/x"), "x").unwrap();
        std::os::unix::fs::symlink(at.join("real"), at.join("folder")).unwrap();
        std::os::unix::fs::symlink(at.join("real/x"), at.join("link")).unwrap();
        assert!(open_regular(&at.join("real/x")).is_ok());
        assert!(open_regular(&at.join("link")).is_err());
        #[cfg(target_os = "linux")]
        assert!(open_regular(&at.join("folder/x")).is_err());
        assert_eq!(open_regular(&at.join("real")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}

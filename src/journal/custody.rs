//! Owns the key of one run in the run's folder: made, proven, had again, destroyed.
//! Deliberately knows nothing of who wraps it (`keeper`) or what is sealed under it.

use super::keeper::{Keeper, Wrapped};
use super::seal::RunKey;
use std::cell::{OnceCell, RefCell};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The file in which the wrapped key is kept, in the run's folder.
const KEY: &str = "key";
/// What is sealed to see that it can be opened again.
const PROBE: &str = "probe";

/// The key of a run, made or unwrapped when it is first needed.
pub struct Vault {
    folder: PathBuf,
    run: String,
    /// `None`: whoever reads this journal has no way to open or seal.
    keeper: Option<Rc<Keeper>>,
    key: OnceCell<RunKey>,
    refused: RefCell<Option<String>>,
}

impl Vault {
    pub fn new(folder: &Path, run: &str, keeper: Option<Rc<Keeper>>) -> Vault {
        Vault {
            folder: folder.to_path_buf(),
            run: run.into(),
            keeper,
            key: OnceCell::new(),
            refused: RefCell::new(None),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the run's key is there, so that what is sealed can be opened by whoever can unwrap it.
    pub fn is_there(folder: &Path) -> bool {
        folder.join(KEY).exists()
    }

    /// The key, if it was had already.
    pub fn had(&self) -> Option<&RunKey> {
        self.key.get()
    }

    /// The key of a run that has one.
    ///
    /// # Errors
    /// Why it cannot be unwrapped here, and what could.
    pub fn key(&self) -> Result<&RunKey, String> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        // Who was asked for a passphrase in vain is not asked once more for every value.
        if let Some(refused) = self.refused.borrow().as_ref() {
            return Err(refused.clone());
        }
        let key = self.unwrap().inspect_err(|error| *self.refused.borrow_mut() = Some(error.clone()))?;
        Ok(self.key.get_or_init(|| key))
    }

    fn unwrap(&self) -> Result<RunKey, String> {
        let keeper = self.keeper.as_ref().ok_or("nothing here can unwrap the run's key")?;
        let path = self.folder.join(KEY);
        let text = std::fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                format!("the run's key {} is gone: what is sealed can be opened by nobody", path.display())
            }
            _ => format!("the run's key {} cannot be read: {error}", path.display()),
        })?;
        let wrapped: Wrapped = serde_json::from_slice(&text)
            .map_err(|error| format!("the run's key {} is damaged: {error}", path.display()))?;
        keeper.unwrap(&self.run, &wrapped).map_err(|error| error.to_string())
    }

    /// Makes the key where there is none yet, and proves that what is sealed under it can be had again from the disk.
    ///
    /// # Errors
    /// What is in the way. Nothing that matters was written.
    pub fn prove(&self) -> Result<Proof, String> {
        if self.key.get().is_some() {
            return Ok(Proof::Before);
        }
        if self.folder.join(KEY).exists() {
            self.key()?;
            return Ok(Proof::Before);
        }
        let keeper = self.keeper.as_ref().ok_or("nothing here can wrap the run's key")?;
        let unproven = |what: &str, error: &dyn std::fmt::Display| {
            format!("a secret that is shown once could not be kept: {what}: {error}")
        };
        let key = RunKey::new().map_err(|error| unproven("no key can be made", &error))?;
        let wrapped =
            keeper.wrap(&self.run, &key).map_err(|error| unproven("the run's key cannot be wrapped", &error))?;
        let text = serde_json::to_vec(&wrapped).unwrap_or_default();
        let write = |name: &str, bytes: &[u8]| {
            write_durably(&self.folder, name, bytes)
                .map_err(|error| unproven(&format!("{name} cannot be written"), &error))
        };
        let probe = key
            .seal(&self.run, PROBE, PROBE, PROBE.as_bytes())
            .map_err(|error| unproven("nothing can be sealed", &error))?;
        write(PROBE, probe.as_bytes())?;
        write(KEY, &text)?;
        let proven = self.read_back(keeper, &key);
        let _ = std::fs::remove_file(self.folder.join(PROBE));
        if let Err(error) = proven {
            let _ = std::fs::remove_file(self.folder.join(KEY));
            return Err(unproven("what was sealed cannot be opened again", &error));
        }
        let _ = self.key.set(key);
        Ok(Proof::Now { keeper: format!("{:?}", keeper.kind()).to_lowercase() })
    }

    fn read_back(&self, keeper: &Keeper, key: &RunKey) -> Result<(), String> {
        let probe = std::fs::read_to_string(self.folder.join(PROBE)).map_err(|error| error.to_string())?;
        let open = |key: &RunKey| match key.open(&self.run, PROBE, PROBE, &probe) {
            Ok(text) if text.as_slice() == PROBE.as_bytes() => Ok(()),
            Ok(_) => Err("it is not what was sealed".to_string()),
            Err(error) => Err(error.to_string()),
        };
        // The others have shown it when they wrapped: nobody is asked for a passphrase twice, or has a token touched.
        if matches!(keeper, Keeper::File(_)) { open(&self.unwrap()?) } else { open(key) }
    }

    /// Destroys the run's key: nothing opens what is sealed from then on. Whether there was one.
    pub fn destroy(folder: &Path) -> io::Result<bool> {
        let path = folder.join(KEY);
        let length = match std::fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        // Not that every disk would forget what was there; but what costs nothing is done.
        if let Ok(mut file) = OpenOptions::new().write(true).open(&path) {
            let _ =
                file.write_all(&vec![0; usize::try_from(length).unwrap_or_default()]).and_then(|()| file.sync_all());
        }
        std::fs::remove_file(&path)?;
        sync_folder(folder)?;
        Ok(true)
    }
}

/// Whether custody was proven now or is known to be good.
#[derive(Debug, PartialEq, Eq)]
pub enum Proof {
    Before,
    Now { keeper: String },
}

/// Writes a file so that it is there whole, or not at all, and survives the machine.
pub fn write_durably(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let (path, unfinished) = (folder.join(name), folder.join(format!(".{name}.new")));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, &path)?;
    sync_folder(folder)
}

/// Makes durable which files a folder has.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

//! Owns the thread on which a world is played: what is asked is done one at a time, in the order it came.
//! Deliberately knows nothing of what is asked.
//!
//! A thread of its own, since jq may take its time while the server must go on accepting, delaying and closing.

use super::play::Play;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use tokio::sync::oneshot;

type Deed = Box<dyn FnOnce(&mut Play) + Send>;

#[derive(Clone)]
pub struct Stage {
    deeds: mpsc::Sender<Deed>,
}

impl Stage {
    pub fn open(mut play: Play) -> std::io::Result<Stage> {
        let (deeds, todo) = mpsc::channel::<Deed>();
        std::thread::Builder::new().name("world".to_owned()).stack_size(16 << 20).spawn(move || {
            for deed in todo {
                // The state is replaced only at the very end of a deed, so one that panics leaves it whole.
                let _ = catch_unwind(AssertUnwindSafe(|| deed(&mut play)));
            }
        })?;
        Ok(Stage { deeds })
    }

    /// Does it when its turn comes. `None`: it broke.
    pub async fn with<T: Send + 'static>(&self, deed: impl FnOnce(&mut Play) -> T + Send + 'static) -> Option<T> {
        let (done, outcome) = oneshot::channel();
        let deed = Box::new(move |play: &mut Play| {
            let _ = done.send(deed(play));
        });
        self.deeds.send(deed).ok()?;
        outcome.await.ok()
    }
}

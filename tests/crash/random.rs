//! Kills from outside, at random moments of a run and of each of its resumes, for as long as one asks:
//! `RUNBOOK_CRASH_KILLS=500 RUNBOOK_CRASH_SEED=7 cargo test --test crash random -- --ignored`.

use crate::points::{PLOTS, Table};
use crate::search::Evidence;
use crate::story::{Death, Ended, Move, Story};
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// So many deaths a rotation, then it is left to end.
const MOST_DEATHS: usize = 8;

/// SplitMix64: small, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A moment before `limit`.
    fn moment(&mut self, limit: Duration) -> Duration {
        limit.mul_f64(self.next() as f64 / u64::MAX as f64)
    }
}

fn wanted(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

#[test]
#[ignore = "as long as one asks"]
fn random_kills() {
    let otherwise = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let (seed, kills) = (wanted("RUNBOOK_CRASH_SEED", otherwise), wanted("RUNBOOK_CRASH_KILLS", 500));
    let _ = writeln!(std::io::stderr(), "RUNBOOK_CRASH_SEED={seed} RUNBOOK_CRASH_KILLS={kills}");
    let (table, evidence) = (Mutex::new(Table::default()), Evidence::new());
    let (killed, number) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while killed.load(Ordering::SeqCst) < kills {
                    let number = number.fetch_add(1, Ordering::SeqCst);
                    let mut chance = Chance(seed.wrapping_add(number << 32));
                    let plot = PLOTS[usize::try_from(chance.next()).unwrap_or_default() % PLOTS.len()];
                    let mut story = Story::new(plot, &evidence);
                    // What is left of it is not known; a moment beyond the end is no death.
                    let mut limit = Duration::from_secs(3);
                    let mut more = Vec::new();
                    for _ in 0..MOST_DEATHS {
                        let moment = chance.moment(limit);
                        if story.play(&more, Death::After(moment)) == Ended::Killed {
                            killed.fetch_add(1, Ordering::SeqCst);
                            limit = (limit - moment / 2).max(Duration::from_millis(400));
                        }
                        match story.next_move() {
                            Ok(Move::On(arguments)) => more = arguments,
                            Ok(Move::Over) | Err(_) => break,
                        }
                    }
                    let mut own = Table::default();
                    own.add(&mut story, &format!("story {number} of seed {seed}"));
                    let mut table = table.lock().unwrap();
                    table.merge(own);
                    if table.stories.is_multiple_of(10) {
                        table.print("random so far");
                    }
                }
            });
        }
    });
    table.into_inner().unwrap().holds(&format!("random kills of seed {seed}"), evidence.findings());
}

//! Owns threads that do what may not end: a job has a deadline and a memory budget, and one that overruns them is left
//! behind with its thread.
//! Deliberately knows nothing of what the jobs are.

use super::budget::Meter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What a job may hold at once.
const MEMORY: usize = 256 << 20;
/// Address space only; what is not used costs nothing. Values nested as deep as `MEMORY` allows are dropped recursively.
const STACKS: [usize; 3] = [1 << 30, 256 << 20, 64 << 20];
/// How many threads may be left behind before no more jobs are taken: each may hold `MEMORY`.
const MOST_LEFT: usize = if cfg!(test) { 64 } else { 8 };
/// Threads kept for the next job.
const MOST_IDLE: usize = 4;
/// How often the waiting side looks whether the job has stopped for lack of memory.
const GLANCE: Duration = Duration::from_millis(20);

/// Why a job gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overrun {
    Time,
    Memory,
    /// The job broke down: a fault in a library.
    Fault,
    /// Too many threads were left behind, or none can be made.
    NoWorker,
}

type Job = Box<dyn FnOnce(&Meter) + Send>;

struct Worker {
    jobs: Sender<Job>,
    meter: Arc<Meter>,
}

static IDLE: Mutex<Vec<Worker>> = Mutex::new(Vec::new());
static LEFT: AtomicUsize = AtomicUsize::new(0);

/// Does `job` on a worker. Its values are dropped there.
pub fn within<T: Send + 'static>(deadline: Duration, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Overrun> {
    let worker = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let worker = worker.map_or_else(Worker::start, Ok)?;
    let (done, answer) = mpsc::sync_channel(1);
    let sent = worker.jobs.send(Box::new(move |meter| {
        let result = meter.count(|| catch_unwind(AssertUnwindSafe(job)));
        // The count is off: nothing may sleep for ever while it is inside the channel.
        let _ = done.send(result);
    }));
    if sent.is_err() {
        return Err(Overrun::NoWorker);
    }
    let start = Instant::now();
    loop {
        let left = deadline.saturating_sub(start.elapsed());
        match answer.recv_timeout(left.min(GLANCE)) {
            Ok(Ok(value)) => {
                worker.rest();
                return Ok(value);
            }
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => return Err(Overrun::Fault),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let over = worker.meter.is_over();
        if over || start.elapsed() >= deadline {
            LEFT.fetch_add(1, Ordering::Relaxed);
            worker.meter.give_up();
            return Err(if over { Overrun::Memory } else { Overrun::Time });
        }
    }
}

impl Worker {
    fn start() -> Result<Worker, Overrun> {
        if LEFT.load(Ordering::Relaxed) >= MOST_LEFT {
            return Err(Overrun::NoWorker);
        }
        for stack in STACKS {
            let (jobs, queue) = mpsc::channel::<Job>();
            let meter = Arc::new(Meter::new(MEMORY));
            let own = meter.clone();
            let work = move || {
                while let Ok(job) = queue.recv() {
                    job(&own);
                    if own.is_given_up() {
                        // It came to its end after all, but too late.
                        LEFT.fetch_sub(1, Ordering::Relaxed);
                        break;
                    }
                }
            };
            if thread::Builder::new().name("query".into()).stack_size(stack).spawn(work).is_ok() {
                return Ok(Worker { jobs, meter });
            }
        }
        Err(Overrun::NoWorker)
    }

    fn rest(self) {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(self);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_does_not_end_is_left_behind() {
        let start = Instant::now();
        let endless = || loop {
            std::hint::black_box(Box::new(1));
        };
        assert_eq!(within::<()>(Duration::from_millis(50), endless), Err(Overrun::Time));
        assert!(start.elapsed() < Duration::from_secs(2));
        assert_eq!(within(Duration::from_secs(5), || 1 + 1), Ok(2));
    }

    #[test]
    fn a_job_that_eats_the_machine_is_stopped() {
        let start = Instant::now();
        let hungry = || {
            let mut all = Vec::new();
            loop {
                all.push(vec![1_u8; 1 << 20]);
            }
        };
        assert_eq!(within::<()>(Duration::from_secs(20), hungry), Err(Overrun::Memory));
        let at_once = || vec![0_u8; 1 << 40].len();
        assert_eq!(within(Duration::from_secs(20), at_once), Err(Overrun::Memory));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn what_one_job_frees_of_anothers_counts_for_neither() {
        for _ in 0..20 {
            let block = vec![1_u8; 100 << 20];
            let back = within(Duration::from_secs(20), move || (block.len(), vec![2_u8; 100 << 20]));
            assert_eq!(back.map(|(length, block)| (length, block.len())), Ok((100 << 20, 100 << 20)));
        }
    }

    #[test]
    fn a_deep_value_has_the_stack_to_be_dropped() {
        struct Deep(#[allow(dead_code)] Option<Box<Deep>>);
        let deep = || {
            let mut value = Deep(None);
            for _ in 0..3_000_000 {
                value = Deep(Some(Box::new(value)));
            }
        };
        assert_eq!(within(Duration::from_secs(20), deep), Ok(()));
    }
}

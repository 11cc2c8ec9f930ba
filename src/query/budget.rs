//! Owns the memory budget of query workers: the program's allocator counts on their threads, and stops a thread that
//! is over its budget or was given up by the one who waited for it.
//! Deliberately knows nothing of queries. On every other thread it costs one thread-local read.
//!
//! jaq has no fuel and cannot be interrupted, but it cannot run far without allocating either. A thread cannot be
//! killed from outside and an allocator must not unwind, so the thread is put to sleep for ever inside its next
//! allocation: it takes no more time and no more memory, and what it holds is given back when the program ends.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Metered = Metered;

thread_local! {
    /// The meter of this thread's job. It has no destructor, so that reading it is safe at any time.
    static METER: Cell<*const Meter> = const { Cell::new(ptr::null()) };
}

/// Counts what a worker's job holds.
pub struct Meter {
    limit: isize,
    held: AtomicIsize,
    over: AtomicBool,
    given_up: AtomicBool,
}

impl Meter {
    pub fn new(limit: usize) -> Meter {
        Meter {
            limit: isize::try_from(limit).unwrap_or(isize::MAX),
            held: AtomicIsize::new(0),
            over: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
        }
    }

    /// Whether the job wanted more memory than it may have. It never ends then.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Nobody waits for the job any more: its thread sleeps for ever at its next allocation.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    /// Runs a job with this thread's allocations counted.
    pub fn count<T>(&self, job: impl FnOnce() -> T) -> T {
        struct Reset;
        impl Drop for Reset {
            fn drop(&mut self) {
                METER.set(ptr::null());
            }
        }
        self.held.store(0, Ordering::Relaxed);
        METER.set(ptr::from_ref(self));
        let _reset = Reset;
        job()
    }

    fn add(&self, bytes: usize) {
        // Only this thread writes `held`: no read-modify-write is needed, and none is paid for.
        let held = self.held.load(Ordering::Relaxed).saturating_add(isize::try_from(bytes).unwrap_or(isize::MAX));
        if held > self.limit || self.given_up.load(Ordering::Relaxed) {
            self.over.store(held > self.limit, Ordering::Release);
            loop {
                std::thread::sleep(Duration::from_secs(3600));
            }
        }
        self.held.store(held, Ordering::Relaxed);
    }

    /// What came from another thread may be freed here: then `held` falls below what this job took, never above.
    fn sub(&self, bytes: usize) {
        let held = self.held.load(Ordering::Relaxed).saturating_sub(isize::try_from(bytes).unwrap_or(isize::MAX));
        self.held.store(held, Ordering::Relaxed);
    }
}

struct Metered;

fn meter() -> Option<&'static Meter> {
    let meter = METER.get();
    // SAFETY: it is null, or was set by `Meter::count`, which keeps the meter borrowed until it sets null again.
    unsafe { meter.as_ref() }
}

// SAFETY: every call goes to `System` with the same arguments; the counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Metered {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(meter) = meter() {
            meter.add(layout.size());
        }
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if let Some(meter) = meter() {
            meter.add(layout.size());
        }
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let Some(meter) = meter() {
            meter.sub(layout.size());
        }
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if let Some(meter) = meter() {
            if size > layout.size() {
                meter.add(size - layout.size());
            } else {
                meter.sub(layout.size() - size);
            }
        }
        // SAFETY: the caller's promises are the same.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

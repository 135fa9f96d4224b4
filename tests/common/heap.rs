//! An allocator that knows how many bytes each thread has live. A test file that uses it contains
//! `#[global_allocator] static HEAP: Counting = Counting;`.
#![expect(unsafe_code, reason = "a global allocator's methods are unsafe; these pass on to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

/// Counts each allocation with what malloc makes of it: its usable size, and a header in front.
pub(crate) struct Counting;

const HEADER: usize = 8;

static LIVE_OF_PROCESS: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// Returns the number of bytes that this thread has allocated, less those that it has freed.
pub(crate) fn live_bytes() -> isize {
    LIVE.get()
}

/// Returns the same for all threads together. One thread may free what another has allocated.
pub(crate) fn live_bytes_of_process() -> isize {
    LIVE_OF_PROCESS.load(Relaxed)
}

/// Returns the number of allocations that this thread has made.
pub(crate) fn allocations() -> usize {
    ALLOCATIONS.get()
}

fn allocated(bytes: usize) {
    LIVE.set(LIVE.get() + bytes as isize);
    LIVE_OF_PROCESS.fetch_add(bytes as isize, Relaxed);
}

fn freed(bytes: usize) {
    LIVE.set(LIVE.get() - bytes as isize);
    LIVE_OF_PROCESS.fetch_sub(bytes as isize, Relaxed);
}

#[cfg(not(all(any(target_os = "linux", target_os = "android", target_os = "freebsd"), not(miri))))]
fn weight(pointer: *mut u8) -> usize {
    if pointer.is_null() { 0 } else { HEADER }
}

#[cfg(all(any(target_os = "linux", target_os = "android", target_os = "freebsd"), not(miri)))]
fn weight(pointer: *mut u8) -> usize {
    if pointer.is_null() {
        return 0;
    }
    // SAFETY: the pointer came from the system's allocator, which is malloc, and is still live.
    unsafe { libc::malloc_usable_size(pointer.cast()) + HEADER }
}

// SAFETY: every method passes its arguments on to the system's allocator, and its result back.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        let pointer = unsafe { System.alloc(layout) };
        allocated(weight(pointer));
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        freed(weight(pointer));
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let before = weight(pointer);
        // SAFETY: the caller's promise, passed on.
        let moved = unsafe { System.realloc(pointer, layout, new_size) };
        if !moved.is_null() {
            allocated(weight(moved));
            freed(before);
        }
        moved
    }
}

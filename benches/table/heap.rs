//! An allocator that knows how many bytes are live.
//!
//! An allocation counts with malloc's overhead: `malloc_usable_size`, and 8 bytes for the header in front. The
//! allocator counts only after [`start_counting`], in children that measure memory, so that the timed rows pay a
//! predictable branch and nothing else.

#![expect(unsafe_code, reason = "a global allocator's methods are unsafe; these pass on to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ON: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// The number of bytes in front of each allocation that malloc uses itself.
const HEADER: usize = 8;

/// Starts counting.
pub(crate) fn start_counting() {
    ON.store(true, Relaxed);
}

/// Returns the bytes allocated since counting began, less those freed. What was allocated before and freed since
/// makes the number wrap, so only differences mean something.
pub(crate) fn live_bytes() -> usize {
    LIVE.load(Relaxed)
}

fn count(pointer: *mut u8) -> usize {
    if pointer.is_null() {
        return 0;
    }
    // SAFETY: the pointer came from the system's allocator, which is malloc, and is still live.
    let usable = unsafe { libc::malloc_usable_size(pointer.cast()) };
    usable + HEADER
}

// SAFETY: every call goes to the system's allocator unchanged; counting only looks at the result.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        let pointer = unsafe { System.alloc(layout) };
        if ON.load(Relaxed) {
            LIVE.fetch_add(count(pointer), Relaxed);
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if ON.load(Relaxed) {
            LIVE.fetch_sub(count(pointer), Relaxed);
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        let pointer = unsafe { System.alloc_zeroed(layout) };
        if ON.load(Relaxed) {
            LIVE.fetch_add(count(pointer), Relaxed);
        }
        pointer
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let before = if ON.load(Relaxed) { count(pointer) } else { 0 };
        // SAFETY: the caller's promise, passed on.
        let moved = unsafe { System.realloc(pointer, layout, new_size) };
        if ON.load(Relaxed) && !moved.is_null() {
            LIVE.fetch_add(count(moved), Relaxed);
            LIVE.fetch_sub(before, Relaxed);
        }
        moved
    }
}

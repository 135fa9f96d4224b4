//! The number of live bytes on the heap, as malloc counts them.
//!
//! An allocation counts with malloc's header and rounding. The program asks malloc and has no allocator of its own that
//! would count, because that would add to the instructions of every allocation. mallinfo2(3) is a function of glibc.

#![expect(unsafe_code, reason = "a call of the C library")]

/// Returns the number of bytes that are allocated. Freed memory that a thread holds for its next allocation counts as
/// well, so only large differences mean something.
pub(crate) fn live_bytes() -> usize {
    // SAFETY: the call takes no memory, and locks what it reads. No thread changes the settings of malloc.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}

//! Segments that Linux itself refuses to cut up.
#![expect(unsafe_code, reason = "an option that socket2 does not know")]

use super::sys;
use super::tests::{lengths, pair};
use std::os::fd::AsRawFd;

/// Linux does not cut up data that is sent without checksums.
#[test]
#[cfg_attr(miri, ignore = "Miri has no UDP")]
fn segments_that_linux_refuses_are_sent_one_by_one() {
    let (ours, other) = pair();
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open, and the value has the given length.
    let result = unsafe {
        let length = size_of::<libc::c_int>() as libc::socklen_t;
        libc::setsockopt(
            ours.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NO_CHECK,
            (&raw const on).cast(),
            length,
        )
    };
    assert_eq!(result, 0);
    assert!(ours.io.get().offload.is_usable(|| sys::can_segment(&ours)));
    let error = sys::send_segmented(&ours, &[1; 2500], 1000, None).unwrap_err();
    assert!(matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EIO)), "{error}");
    assert_eq!(ours.try_send_segments(&[1; 2500], 1000).unwrap(), 2500);
    assert_eq!(lengths(&other), [1000, 1000, 500]);
}

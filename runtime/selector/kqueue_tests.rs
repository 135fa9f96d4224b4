//! Tests of the changes passed to kevent(2) and of the handling of its answers. They run on a fake kernel
//! that keeps the filters in a table and answers as the test requires.

use super::*;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::PipeReader;
use std::os::fd::AsFd;

#[derive(Default)]
struct Fake {
    /// The keys of the filters, by descriptor and bit.
    filters: RefCell<BTreeMap<(usize, u8), u64>>,
    /// The errors of the next changes, in order. Zero means no error, and so does an empty list.
    errors: RefCell<VecDeque<i32>>,
    /// The events that the next calls without changes return.
    brings: RefCell<VecDeque<io::Result<Vec<Kevent>>>>,
    /// The events that are returned instead of answers.
    out_of_turn: RefCell<Option<Kevent>>,
    calls: RefCell<Vec<String>>,
}

impl Kernel for Fake {
    fn kevent(
        &self,
        changes: &[Kevent],
        events: &mut [Kevent],
        _timeout: Option<Duration>,
    ) -> io::Result<usize> {
        if changes.is_empty() {
            let brought = self.brings.borrow_mut().pop_front().unwrap_or(Ok(Vec::new()))?;
            assert!(brought.len() <= events.len(), "more events than room");
            events[..brought.len()].copy_from_slice(&brought);
            return Ok(brought.len());
        }
        let mut call = Vec::new();
        for (change, answer) in changes.iter().zip(events) {
            assert!(change.has(kevent::RECEIPT), "a change without receipt ends the call when it fails");
            let told = self.errors.borrow_mut().pop_front().unwrap_or(0);
            let name = if change.filter() == kevent::READ { "read" } else { "write" };
            let errno = if told == 0 { self.apply(change) } else { told };
            let verb = if change.has(kevent::ADD) {
                assert!(change.has(kevent::CLEAR), "by edge");
                "add"
            } else if change.has(kevent::DELETE) {
                "delete"
            } else {
                "ask"
            };
            call.push(format!("{verb} {name}"));
            let receipt = Kevent::new(change.ident(), change.filter(), kevent::ERROR, change.key());
            *answer = self.out_of_turn.take().unwrap_or(receipt.with_data(errno));
        }
        self.calls.borrow_mut().push(call.join(", "));
        Ok(changes.len())
    }
}

impl Fake {
    fn apply(&self, change: &Kevent) -> i32 {
        let filter = (change.ident(), bit(change.filter()));
        let mut filters = self.filters.borrow_mut();
        if change.has(kevent::ADD) {
            filters.insert(filter, change.key());
            return 0;
        }
        let is_there = filters.contains_key(&filter);
        if change.has(kevent::DELETE) {
            filters.remove(&filter);
        }
        if is_there { 0 } else { libc::ENOENT }
    }
}

const BOTH: Option<Interest> = Some(Interest::READABLE.add(Interest::WRITABLE));
const READ_ONLY: Option<Interest> = Some(Interest::READABLE);
const WRITE_ONLY: Option<Interest> = Some(Interest::WRITABLE);

fn kqueue() -> Kqueue<Fake> {
    Kqueue::on(Fake::default(), 8, None)
}

impl Kqueue<Fake> {
    fn calls(&self) -> Vec<String> {
        self.kernel.calls.take()
    }

    /// Returns the filters that exist, with their keys.
    fn filters(&self) -> Vec<(u8, u64)> {
        self.kernel.filters.borrow().iter().map(|((_, bit), key)| (*bit, *key)).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.wait(8, Some(Duration::ZERO), |event| events.push(event)).unwrap();
        events
    }
}

fn pipe() -> PipeReader {
    io::pipe().unwrap().0
}

fn errno(result: io::Result<()>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn each_step_makes_only_the_changes_it_needs() {
    let (mut kqueue, pipe) = (kqueue(), pipe());
    let fd = pipe.as_raw_fd();
    kqueue.register(pipe.as_fd(), 1, BOTH).unwrap();
    kqueue.modify(fd, 2, READ_ONLY).unwrap();
    assert_eq!(kqueue.filters(), [(READS, 2)]);
    kqueue.modify(fd, 3, WRITE_ONLY).unwrap();
    kqueue.modify(fd, 4, None).unwrap();
    assert_eq!(kqueue.filters(), []);
    kqueue.modify(fd, 5, None).unwrap();
    kqueue.modify(fd, 6, BOTH).unwrap();
    kqueue.deregister(fd).unwrap();
    assert_eq!(kqueue.filters(), []);
    assert_eq!(
        kqueue.calls(),
        [
            "add read, add write",
            "add read, delete write", // The filter is added again, so that readiness is reported again.
            "delete read, add write",
            "delete write",
            "add read, add write", // The modification before this one changed nothing, so it made no call.
            "delete read, delete write",
        ]
    );
}

#[test]
fn what_is_registered_is_known() {
    let (mut kqueue, pipe) = (kqueue(), pipe());
    let fd = pipe.as_raw_fd();
    assert_eq!(errno(kqueue.modify(fd, 1, BOTH)), Some(libc::ENOENT));
    assert_eq!(errno(kqueue.deregister(fd)), Some(libc::ENOENT));
    kqueue.register(pipe.as_fd(), 1, WRITE_ONLY).unwrap();
    assert_eq!(errno(kqueue.register(pipe.as_fd(), 2, BOTH)), Some(libc::EEXIST));
    kqueue.deregister(fd).unwrap();
    assert_eq!(errno(kqueue.deregister(fd)), Some(libc::ENOENT));
    assert_eq!(kqueue.calls(), ["add write", "ask write", "delete write"]);
    kqueue.register(pipe.as_fd(), 3, None).unwrap();
    assert_eq!(errno(kqueue.register(pipe.as_fd(), 4, BOTH)), Some(libc::EEXIST));
}

#[test]
fn a_number_that_was_closed_behind_our_back_can_be_registered_again() {
    let (mut kqueue, pipe) = (kqueue(), pipe());
    kqueue.register(pipe.as_fd(), 1, BOTH).unwrap();
    // The close has removed the filters.
    kqueue.kernel.filters.borrow_mut().clear();
    kqueue.register(pipe.as_fd(), 2, BOTH).unwrap();
    assert_eq!(kqueue.filters(), [(READS, 2), (WRITES, 2)]);
}

#[test]
fn whichever_change_fails_nothing_is_left_behind() {
    for errors in [[libc::EBADF, 0], [0, libc::ENOMEM], [libc::EINVAL, libc::ENOMEM]] {
        let (mut kqueue, pipe) = (kqueue(), pipe());
        kqueue.kernel.errors.borrow_mut().extend(errors);
        let first = errors.into_iter().find(|errno| *errno != 0);
        assert_eq!(errno(kqueue.register(pipe.as_fd(), 1, BOTH)), first);
        assert_eq!(kqueue.filters(), [], "after {errors:?}");
        assert_eq!(errno(kqueue.deregister(pipe.as_raw_fd())), Some(libc::ENOENT));
        kqueue.register(pipe.as_fd(), 2, BOTH).unwrap();
        assert_eq!(kqueue.filters(), [(READS, 2), (WRITES, 2)]);
    }
}

#[test]
fn a_failing_change_does_not_keep_the_other_one_from_being_made() {
    let (mut kqueue, pipe) = (kqueue(), pipe());
    kqueue.register(pipe.as_fd(), 1, READ_ONLY).unwrap();
    kqueue.kernel.errors.borrow_mut().extend([libc::ENOENT, 0]);
    // The filter that is to be deleted is already gone. That is not an error, and the other filter is added.
    kqueue.modify(pipe.as_raw_fd(), 2, WRITE_ONLY).unwrap();
    assert!(kqueue.filters().contains(&(WRITES, 2)));
    kqueue.kernel.errors.borrow_mut().extend([libc::ENOENT]);
    kqueue.deregister(pipe.as_raw_fd()).unwrap();
}

#[test]
fn a_pipe_whose_other_end_has_gone_is_an_event_and_no_error() {
    let (mut kqueue, pipe) = (kqueue(), pipe());
    kqueue.kernel.errors.borrow_mut().extend([libc::EPIPE]);
    kqueue.register(pipe.as_fd(), 1, WRITE_ONLY).unwrap();
    assert_eq!(kqueue.events(), [Event::new(1, BROKEN)]);
    assert_eq!(kqueue.events(), []);
    // The filter of this descriptor was never added.
    kqueue.deregister(pipe.as_raw_fd()).unwrap();
}

#[test]
fn an_event_in_the_place_of_an_answer_is_not_lost() {
    let (mut kqueue, pipe) = (kqueue(), pipe());
    kqueue.kernel.out_of_turn.replace(Some(Kevent::new(3, kevent::READ, 0, 9)));
    kqueue.register(pipe.as_fd(), 1, BOTH).unwrap();
    assert_eq!(kqueue.events(), [Event::new(9, READABLE)]);
}

#[test]
fn each_event_is_translated_to_its_flags() {
    let kevent = |filter, flags, data| Kevent::new(5, filter, flags, 7).with_data(data);
    let table = [
        (kevent(kevent::READ, kevent::CLEAR, 9), READABLE),
        // Nine bytes and the end arrive together: both are reported at once, and the bytes come first.
        (kevent(kevent::READ, kevent::CLEAR | kevent::EOF, 9), READABLE | READ_CLOSED),
        (kevent(kevent::READ, kevent::EOF, 0).with_fflags(libc::ECONNRESET as u32), READABLE | READ_CLOSED),
        (kevent(kevent::WRITE, kevent::CLEAR, 4096), WRITABLE),
        (kevent(kevent::WRITE, kevent::CLEAR | kevent::EOF, 0), WRITABLE | WRITE_CLOSED),
        (kevent(kevent::READ, kevent::ERROR, libc::EBADF), BROKEN),
    ];
    let mut kqueue = kqueue();
    for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]] {
        let events = order.map(|place| table[place].0).to_vec();
        kqueue.kernel.brings.borrow_mut().push_back(Ok(events));
        assert_eq!(kqueue.events(), order.map(|place| Event::new(7, table[place].1)));
    }
}

#[test]
fn a_signal_is_no_event_and_another_error_is_one() {
    let mut kqueue = kqueue();
    // Lack of memory is not an error either.
    for errno in [libc::EINTR, libc::ENOMEM] {
        kqueue.kernel.brings.borrow_mut().push_back(Err(io::Error::from_raw_os_error(errno)));
        assert_eq!(kqueue.events(), []);
    }
    kqueue.kernel.brings.borrow_mut().push_back(Err(io::Error::from_raw_os_error(libc::EBADF)));
    assert_eq!(errno(kqueue.wait(8, None, |event| panic!("{event:?}"))), Some(libc::EBADF));
}

#[test]
fn the_notifier_is_no_event() {
    let mut kqueue = kqueue();
    let own = Kevent::new(0, kevent::READ, 0, NOTIFIER_KEY);
    let other = Kevent::new(5, kevent::READ, 0, 7);
    kqueue.kernel.brings.borrow_mut().push_back(Ok(vec![own, other]));
    assert_eq!(kqueue.events(), [Event::new(7, READABLE)]);
}

#[test]
fn another_thread_removes_whatever_filters_there_are() {
    let kernel = Fake::default();
    kernel.filters.borrow_mut().insert((5, READS), 1);
    remove(&kernel, 5).unwrap();
    assert_eq!(errno(remove(&kernel, 5)), Some(libc::ENOENT));
    kernel.errors.borrow_mut().extend([libc::ENOENT, libc::EBADF]);
    assert_eq!(errno(remove(&kernel, 5)), Some(libc::EBADF));
}

#[test]
fn events_that_may_be_left_are_announced_until_a_wait_has_found_room() {
    let (mut kqueue, pipe) = (kqueue(), pipe());
    let event = Kevent::new(pipe.as_raw_fd() as usize, kevent::READ, kevent::CLEAR, 7);
    for (count, has_more) in [(7, false), (8, true), (8, true), (0, false)] {
        kqueue.kernel.brings.borrow_mut().push_back(Ok(vec![event; count]));
        assert_eq!(kqueue.events().len(), count);
        assert_eq!(kqueue.has_more(), has_more, "{count}");
    }
    // The kernel reports an event in the answer to a change.
    kqueue.kernel.errors.borrow_mut().extend([libc::EPIPE]);
    kqueue.register(pipe.as_fd(), 7, READ_ONLY).unwrap();
    assert!(kqueue.has_more(), "it is not in the kernel any more");
    assert_eq!(kqueue.events().len(), 1);
    assert!(kqueue.has_more(), "the kernel has not been asked in that wait");
    assert_eq!((kqueue.events().len(), kqueue.has_more()), (0, false));
}

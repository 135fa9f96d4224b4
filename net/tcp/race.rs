//! Several addresses, of which the first one that answers is used: Happy Eyeballs, RFC 8305.
//!
//! A name often has addresses of both families, and one family may be unreachable. To try one address after the other
//! then takes as long as the system waits for an address that does not answer, which is minutes; to try all at once
//! puts needless load on the server. So the attempts are started one after the other, a short time apart, with
//! alternating families, and the first one that succeeds ends the others.
//!
//! The caller decides what an attempt does. This file only decides when an attempt starts, and whose result is
//! returned.

use crate::time::{Sleep, sleep};
use std::future::poll_fn;
use std::io;
use std::iter::Enumerate;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec;

/// The time that an attempt has before the next one starts beside it: the *Connection Attempt Delay* that RFC 8305,
/// section 5, recommends.
const STAGGER: Duration = Duration::from_millis(250);

/// Starts attempts on the addresses until one succeeds. The others are dropped then.
///
/// A single address costs neither a timer nor memory.
pub(super) async fn race<T, F>(
    mut addresses: impl Iterator<Item = SocketAddr>,
    mut attempt: impl FnMut(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let Some(first) = addresses.next() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "there is no address to connect to: the name or the slice contains none",
        ));
    };
    let Some(second) = addresses.next() else {
        return attempt(first).await;
    };
    let order = in_turns([first, second].into_iter().chain(addresses));
    let mut race =
        Race { addresses: order.into_iter().enumerate(), running: Vec::new(), stagger: None, error: None };
    poll_fn(|cx| race.poll(cx, &mut attempt)).await
}

/// Orders the addresses so that the families alternate, beginning with that of the first address. The order within a
/// family stays.
fn in_turns(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses = addresses.peekable();
    let is_v4 = addresses.peek().is_some_and(SocketAddr::is_ipv4);
    let (same, other): (Vec<_>, Vec<_>) = addresses.partition(|address| address.is_ipv4() == is_v4);
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    let mut order = Vec::with_capacity(same.len() + other.len());
    while same.len() + other.len() > 0 {
        order.extend(same.next());
        order.extend(other.next());
    }
    order
}

struct Race<F> {
    /// The addresses that have not been tried yet, with their positions.
    addresses: Enumerate<vec::IntoIter<SocketAddr>>,
    /// The attempts that are running, with the positions of their addresses. The latest is last. They are boxed, since
    /// they are moved.
    running: Vec<(usize, Pin<Box<F>>)>,
    /// The time at which the next attempt starts. It is set only while there are more addresses.
    stagger: Option<Sleep>,
    /// The most useful error until now, and the position of its address.
    error: Option<(usize, io::Error)>,
}

impl<T, F: Future<Output = io::Result<T>>> Race<F> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        attempt: &mut impl FnMut(SocketAddr) -> F,
    ) -> Poll<io::Result<T>> {
        loop {
            let mut is_due = self.running.is_empty();
            let mut index = 0;
            while let Some((place, running)) = self.running.get_mut(index) {
                match running.as_mut().poll(cx) {
                    Poll::Pending => index += 1,
                    Poll::Ready(Err(error)) => {
                        let place = *place;
                        self.running.remove(index);
                        self.failed(place, error);
                        // If the latest attempt has failed, the next one starts without waiting for the rest of its
                        // time.
                        is_due |= index == self.running.len();
                    }
                    Poll::Ready(good) => {
                        self.running.clear();
                        return Poll::Ready(good);
                    }
                }
            }
            if !is_due {
                let stagger = self.stagger.as_mut().map(|stagger| stagger.poll_unbudgeted(cx));
                is_due = stagger.is_some_and(|polled| polled.is_ready());
            }
            if !is_due {
                return Poll::Pending;
            }
            match self.addresses.next() {
                Some((place, address)) => {
                    self.running.push((place, Box::pin(attempt(address))));
                    self.stagger = (self.addresses.len() > 0).then(|| sleep(STAGGER));
                }
                None if self.running.is_empty() => {
                    let error = self.error.take().map(|(_, error)| error);
                    return Poll::Ready(Err(error.expect("an attempt has failed")));
                }
                None => return Poll::Pending,
            }
        }
    }

    /// Keeps the error of the earliest address. But an error that says only that there is no route from this host, such
    /// as to a family that this host does not have, is less useful than any other.
    fn failed(&mut self, place: usize, error: io::Error) {
        let rank = |place: usize, error: &io::Error| (is_no_route(error), place);
        if self.error.as_ref().is_none_or(|(earlier, kept)| rank(place, &error) < rank(*earlier, kept)) {
            self.error = Some((place, error));
        }
    }
}

fn is_no_route(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::Unsupported
    ) || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Instant, pause, timeout};
    use std::cell::RefCell;
    use std::io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable};

    type Answer = Result<(), io::ErrorKind>;

    /// Addresses that answer after a number of milliseconds, and a trace of the attempts.
    #[derive(Default)]
    struct Net {
        hosts: Vec<(SocketAddr, u64, Answer)>,
        trace: RefCell<Vec<(u64, String)>>,
    }

    fn v4(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn v6(port: u16) -> SocketAddr {
        SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], port))
    }

    const NEVER: u64 = 1 << 40;

    struct Attempt<'a>(&'a dyn Fn(&str), bool);

    impl Drop for Attempt<'_> {
        fn drop(&mut self) {
            if !self.1 {
                self.0("dropped");
            }
        }
    }

    impl Net {
        /// Races the hosts, in a runtime whose clock advances by itself. Returns the port that won.
        fn race(self) -> (io::Result<u16>, Vec<(u64, String)>) {
            let won = crate::block_on(async {
                pause();
                let start = Instant::now();
                let addresses = self.hosts.iter().map(|(address, ..)| *address);
                let raced = race(addresses, |address| self.attempt(start, address)).await;
                self.note(start, "done");
                raced
            });
            (won, self.trace.into_inner())
        }

        fn note(&self, start: Instant, what: &str) {
            self.trace.borrow_mut().push((start.elapsed().as_millis() as u64, what.to_owned()));
        }

        async fn attempt(&self, start: Instant, address: SocketAddr) -> io::Result<u16> {
            let note = |what: &str| self.note(start, &format!("{} {what}", address.port()));
            note("begins");
            let mut guard = Attempt(&note, false);
            let (_, after, answer) = self.hosts.iter().find(|(host, ..)| *host == address).unwrap();
            sleep(Duration::from_millis(*after)).await;
            guard.1 = true;
            answer.map(|()| address.port()).map_err(io::Error::from)
        }
    }

    fn race_of(hosts: &[(SocketAddr, u64, Answer)]) -> (io::Result<u16>, Vec<(u64, String)>) {
        Net { hosts: hosts.to_vec(), trace: RefCell::default() }.race()
    }

    /// Borrows the lines of a trace, to compare them.
    fn lines(trace: &[(u64, String)]) -> Vec<(u64, &str)> {
        trace.iter().map(|(ms, what)| (*ms, what.as_str())).collect()
    }

    #[test]
    fn the_next_attempt_starts_after_a_quarter_of_a_second_and_losers_are_dropped() {
        let (won, trace) = race_of(&[
            (v6(1), NEVER, Ok(())),
            (v4(2), NEVER, Ok(())),
            (v6(3), 10, Ok(())),
            (v4(4), 0, Ok(())),
        ]);
        assert_eq!(won.unwrap(), 3);
        assert_eq!(
            lines(&trace),
            [
                (0, "1 begins"),
                (250, "2 begins"),
                (500, "3 begins"),
                // The fourth attempt is not even started.
                (510, "1 dropped"),
                (510, "2 dropped"),
                (510, "done"),
            ]
        );
    }

    #[test]
    fn a_failure_starts_the_next_attempt_at_once_with_a_new_delay() {
        let (won, trace) = race_of(&[
            (v4(1), 100, Err(ConnectionRefused)),
            (v4(2), NEVER, Ok(())),
            (v4(3), 20, Err(ConnectionReset)),
            (v4(4), 300, Ok(())),
            (v4(5), NEVER, Ok(())),
        ]);
        assert_eq!(won.unwrap(), 4);
        assert_eq!(
            lines(&trace)[..5],
            [(0, "1 begins"), (100, "2 begins"), (350, "3 begins"), (370, "4 begins"), (620, "5 begins"),]
        );
        assert_eq!(trace.last().unwrap(), &(670, "done".to_owned()));
    }

    #[test]
    fn the_failure_of_an_earlier_attempt_does_not_start_the_next_one() {
        let (won, trace) =
            race_of(&[(v4(1), 300, Err(ConnectionRefused)), (v4(2), NEVER, Ok(())), (v4(3), 10, Ok(()))]);
        assert_eq!(won.unwrap(), 3);
        assert_eq!(lines(&trace)[..3], [(0, "1 begins"), (250, "2 begins"), (500, "3 begins")]);
    }

    #[test]
    fn the_first_attempt_may_win_late() {
        let (won, trace) = race_of(&[(v6(1), 400, Ok(())), (v4(2), 200, Ok(())), (v4(3), 0, Ok(()))]);
        assert_eq!(won.unwrap(), 1);
        assert_eq!(lines(&trace), [(0, "1 begins"), (250, "2 begins"), (400, "2 dropped"), (400, "done")]);
    }

    #[test]
    fn of_two_attempts_that_succeed_at_once_the_earlier_wins() {
        let (won, _) = race_of(&[(v6(1), 300, Ok(())), (v4(2), 50, Ok(()))]);
        assert_eq!(won.unwrap(), 1);
    }

    #[test]
    fn the_first_error_is_returned_unless_it_says_only_that_there_is_no_route() {
        let error = |hosts: &[(SocketAddr, u64, Answer)]| race_of(hosts).0.unwrap_err().kind();
        let refused = (v4(1), 5, Err(ConnectionRefused));
        let reset = (v4(2), 1, Err(ConnectionReset));
        let no_net = (v6(3), 0, Err(NetworkUnreachable));
        let no_host = (v6(4), 0, Err(HostUnreachable));
        assert_eq!(error(&[refused, reset]), ConnectionRefused);
        assert_eq!(error(&[reset, refused]), ConnectionReset);
        assert_eq!(error(&[no_net, no_host, refused, reset]), ConnectionRefused);
        assert_eq!(error(&[no_host, no_net]), HostUnreachable);
        assert_eq!(error(&[refused]), ConnectionRefused);
        // The slower error is returned, if its address is earlier in the list.
        assert_eq!(error(&[(v4(5), 900, Err(ConnectionReset)), refused]), ConnectionReset);
    }

    #[test]
    fn the_families_alternate_from_the_first_on() {
        let order = |addresses: &[SocketAddr]| {
            in_turns(addresses.iter().copied()).iter().map(SocketAddr::port).collect::<Vec<_>>()
        };
        assert_eq!(order(&[v6(1), v6(2), v6(3), v4(4), v4(5)]), [1, 4, 2, 5, 3]);
        assert_eq!(order(&[v4(1), v6(2), v6(3), v6(4)]), [1, 2, 3, 4]);
        assert_eq!(order(&[v4(1), v4(2), v4(3)]), [1, 2, 3]);
        assert_eq!(order(&[v4(3), v4(1), v6(9), v4(2)]), [3, 9, 1, 2]);
        assert_eq!(order(&[]), Vec::<u16>::new());
    }

    #[test]
    fn without_an_address_there_is_an_error_and_with_one_there_is_no_delay() {
        let none = race_of(&[]).0.unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::InvalidInput);
        let (won, trace) = race_of(&[(v4(1), 1000, Ok(()))]);
        assert_eq!(won.unwrap(), 1);
        assert_eq!(lines(&trace), [(0, "1 begins"), (1000, "done")]);
    }

    #[test]
    fn a_dropped_race_drops_every_attempt() {
        let net =
            Net { hosts: vec![(v4(1), NEVER, Ok(())), (v6(2), NEVER, Ok(()))], trace: RefCell::default() };
        crate::block_on(async {
            pause();
            let start = Instant::now();
            let addresses = net.hosts.iter().map(|(address, ..)| *address);
            let raced = race(addresses, |address| net.attempt(start, address));
            assert!(timeout(Duration::from_millis(300), raced).await.is_err());
        });
        let trace = net.trace.into_inner();
        assert_eq!(
            lines(&trace),
            [(0, "1 begins"), (250, "2 begins"), (300, "1 dropped"), (300, "2 dropped")]
        );
    }
}

//! The timer: hyper's sleeps are sleeps of the runtime in which they are first polled.

use crate::time::{self, Duration, Instant};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Gives hyper its time: for header timeouts, keep-alive and the idle connections of a client's pool.
///
/// A sleep that hyper resets keeps its memory. If the clock of the runtime is paused, hyper's time stands still too.
///
/// # Examples
///
/// ```
/// use hyper::server::conn::http1;
/// use runtime::hyper::Timer;
/// use std::time::Duration;
///
/// http1::Builder::new().timer(Timer).header_read_timeout(Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Timer;

/// The sleep that hyper gets. The trait of hyper wants a type of ours, for its downcast.
struct Sleep(time::Sleep);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl ::hyper::rt::Sleep for Sleep {}

impl ::hyper::rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn ::hyper::rt::Sleep>> {
        Box::pin(Sleep(time::sleep(duration)))
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn ::hyper::rt::Sleep>> {
        Box::pin(Sleep(time::sleep_until(Instant::from_std(deadline))))
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn ::hyper::rt::Sleep>>, deadline: std::time::Instant) {
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            Some(ours) => Pin::new(&mut ours.get_mut().0).reset(Instant::from_std(deadline)),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::hyper::rt::Timer as _;

    /// The address of a boxed sleep.
    fn address(sleep: &Pin<Box<dyn ::hyper::rt::Sleep>>) -> *const () {
        (&raw const **sleep).cast()
    }

    #[test]
    fn a_sleep_is_reset_in_place() {
        crate::block_on(async {
            time::pause();
            let start = Timer.now();
            let mut sleep = Timer.sleep(Duration::from_secs(3600));
            let before = address(&sleep);
            Timer.reset(&mut sleep, start + Duration::from_secs(5));
            assert_eq!(address(&sleep), before, "the box was replaced");
            sleep.await;
            assert_eq!((Timer.now() - start).as_secs(), 5);
        });
    }

    #[test]
    fn a_sleep_of_another_timer_is_replaced() {
        struct Foreign;
        impl Future for Foreign {
            type Output = ();
            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
                unreachable!("it was replaced")
            }
        }
        impl ::hyper::rt::Sleep for Foreign {}
        crate::block_on(async {
            let mut sleep: Pin<Box<dyn ::hyper::rt::Sleep>> = Box::pin(Foreign);
            Timer.reset(&mut sleep, Timer.now());
            sleep.await;
        });
    }
}

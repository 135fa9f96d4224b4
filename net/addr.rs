//! Addresses, and the look-up of names.
//!
//! The text of an IP address is parsed at once. A name is looked up with std's resolver, which calls getaddrinfo(3).
//! That function blocks, so it is called on a thread of the runtime's pool.

use crate::task::{JoinHandle, coop, spawn_look_up};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

/// A value that can be converted to socket addresses, with a look-up if it is a name.
///
/// The trait has the same implementors as [`std::net::ToSocketAddrs`]: addresses, pairs of an IP or a name and a port,
/// strings of the form `host:port`, and slices of addresses. It cannot be implemented outside of this crate. To get the
/// addresses of a value, call [`lookup_host`].
pub trait ToSocketAddrs: sealed::Resolve {}

/// Looks up a name, and returns all its addresses, in the order in which they should be tried.
///
/// An IP address is only parsed. A name is looked up on a thread of the runtime's pool. The number of look-ups at the
/// same time is limited to a quarter of these threads, or to four if that is more; further look-ups wait for an earlier
/// one to end. So a slow resolver does not keep other calls of [`spawn_blocking`](crate::task::spawn_blocking) from
/// running.
///
/// # Cancel safety
///
/// This function is cancel safe. A look-up that has begun runs to its end on its thread, and the result is dropped.
///
/// # Errors
///
/// Returns [`InvalidInput`](io::ErrorKind::InvalidInput) if a string is not of the form `host:port`, and any error of
/// the system's resolver.
///
/// # Panics
///
/// Panics if a name is to be looked up and no runtime is entered on this thread.
///
/// # Examples
///
/// ```
/// # runtime::block_on(async {
/// let addresses: Vec<_> = runtime::net::lookup_host("127.0.0.1:7000").await?.collect();
/// assert_eq!(addresses, ["127.0.0.1:7000".parse().unwrap()]);
///
/// let mut local = runtime::net::lookup_host(("localhost", 7000)).await?;
/// assert!(local.all(|address| address.ip().is_loopback()));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn lookup_host(host: impl ToSocketAddrs) -> io::Result<impl Iterator<Item = SocketAddr>> {
    host.resolve().await
}

/// Resolves the addresses, and tries `attempt` on one after the other until one succeeds. Otherwise it returns the last
/// error. It consumes budget, since as a rule nothing here has to wait: a task that calls it in a loop would not yield.
pub(super) async fn try_each<T, F>(
    addresses: impl ToSocketAddrs,
    mut attempt: impl FnMut(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    coop::consume_budget().await;
    let mut last_error = None;
    for address in addresses.resolve().await? {
        match attempt(address).await {
            Ok(done) => return Ok(done),
            Err(error) => last_error = Some(error),
        }
    }
    Err(last_error.unwrap_or_else(no_address))
}

pub(super) fn no_address() -> io::Error {
    invalid("there is no address to try: the name or the slice contains none")
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

mod sealed {
    pub trait Resolve {
        #[doc(hidden)]
        fn resolve(&self) -> super::Lookup;
    }
}
use sealed::Resolve;

/// The future of the addresses: they are known at once, or a thread of the pool looks them up.
pub enum Lookup {
    Known(Option<io::Result<Addresses>>),
    Asking(Asking),
}

/// One address, which is the usual case, or several.
pub enum Addresses {
    One(Option<SocketAddr>),
    Many(vec::IntoIter<SocketAddr>),
}

/// A look-up on a thread of the pool. It is aborted on drop: if it has not been started by then, it never is.
pub struct Asking(JoinHandle<io::Result<vec::IntoIter<SocketAddr>>>);

impl Lookup {
    fn one(address: SocketAddr) -> Lookup {
        Lookup::Known(Some(Ok(Addresses::One(Some(address)))))
    }

    /// Resolves a host without its port: an IP, or a name to look up.
    fn host(host: &str, port: u16) -> Lookup {
        match host.parse::<IpAddr>() {
            Ok(ip) => Lookup::one(SocketAddr::new(ip, port)),
            Err(_) => {
                let host = host.to_owned();
                let ask = move || std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port));
                Lookup::Asking(Asking(spawn_look_up(ask)))
            }
        }
    }

    /// Resolves a text of the form `host:port`.
    fn text(text: &str) -> Lookup {
        if let Ok(address) = text.parse() {
            return Lookup::one(address);
        }
        let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        match parts {
            Some((host, port)) => Lookup::host(host, port),
            None => Lookup::Known(Some(Err(invalid(
                "not an address: expected host:port, such as example.org:80",
            )))),
        }
    }
}

impl Future for Lookup {
    type Output = io::Result<Addresses>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Lookup::Known(addresses) => {
                Poll::Ready(addresses.take().expect("a look-up must not be polled after its end"))
            }
            Lookup::Asking(Asking(handle)) => Pin::new(handle).poll(cx).map(|answer| match answer {
                Ok(addresses) => addresses.map(Addresses::Many),
                Err(error) => Err(error.into()),
            }),
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Iterator for Addresses {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        match self {
            Addresses::One(address) => address.take(),
            Addresses::Many(addresses) => addresses.next(),
        }
    }
}

/// Implements the trait for a type, given the look-up for its value.
macro_rules! resolve {
    ($($type:ty: $value:ident => $lookup:expr;)*) => {$(
        impl Resolve for $type {
            fn resolve(&self) -> Lookup {
                let $value = self;
                $lookup
            }
        }
        impl ToSocketAddrs for $type {}
    )*};
}

resolve! {
    SocketAddr: address => Lookup::one(*address);
    SocketAddrV4: address => Lookup::one(SocketAddr::V4(*address));
    SocketAddrV6: address => Lookup::one(SocketAddr::V6(*address));
    (IpAddr, u16): address => Lookup::one(SocketAddr::from(*address));
    (Ipv4Addr, u16): address => Lookup::one(SocketAddr::from(*address));
    (Ipv6Addr, u16): address => Lookup::one(SocketAddr::from(*address));
    (&str, u16): pair => Lookup::host(pair.0, pair.1);
    (String, u16): pair => Lookup::host(&pair.0, pair.1);
    str: text => Lookup::text(text);
    String: text => Lookup::text(text);
    &[SocketAddr]: slice => Lookup::Known(Some(Ok(Addresses::Many(Vec::from(*slice).into_iter()))));
}

impl<T: Resolve + ?Sized> Resolve for &T {
    fn resolve(&self) -> Lookup {
        (**self).resolve()
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the addresses if they are known at once, without a runtime and so without a thread.
    fn known(host: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
        match host.resolve() {
            Lookup::Known(ref mut addresses) => addresses.take().unwrap().map(Iterator::collect),
            Lookup::Asking(_) => panic!("the resolver was asked"),
        }
    }

    #[test]
    fn an_ip_is_parsed_at_once() {
        let v4: SocketAddr = "192.0.2.1:80".parse().unwrap();
        let v6: SocketAddr = "[2001:db8::1]:80".parse().unwrap();
        for found in
            [known("192.0.2.1:80"), known(("192.0.2.1", 80)), known(v4), known((v4.ip(), 80)), known(v4)]
        {
            assert_eq!(found.unwrap(), [v4]);
        }
        for found in [known("[2001:db8::1]:80".to_owned()), known(("2001:db8::1".to_owned(), 80)), known(v6)]
        {
            assert_eq!(found.unwrap(), [v6]);
        }
        assert_eq!(known(&[v4, v6][..]).unwrap(), [v4, v6]);
    }

    #[test]
    fn a_text_that_is_no_address_is_refused_at_once() {
        for text in ["", "localhost", "127.0.0.1", "localhost:http", "localhost:65536", "localhost:"] {
            assert_eq!(known(text).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{text}");
        }
    }
}

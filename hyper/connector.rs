//! The connector of hyper-util's pooled client.
//!
//! A connection is opened by `TcpStream::connect`, which looks up the name and tries the addresses by Happy Eyeballs.

use crate::net::TcpStream;
use crate::time::{Duration, timeout};
use ::hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Opens connections for the client of hyper-util.
///
/// It connects to the host of a URI, which is a name or an IP address, and to its port, or else to port 80 (`http`, `ws`)
/// or 443 (`https`, `wss`). Several addresses are tried by Happy Eyeballs, see [`TcpStream::connect`]. It does not encrypt:
/// a URI of scheme `https` needs a connector of TLS around this one, and is refused unless
/// [`enforce_http`](Connector::enforce_http) is set to `false`.
///
/// # Examples
///
/// ```
/// use hyper_util::client::legacy::Client;
/// use runtime::hyper::{Connector, Executor, Timer};
/// use std::time::Duration;
///
/// let connector = Connector::new().connect_timeout(Duration::from_secs(5));
/// let client: Client<_, String> = Client::builder(Executor)
///     .pool_timer(Timer) // closes idle connections
///     .timer(Timer)
///     .build(connector);
/// ```
#[derive(Clone, Debug)]
pub struct Connector {
    nodelay: bool,
    enforce_http: bool,
    connect_timeout: Duration,
}

impl Default for Connector {
    fn default() -> Connector {
        Connector::new()
    }
}

impl Connector {
    /// Creates a connector that sets `TCP_NODELAY`, accepts `http` only, and has no timeout of its own.
    pub fn new() -> Connector {
        Connector { nodelay: true, enforce_http: true, connect_timeout: Duration::MAX }
    }

    /// Sets the option `TCP_NODELAY` of the connections. The default is `true`: with Nagle's algorithm, a small request may
    /// wait for the acknowledgement of what was sent before.
    pub fn nodelay(mut self, on: bool) -> Connector {
        self.nodelay = on;
        self
    }

    /// Sets whether URIs are refused whose scheme is not `http`. The default is `true`.
    pub fn enforce_http(mut self, on: bool) -> Connector {
        self.enforce_http = on;
        self
    }

    /// Sets the time for the look-up of the name and all attempts to connect together. By default there is no limit but
    /// that of the system.
    pub fn connect_timeout(mut self, limit: Duration) -> Connector {
        self.connect_timeout = limit;
        self
    }

    /// Returns the host and the port of a URI.
    fn target(&self, uri: &Uri) -> io::Result<(String, u16)> {
        let invalid = |reason| io::Error::new(io::ErrorKind::InvalidInput, reason);
        let scheme = uri.scheme_str().ok_or_else(|| invalid("the URI has no scheme"))?;
        if self.enforce_http && scheme != "http" {
            return Err(invalid("the scheme of the URI is not http"));
        }
        let host = uri.host().ok_or_else(|| invalid("the URI has no host"))?;
        // Careful: a port that is not a number of 16 bits counts as none there.
        let has_port = uri.authority().is_some_and(|authority| has_port(authority.as_str()));
        let port = match (uri.port_u16(), scheme.to_ascii_lowercase().as_str()) {
            (Some(port), _) => port,
            (None, _) if has_port => return Err(invalid("the port of the URI is not one of TCP")),
            (None, "http" | "ws") => 80,
            (None, "https" | "wss") => 443,
            (None, _) => return Err(invalid("the URI has no port, and its scheme has no usual one")),
        };
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        Ok((address.unwrap_or(host).to_owned(), port))
    }

    async fn connect(self, uri: Uri) -> io::Result<TcpStream> {
        let (host, port) = self.target(&uri)?;
        let stream = timeout(self.connect_timeout, TcpStream::connect((host.as_str(), port))).await??;
        if self.nodelay {
            stream.set_nodelay(true)?;
        }
        Ok(stream)
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = TcpStream;
    type Error = io::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        Connecting { future: Box::pin(self.clone().connect(uri)) }
    }
}

/// Returns `true` if there is something behind the colon of the port.
fn has_port(authority: &str) -> bool {
    // A colon in front of the bracket belongs to an IPv6 address, or to a password.
    let end = authority.rsplit([']', '@']).next().unwrap_or_default();
    end.split_once(':').is_some_and(|(_, port)| !port.is_empty())
}

/// The future of a [`Connector`]. When it is dropped, it closes its sockets.
#[must_use = "futures do nothing unless they are polled"]
pub struct Connecting {
    future: Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>,
}

impl Future for Connecting {
    type Output = io::Result<TcpStream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.future.as_mut().poll(cx)
    }
}

impl fmt::Debug for Connecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting").finish_non_exhaustive()
    }
}

impl Connection for TcpStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

#[cfg(feature = "unix")]
impl Connection for crate::net::UnixStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_of_uris() {
        let http = Connector::new();
        let any = Connector::new().enforce_http(false);
        for (uri, connector, target) in [
            ("http://example.org/path", &http, Some(("example.org", 80))),
            ("http://127.0.0.1:8080", &http, Some(("127.0.0.1", 8080))),
            ("http://[::1]:81/", &http, Some(("::1", 81))),
            ("https://example.org", &http, None),
            ("https://example.org", &any, Some(("example.org", 443))),
            ("ws://example.org", &any, Some(("example.org", 80))),
            ("gopher://example.org", &any, None),
            ("/path", &any, None),
            ("HTTP://example.org:8000", &http, Some(("example.org", 8000))),
            ("WS://example.org", &any, Some(("example.org", 80))),
            ("http://example.org:", &http, Some(("example.org", 80))),
            ("http://user:1@example.org", &http, Some(("example.org", 80))),
            ("http://user:1@[::1]", &http, Some(("::1", 80))),
            ("http://example.org:65536", &http, None),
            ("http://[::1]:99999", &http, None),
        ] {
            let found = connector.target(&uri.parse().unwrap());
            match target {
                Some((host, port)) => assert_eq!(found.unwrap(), (host.to_owned(), port), "{uri}"),
                None => assert_eq!(found.unwrap_err().kind(), io::ErrorKind::InvalidInput, "{uri}"),
            }
        }
    }
}

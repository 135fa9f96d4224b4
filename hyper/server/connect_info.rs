//! The value that the requests of a connection carry about it: one that a function of the user makes of the peer's address.
//!
//! The function is called once for each connection, and its value is cloned into the extensions of each request.

use ::hyper::Request;
use ::hyper::http::Extensions;
use ::hyper::service::Service;
use std::rc::Rc;

/// Adds the value of one connection to the extensions of a request.
type Insert = Rc<dyn Fn(&mut Extensions)>;

/// Calls the function of the user with the address of a peer.
type OfPeer<A> = Box<dyn Fn(&A) -> Insert>;

/// The function of [`connect_info`](super::HttpServer::connect_info).
pub(super) struct ConnectInfo<A> {
    /// `None` if there is no such function.
    of_peer: Option<OfPeer<A>>,
}

impl<A> ConnectInfo<A> {
    pub(super) fn none() -> ConnectInfo<A> {
        ConnectInfo { of_peer: None }
    }

    pub(super) fn new<T: Clone + Send + Sync + 'static>(info: impl Fn(&A) -> T + 'static) -> ConnectInfo<A> {
        let of_peer = move |peer: &A| -> Insert {
            let info = info(peer);
            Rc::new(move |extensions| drop(extensions.insert(info.clone())))
        };
        ConnectInfo { of_peer: Some(Box::new(of_peer)) }
    }

    /// Returns the service of the connection from a peer.
    pub(super) fn around<S>(&self, service: S, peer: &A) -> Informed<S> {
        Informed { service, insert: self.of_peer.as_ref().map(|of_peer| of_peer(peer)) }
    }
}

/// The service of one connection, whose requests say what it is.
#[derive(Clone)]
pub(super) struct Informed<S> {
    service: S,
    insert: Option<Insert>,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Informed<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: Request<B>) -> S::Future {
        if let Some(insert) = &self.insert {
            insert(request.extensions_mut());
        }
        self.service.call(request)
    }
}

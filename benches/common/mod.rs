//! The parts that all benches share: the contenders, the workloads, and the instruments.
//!
//! A *contender* ([`contender`]) is a runtime behind a small trait, so that one workload
//! ([`tasks`], [`cross_thread`], [`timers`]) runs unchanged on this crate and on tokio. The *floor* is
//! the same work without any runtime: [`floor`] for tasks and timers, [`epoll_server`] for sockets.
//!
//! [`criterion`] adapts both to criterion's benches.
//!
//! Sockets need two sides. The server under test is a process of its own ([`server`]); the load
//! comes from one hand-written client ([`load`]), the same for all servers, so that any
//! difference comes from the server.
//!
//! Everything here is for Linux only, since it reads Linux's CPU clocks and builds its floor on epoll.

#![allow(dead_code, reason = "each bench is a crate of its own and uses its part of this")]

pub(crate) mod arguments;
pub(crate) mod callgrind;
pub(crate) mod choice;
pub(crate) mod contender;
pub(crate) mod criterion;
pub(crate) mod cross_thread;
pub(crate) mod epoll;
pub(crate) mod epoll_server;
pub(crate) mod experiment;
pub(crate) mod floor;
pub(crate) mod load;
pub(crate) mod server;
pub(crate) mod stats;
pub(crate) mod system;
pub(crate) mod tasks;
pub(crate) mod timers;

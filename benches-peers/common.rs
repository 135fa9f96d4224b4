//! The parts of the other benches that this program uses: this crate and tokio as contenders, the workloads, the
//! floor, the load and the instruments. `benches/common/mod.rs` says what they are.

#![allow(dead_code, reason = "this program uses its part of what the benches share")]

#[path = "../benches/common/arguments.rs"]
pub(crate) mod arguments;
#[path = "../benches/common/callgrind.rs"]
pub(crate) mod callgrind;
#[path = "../benches/common/contender.rs"]
pub(crate) mod contender;
#[path = "../benches/common/epoll.rs"]
pub(crate) mod epoll;
#[path = "../benches/common/epoll_server.rs"]
pub(crate) mod epoll_server;
#[path = "../benches/common/experiment.rs"]
pub(crate) mod experiment;
#[path = "../benches/common/floor.rs"]
pub(crate) mod floor;
#[path = "../benches/common/load.rs"]
pub(crate) mod load;
#[path = "../benches/common/server.rs"]
pub(crate) mod server;
#[path = "../benches/common/stats.rs"]
pub(crate) mod stats;
#[path = "../benches/common/system.rs"]
pub(crate) mod system;
#[path = "../benches/common/tasks.rs"]
pub(crate) mod tasks;
#[path = "../benches/common/timers.rs"]
pub(crate) mod timers;

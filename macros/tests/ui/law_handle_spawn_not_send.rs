//! A future spawned from another thread must be `Send`. A future spawned on its own thread need not be.

use std::rc::Rc;

fn spawn_both(handle: &runtime::Handle) {
    let shared = Rc::new(5);
    drop(runtime::spawn(async move { drop(shared) }));

    let shared = Rc::new(5);
    drop(handle.spawn(async move { drop(shared) }));
}

fn main() {}

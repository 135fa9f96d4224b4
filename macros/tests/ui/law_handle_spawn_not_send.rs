//! What is spawned from another thread crosses threads; what is spawned on its own thread need not.

use std::rc::Rc;

fn spawn_both(handle: &runtime::Handle) {
    let shared = Rc::new(5);
    drop(runtime::spawn(async move { drop(shared) }));

    let shared = Rc::new(5);
    drop(handle.spawn(async move { drop(shared) }));
}

fn main() {}

//! The tree of cancellation tokens: a node for each token and all its clones, its parent, and its children.
//!
//! Cancelling a node cancels all nodes below it. A node that has no tokens any more and is not needed as a branch leaves the
//! tree, and its only child takes its place:
//!
//! ```text
//!      A                    A               A                       A
//!      │                    │              ╱ ╲                     ╱ ╲
//!     (B)       becomes     C            (B)  E      stays       (B)  E
//!      │                                 ╱ ╲                     ╱ ╲
//!      C                                C   D                   C   D        (B): no tokens
//! ```
//!
//! So a node without tokens has at least two children, there are fewer such nodes than others, and a task that replaces
//! its token by a child of it again and again does not take ever more memory. Each removal is a constant number of steps,
//! and nothing here is recursive: trees may be as deep as memory allows.
//!
//! Parents and children hold each other. A node is removed when it loses its last token, and not when its count of
//! references falls to zero.

use crate::sync::condition::Condition;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The number of children for which memory is kept.
const KEPT: usize = 16;

pub(super) struct Node {
    is_cancelled: Cell<bool>,
    pub(super) cancelled: Condition,
    /// The number of tokens.
    tokens: Cell<usize>,
    links: RefCell<Links>,
}

/// The place of a node in the tree. A node that is cancelled has no parent and no children.
#[derive(Default)]
struct Links {
    parent: Option<Rc<Node>>,
    /// The index among the children of the parent.
    index: usize,
    children: Vec<Rc<Node>>,
}

impl Node {
    /// Creates the root of a tree, with one token.
    pub(super) fn new() -> Rc<Node> {
        Rc::new(Node {
            is_cancelled: Cell::new(false),
            cancelled: Condition::new(),
            tokens: Cell::new(1),
            links: RefCell::default(),
        })
    }

    /// Creates a child with one token. The child of a node that is cancelled is cancelled.
    pub(super) fn child(self: &Rc<Node>) -> Rc<Node> {
        let child = Node::new();
        if self.is_cancelled() {
            child.is_cancelled.set(true);
        } else {
            self.adopt(child.clone());
        }
        child
    }

    #[inline]
    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.get()
    }

    pub(super) fn add_token(&self) {
        self.tokens.set(self.tokens.get() + 1);
    }

    /// Counts a token that is dropped.
    pub(super) fn remove_token(self: &Rc<Node>) {
        self.tokens.set(self.tokens.get() - 1);
        self.remove_if_unused();
    }

    /// Cancels this node and all below it.
    pub(super) fn cancel(self: &Rc<Node>) {
        if self.is_cancelled.replace(true) {
            return;
        }
        self.detach_from_parent();
        // All are cancelled before any waiter is woken: a waker may look at each of them.
        let mut cancelled = self.take_children();
        let mut next = 0;
        while let Some(node) = cancelled.get(next) {
            node.is_cancelled.set(true);
            let children = node.take_children();
            cancelled.extend(children);
            next += 1;
        }
        self.cancelled.notify_all();
        cancelled.iter().for_each(|node| node.cancelled.notify_all());
    }

    /// Takes the children out of the tree.
    fn take_children(&self) -> Vec<Rc<Node>> {
        let children = std::mem::take(&mut self.links.borrow_mut().children);
        // The nodes are held by those who called this, so no node is dropped here.
        children.iter().for_each(|child| child.links.borrow_mut().parent = None);
        children
    }

    fn detach_from_parent(self: &Rc<Node>) {
        let parent = self.links.borrow_mut().parent.take();
        if let Some(parent) = parent {
            parent.remove_child(self.links.borrow().index);
            parent.remove_if_unused();
        }
    }

    /// Removes a node that has no tokens and at most one child. The parent, which loses a child only if there is none to
    /// take the place, may then be unused in turn, but not the parent's parent: it keeps its number of children.
    fn remove_if_unused(self: &Rc<Node>) {
        let only_child = {
            let links = self.links.borrow();
            if self.tokens.get() > 0 || links.children.len() > 1 {
                return;
            }
            links.children.first().cloned()
        };
        let Some(child) = only_child else {
            self.detach_from_parent();
            return;
        };
        let (parent, index) = {
            let mut links = self.links.borrow_mut();
            links.children.clear();
            (links.parent.take(), links.index)
        };
        if let Some(parent) = &parent {
            parent.links.borrow_mut().children[index] = child.clone();
        }
        let mut links = child.links.borrow_mut();
        (links.parent, links.index) = (parent, index);
    }

    fn adopt(self: &Rc<Node>, child: Rc<Node>) {
        let mut links = self.links.borrow_mut();
        {
            let mut links_of_child = child.links.borrow_mut();
            links_of_child.parent = Some(self.clone());
            links_of_child.index = links.children.len();
        }
        links.children.push(child);
    }

    fn remove_child(&self, index: usize) {
        let removed = {
            let mut links = self.links.borrow_mut();
            let removed = links.children.swap_remove(index);
            if let Some(moved) = links.children.get(index) {
                moved.links.borrow_mut().index = index;
            }
            let capacity = links.children.capacity();
            if capacity > KEPT && links.children.len() < capacity / 4 {
                let needed = links.children.len() * 2;
                links.children.shrink_to(needed.max(KEPT));
            }
            removed
        };
        drop(removed);
    }
}

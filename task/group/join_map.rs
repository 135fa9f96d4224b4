//! `JoinMap`: a set of tasks with keys.
//!
//! The members hold the keys. A table finds the members of a hash: it has the first of them, and each has the next one
//! with the same hash. So a key is stored once, and need not be `Clone`.
//!
//! A task that is replaced leaves the members at once. Its end means nothing to the map.

use super::members::{Ended, Entry, Key, Member, Members, member_call};
use super::queue::Notice;
use crate::runtime::Handle;
use crate::runtime::join::JoinHandle;
use crate::runtime::join::error::JoinError;
use crate::runtime::join::spawn::{spawn_blocking_for, spawn_for};
use crate::runtime::unwind;
use crate::task::{Id, LocalSet, spawn_local};
use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::iter::FusedIterator;
use std::slice;

/// A set of tasks, each with a key, whose outputs are collected in the order in which the tasks end.
///
/// It corresponds to the type of this name in tokio-util. The tasks run on their own, and their futures need not be
/// `Send`. A key is in the map until the output of its task has been collected. Spawning a task with a key that is in
/// the map aborts the earlier task, whose output is not returned any more. Dropping the map aborts all tasks in it.
///
/// # Examples
///
/// ```
/// use runtime::task::JoinMap;
///
/// # runtime::block_on(async {
/// let mut map = JoinMap::new();
/// map.spawn("answer", async { 42 });
/// map.spawn("never", std::future::pending());
/// assert!(map.abort("never"));
/// while let Some((key, result)) = map.join_next().await {
///     match key {
///         "answer" => assert_eq!(result.unwrap(), 42),
///         _ => assert!(result.unwrap_err().is_cancelled()),
///     }
/// }
/// # });
/// ```
#[must_use = "dropping the map aborts its tasks"]
pub struct JoinMap<K, V, S = RandomState> {
    members: Members<V, Named<K>>,
    /// The first member of each hash.
    first: HashMap<u64, Key, BuildHasherDefault<SameHash>>,
    hash_builder: S,
}

struct Named<K> {
    key: K,
    hash: u64,
    /// The next member with this hash.
    next: Option<Key>,
}

/// A hasher for numbers that are hashes already.
#[derive(Default)]
struct SameHash(u64);

impl Hasher for SameHash {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0 << 8 ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<K, V> JoinMap<K, V> {
    /// Creates an empty map.
    pub fn new() -> JoinMap<K, V> {
        JoinMap::with_hasher(RandomState::new())
    }

    /// Creates an empty map with room for the keys of `capacity` tasks.
    pub fn with_capacity(capacity: usize) -> JoinMap<K, V> {
        JoinMap::with_capacity_and_hasher(capacity, RandomState::new())
    }
}

impl<K, V, S> JoinMap<K, V, S> {
    /// Creates an empty map that hashes its keys with `hash_builder`.
    pub fn with_hasher(hash_builder: S) -> JoinMap<K, V, S> {
        JoinMap::with_capacity_and_hasher(0, hash_builder)
    }

    /// Creates an empty map with room for the keys of `capacity` tasks, which it hashes with `hash_builder`.
    pub fn with_capacity_and_hasher(capacity: usize, hash_builder: S) -> JoinMap<K, V, S> {
        let first = HashMap::with_capacity_and_hasher(capacity, BuildHasherDefault::default());
        JoinMap { members: Members::new(), first, hash_builder }
    }

    /// Returns the number of tasks in the map, including those that have ended and whose outputs have not been
    /// collected.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns `true` if the map has no tasks.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of keys that the map has room for without a reallocation.
    pub fn capacity(&self) -> usize {
        self.first.capacity()
    }

    /// Returns an iterator over the keys in the map, in no particular order.
    pub fn keys(&self) -> JoinMapKeys<'_, K, V> {
        JoinMapKeys { entries: self.members.entries(), left: self.len() }
    }

    /// Returns `true` if the task with this id is in the map. This looks at every task.
    pub fn contains_task(&self, task: &Id) -> bool {
        self.members.iter().any(|(handle, _)| handle.id() == *task)
    }

    /// Aborts all tasks whose keys `predicate` accepts. Their errors can be collected like outputs.
    pub fn abort_matching(&mut self, mut predicate: impl FnMut(&K) -> bool) {
        self.members.iter().filter(|(_, named)| predicate(&named.key)).for_each(|(handle, _)| handle.abort());
    }

    /// Aborts all tasks in the map. They stay in it until their errors have been collected.
    pub fn abort_all(&mut self) {
        self.members.abort_all();
    }

    /// Removes all tasks from the map. They continue to run, also after the map has been dropped.
    pub fn detach_all(&mut self) {
        self.first.clear();
        self.members.detach_all();
    }

    /// Waits until a task in the map ends, and returns its key and its output, or the error of a task that panicked or
    /// was aborted. Returns `None` if the map is empty.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a task stays in the map until its output is returned.
    ///
    /// # Panics
    ///
    /// Panics in the same cases as awaiting the [`JoinHandle`] of a task in the map.
    pub async fn join_next(&mut self) -> Option<(K, Result<V, JoinError>)> {
        let ended = poll_fn(|cx| self.members.poll_next(cx)).await;
        ended.map(|ended| self.end(ended))
    }

    /// Returns the key and the output of a task that has ended. Returns `None` if no task in the map has ended, or if
    /// the map is empty.
    pub fn try_join_next(&mut self) -> Option<(K, Result<V, JoinError>)> {
        self.members.try_next().map(|ended| self.end(ended))
    }

    /// Aborts all tasks, and waits until they have ended. Panics of the tasks are ignored. After that, the map is
    /// empty.
    ///
    /// # Cancel safety
    ///
    /// If the returned future is dropped, all tasks have been aborted, and some may still be in the map.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while let Some((key, result)) = self.join_next().await {
            unwind::drop(result);
            unwind::drop(key);
        }
    }

    fn end(&mut self, ended: Ended<V, Named<K>>) -> (K, Result<V, JoinError>) {
        let Named { key, hash, next } = ended.value;
        self.unlink(ended.key, hash, next);
        (key, ended.result)
    }

    /// Adds a new member to those with its hash.
    fn link(&mut self, member: Key, hash: u64) {
        let next = self.first.insert(hash, member);
        if let Some(named) = self.members.value_mut(member) {
            named.next = next;
        }
    }

    /// Takes a member, which has been removed, out of those with its hash.
    fn unlink(&mut self, member: Key, hash: u64, next: Option<Key>) {
        let Some(first) = self.first.get_mut(&hash) else { return };
        if *first == member {
            match next {
                Some(next) => *first = next,
                None => _ = self.first.remove(&hash),
            }
            return;
        }
        let mut before = Some(*first);
        while let Some(named) = before.and_then(|before| self.members.value_mut(before)) {
            if named.next == Some(member) {
                named.next = next;
                return;
            }
            before = named.next;
        }
    }
}

impl<K: Hash + Eq, V, S: BuildHasher> JoinMap<K, V, S> {
    /// Aborts the task with a key. Its error can be collected like an output. Returns `false` if the key is not in the
    /// map.
    pub fn abort<Q>(&mut self, key: &Q) -> bool
    where
        Q: ?Sized + Hash + Eq,
        K: Borrow<Q>,
    {
        self.find(key).is_some_and(|(_, member)| self.members.abort(member))
    }

    /// Returns `true` if a key is in the map. It is there until the output of its task has been collected.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        Q: ?Sized + Hash + Eq,
        K: Borrow<Q>,
    {
        self.find(key).is_some()
    }

    /// Makes room for the keys of at least `additional` more tasks.
    pub fn reserve(&mut self, additional: usize) {
        self.first.reserve(additional);
    }

    /// Gives back the memory for keys that is not needed.
    pub fn shrink_to_fit(&mut self) {
        self.first.shrink_to_fit();
    }

    /// Gives back memory for keys, but keeps room for `min_capacity` of them.
    pub fn shrink_to(&mut self, min_capacity: usize) {
        self.first.shrink_to(min_capacity);
    }

    /// Finds the hash and the member of a key.
    fn find<Q>(&self, key: &Q) -> Option<(u64, Key)>
    where
        Q: ?Sized + Hash + Eq,
        K: Borrow<Q>,
    {
        let hash = self.hash_builder.hash_one(key);
        let mut member = self.first.get(&hash).copied();
        while let Some(found) = member {
            let named = self.members.value(found)?;
            if named.key.borrow() == key {
                return Some((hash, found));
            }
            member = named.next;
        }
        None
    }

    /// Adds the task that `spawn` starts. If that panics, nothing has changed.
    fn insert(&mut self, key: K, spawn: impl FnOnce(Notice) -> JoinHandle<V>) {
        let hash = self.hash_builder.hash_one(&key);
        let replaced = self.find(&key);
        let member = self.members.insert(Named { key, hash, next: None }, spawn);
        let earlier = replaced.and_then(|(_, earlier)| {
            let (handle, named) = self.members.remove(earlier)?;
            self.unlink(earlier, hash, named.next);
            Some((handle, named))
        });
        self.link(member, hash);
        if let Some((handle, named)) = earlier {
            handle.abort();
            // Dropped last, since that runs user code.
            drop(handle);
            unwind::drop(named);
        }
    }
}

impl<K: Hash + Eq, V: 'static, S: BuildHasher> JoinMap<K, V, S> {
    /// Spawns a task with a key, in the same way as [`spawn`](crate::spawn). If the key is in the map, the earlier task
    /// is aborted, and its output is not returned any more.
    ///
    /// # Panics
    ///
    /// Panics if no runtime is entered on this thread.
    #[track_caller]
    pub fn spawn<F>(&mut self, key: K, task: F)
    where
        F: Future<Output = V> + 'static,
    {
        self.insert(key, |notice| spawn_for("JoinMap::spawn", Member::new(task, notice)));
    }

    /// Spawns a task with a key that runs in another runtime, in the same way as [`Handle::spawn`].
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn spawn_on<F>(&mut self, key: K, task: F, handle: &Handle)
    where
        F: Future<Output = V> + Send + 'static,
        V: Send,
    {
        self.insert(key, |notice| handle.spawn(Member::new(task, notice)));
    }

    /// Runs a blocking call with a key, in the same way as [`spawn_blocking`](crate::task::spawn_blocking). A call that
    /// has begun cannot be aborted. If it is replaced, its output is dropped.
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`spawn_blocking`](crate::task::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, key: K, call: F)
    where
        F: FnOnce() -> V + Send + 'static,
        V: Send,
    {
        self.insert(key, |notice| spawn_blocking_for("JoinMap::spawn_blocking", member_call(call, notice)));
    }

    /// Runs a blocking call with a key on the pool of another runtime, in the same way as [`Handle::spawn_blocking`].
    pub fn spawn_blocking_on<F>(&mut self, key: K, call: F, handle: &Handle)
    where
        F: FnOnce() -> V + Send + 'static,
        V: Send,
    {
        self.insert(key, |notice| handle.spawn_blocking(member_call(call, notice)));
    }

    /// Spawns a task with a key, in the same way as [`spawn_local`](crate::task::spawn_local).
    ///
    /// # Panics
    ///
    /// Panics if neither a runtime nor a [`LocalSet`] is entered on this thread.
    #[track_caller]
    pub fn spawn_local<F>(&mut self, key: K, task: F)
    where
        F: Future<Output = V> + 'static,
    {
        self.insert(key, |notice| spawn_local(Member::new(task, notice)));
    }

    /// Spawns a task with a key that also belongs to `local_set`, in the same way as [`LocalSet::spawn_local`].
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn spawn_local_on<F>(&mut self, key: K, task: F, local_set: &LocalSet)
    where
        F: Future<Output = V> + 'static,
    {
        self.insert(key, |notice| local_set.spawn_local(Member::new(task, notice)));
    }
}

impl<K, V> Default for JoinMap<K, V> {
    fn default() -> JoinMap<K, V> {
        JoinMap::new()
    }
}

impl<K: fmt::Debug, V, S> fmt::Debug for JoinMap<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys()).finish()
    }
}

/// An iterator over the keys of a [`JoinMap`], returned by [`JoinMap::keys`].
pub struct JoinMapKeys<'a, K, V> {
    entries: slice::Iter<'a, Entry<V, Named<K>>>,
    left: usize,
}

impl<'a, K, V> Iterator for JoinMapKeys<'a, K, V> {
    type Item = &'a K;

    fn next(&mut self) -> Option<&'a K> {
        let (_, named) = self.entries.find_map(Entry::member)?;
        self.left -= 1;
        Some(&named.key)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<K, V> ExactSizeIterator for JoinMapKeys<'_, K, V> {}

impl<K, V> FusedIterator for JoinMapKeys<'_, K, V> {}

impl<K: fmt::Debug, V> fmt::Debug for JoinMapKeys<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinMapKeys").field("left", &self.left).finish()
    }
}

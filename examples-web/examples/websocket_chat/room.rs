//! The room: who is in it, and what they are told. It does not know what a WebSocket is.

use runtime::sync::mpsc;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The messages that a member may be behind. One that is further behind is removed, so that it neither delays the others nor
/// fills the memory of the server.
const ROOM_FOR_MESSAGES: usize = 64;

const LONGEST_NAME: usize = 20;

/// A message from a page.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Said {
    Join { name: String },
    Say { text: String },
}

/// A message to a page.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum News<'a> {
    Welcome { name: &'a str },
    Refused { reason: &'a str },
    People { names: Vec<&'a str> },
    Said { name: &'a str, text: &'a str },
}

impl News<'_> {
    fn to_json(&self) -> Rc<str> {
        serde_json::to_string(self).expect("there are no maps, whose keys could be invalid").into()
    }
}

/// The channels of the members by name.
#[derive(Default)]
pub(crate) struct Room {
    members: RefCell<BTreeMap<String, mpsc::Sender<Rc<str>>>>,
}

impl Room {
    fn tell(&self, news: &News) {
        let news = news.to_json();
        // The task of a member that is too slow finds the end of its channel, and then leaves.
        self.members.borrow_mut().retain(|_, sender| sender.try_send(news.clone()).is_ok());
    }

    fn tell_who_is_here(&self) {
        let names: Vec<String> = self.members.borrow().keys().cloned().collect();
        self.tell(&News::People { names: names.iter().map(String::as_str).collect() });
    }
}

/// Somebody with an open page, who is in the room as soon as the page has sent a name.
pub(crate) struct Member {
    room: Rc<Room>,
    joined: Option<Joined>,
}

struct Joined {
    name: String,
    news: mpsc::Receiver<Rc<str>>,
    /// Only the room has a sender. When it has dropped that, the name may belong to another member.
    sender: mpsc::WeakSender<Rc<str>>,
}

impl Member {
    pub(crate) fn new(room: &Rc<Room>) -> Member {
        Member { room: room.clone(), joined: None }
    }

    /// Returns what the member is told next. Returns `None` if the room has removed it. Cancel safe.
    pub(crate) async fn news(&mut self) -> Option<Rc<str>> {
        match &mut self.joined {
            Some(joined) => joined.news.recv().await,
            None => std::future::pending().await,
        }
    }

    /// Does what the page asks for, and returns an answer for this page alone.
    pub(crate) fn hear(&mut self, said: Said) -> Option<String> {
        match (said, &self.joined) {
            (Said::Join { name }, None) => {
                let answer = match self.join(name.trim()) {
                    Ok(()) => News::Welcome { name: name.trim() },
                    Err(reason) => News::Refused { reason },
                };
                Some(answer.to_json().to_string())
            }
            (Said::Say { text }, Some(joined)) => {
                self.room.tell(&News::Said { name: &joined.name, text: &text });
                None
            }
            _ => None,
        }
    }

    fn join(&mut self, name: &str) -> Result<(), &'static str> {
        if name.is_empty() || name.chars().count() > LONGEST_NAME {
            return Err("A name has 1 to 20 characters.");
        }
        let (sender, news) = mpsc::channel(ROOM_FOR_MESSAGES);
        let weak = sender.downgrade();
        let mut members = self.room.members.borrow_mut();
        if members.contains_key(name) {
            return Err("Somebody has that name already.");
        }
        members.insert(name.to_owned(), sender);
        drop(members);
        self.joined = Some(Joined { name: name.to_owned(), news, sender: weak });
        self.room.tell_who_is_here();
        Ok(())
    }
}

/// Leaves the room, however the task of the member ends.
impl Drop for Member {
    fn drop(&mut self) {
        if let Some(joined) = &self.joined {
            if joined.sender.upgrade().is_some() {
                self.room.members.borrow_mut().remove(&joined.name);
            }
            self.room.tell_who_is_here();
        }
    }
}

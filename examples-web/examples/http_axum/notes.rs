//! Notes: JSON in and out, and state without a lock.
//!
//! A handler cannot keep an `Rc` across an `await`, since axum wants its future to be `Send`: axum was made for runtimes that
//! move tasks between threads. But here all handlers run on one thread. So the notes are in a thread-local variable, which
//! every handler reaches without a lock, and which may contain an `Rc`. A handler that has to wait with an `Rc` in hand
//! spawns a task for that part, which need not be `Send`, and awaits its join handle, which is `Send`: see `search`. A
//! program that serves on several threads keeps notes in each of them, or uses a lock as usual.

use super::Application;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use runtime::task::{AbortOnDropHandle, yield_now};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The notes that the server keeps at most.
const MOST_NOTES: usize = 1000;

/// The notes that are searched before other tasks run.
const NOTES_AT_ONCE: usize = 100;

#[derive(Default)]
struct Notes {
    by_number: BTreeMap<u64, Rc<str>>,
    last: u64,
}

thread_local! {
    static NOTES: RefCell<Notes> = RefCell::default();
}

#[derive(Deserialize)]
struct NewNote {
    text: String,
}

#[derive(Serialize)]
struct Note {
    number: u64,
    text: String,
}

impl Note {
    fn new((number, text): (&u64, &Rc<str>)) -> Note {
        Note { number: *number, text: text.to_string() }
    }
}

pub(crate) fn routes() -> Router<Application> {
    Router::new()
        .route("/", get(list).post(add))
        .route("/{number}", get(show).delete(remove))
        .route("/search/{word}", get(search))
}

async fn list() -> Json<Vec<Note>> {
    Json(NOTES.with_borrow(|notes| notes.by_number.iter().map(Note::new).collect()))
}

async fn add(Json(note): Json<NewNote>) -> impl IntoResponse {
    NOTES.with_borrow_mut(|notes| {
        if notes.by_number.len() == MOST_NOTES {
            return Err(StatusCode::INSUFFICIENT_STORAGE);
        }
        notes.last += 1;
        notes.by_number.insert(notes.last, note.text.as_str().into());
        Ok((StatusCode::CREATED, Json(Note { number: notes.last, text: note.text })))
    })
}

async fn show(Path(number): Path<u64>) -> Result<Json<Note>, StatusCode> {
    NOTES.with_borrow(|notes| {
        let note = notes.by_number.get_key_value(&number).map(Note::new);
        note.map(Json).ok_or(StatusCode::NOT_FOUND)
    })
}

/// Returns the notes that contain a word. Other tasks run in between, while this one keeps its part of the notes alive.
async fn search(Path(word): Path<String>) -> Result<Json<Vec<Note>>, StatusCode> {
    // The handle aborts the task if axum drops this handler, because the client has gone or the time limit is over.
    let task = AbortOnDropHandle::new(runtime::spawn(async move {
        let notes: Vec<(u64, Rc<str>)> = NOTES.with_borrow(|notes| {
            notes.by_number.iter().map(|(number, text)| (*number, Rc::clone(text))).collect()
        });
        let mut found = Vec::new();
        for some in notes.chunks(NOTES_AT_ONCE) {
            let matching = some.iter().filter(|(_, text)| text.contains(&word));
            found.extend(matching.map(|(number, text)| Note::new((number, text))));
            yield_now().await;
        }
        found
    }));
    task.await.map(Json).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn remove(Path(number): Path<u64>) -> StatusCode {
    match NOTES.with_borrow_mut(|notes| notes.by_number.remove(&number)) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}

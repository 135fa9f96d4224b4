//! Files of one folder, which are sent while they are read.

use super::Application;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use runtime::fs::File;
use runtime::io::AsyncReadExt;
use std::io;
use std::path::{Component, Path as FilePath};

/// The size of one piece of a file.
const PIECE_SIZE: u64 = 64 * 1024;

/// Sends a file of the folder.
pub(crate) async fn send(State(application): State<Application>, Path(name): Path<String>) -> Response {
    // The name comes from a stranger: it must be that of a file in the folder, and nothing like `../secret`.
    let mut components = FilePath::new(&name).components();
    let (Some(Component::Normal(name)), None) = (components.next(), components.next()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match open(&application.folder.join(name)).await {
        Ok((file, length)) => {
            let headers =
                [(CONTENT_TYPE, kind(FilePath::new(name)).to_owned()), (CONTENT_LENGTH, length.to_string())];
            (headers, body(file, length)).into_response()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::FORBIDDEN.into_response(),
    }
}

async fn open(path: &FilePath) -> io::Result<(File, u64)> {
    let file = File::open(path).await?;
    let metadata = file.metadata().await?;
    if metadata.is_file() { Ok((file, metadata.len())) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// The first `length` bytes of a file, also if it grows meanwhile.
fn body(file: File, length: u64) -> Body {
    Body::from_stream(stream::try_unfold((file, length), async |(file, left)| {
        let mut piece = Vec::new();
        let mut part = file.take(left.min(PIECE_SIZE));
        let count = part.read_to_end(&mut piece).await? as u64;
        let next = (part.into_inner(), left - count);
        io::Result::Ok((count > 0).then(|| (Bytes::from(piece), next)))
    }))
}

fn kind(name: &FilePath) -> &'static str {
    match name.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("md" | "rs" | "toml" | "txt") => "text/plain; charset=utf-8",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

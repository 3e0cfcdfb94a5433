//! A file of the downtime share, or a part of it: comes from vaultd in pieces and is kept nowhere. What breaks off is no answer, so that nobody takes a part for the whole.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use keepwell_api::ClientError;
use keepwell_api::vault::EmergencyContent;

use super::properties::{date, tag};
use super::tree::{Found, Place, QUEUE, Tree, busy};
use super::{refused, told};
use crate::flow;

/// Whatever is in a file, a browser saves it and runs nothing.
const POLICY: &str = "default-src 'none'; sandbox";

/// Marks an answer that has a file in it.
#[derive(Clone, Copy)]
pub(super) struct IsFile;

/// In place of what pages have.
pub(super) fn keep_from_running(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
}

/// The file at a path, or the part that is asked for.
pub(super) async fn sent(tree: Tree, path: &[u8], found: &Found, parts: &Parts) -> Result<Response, Response> {
    let (Some(size), Some(Place::In(share, inside))) = (found.size(), tree.place(path)) else {
        return Err(told(StatusCode::FORBIDDEN, "This could not be read when it was backed up."));
    };
    let is_same = parts.headers.get(header::IF_RANGE).is_none_or(|known| known.as_bytes() == tag(found).as_bytes());
    let wanted = parts.headers.get(header::RANGE).filter(|_| is_same).and_then(|range| range.to_str().ok());
    let part = match wanted.map_or(Wanted::Whole, |range| wanted_of(range, size)) {
        Wanted::Whole => None,
        Wanted::Part(part) => Some(part),
        Wanted::Nothing => {
            let all = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Err((StatusCode::RANGE_NOT_SATISFIABLE, all, "The file is shorter.").into_response());
        }
    };
    let bytes = part.clone().unwrap_or(0..size);
    let length = bytes.end - bytes.start;
    let body = if parts.method == Method::HEAD {
        Body::empty()
    } else {
        let ask = EmergencyContent {
            key: tree.key.clone(),
            snapshot: share.snapshot.clone(),
            path: inside.into(),
            offset: bytes.start,
            length: part.as_ref().map(|_| length),
        };
        stream(&tree, ask, length).await.map_err(|error| refused(&error))?
    };
    let mut answer = body.into_response();
    let headers = answer.headers_mut();
    let texts =
        [(header::ETAG, tag(found)), (header::LAST_MODIFIED, date(found.changed_at())), (header::CONTENT_LENGTH, length.to_string())];
    for (name, text) in texts {
        headers.extend(HeaderValue::from_str(&text).map(|value| (name, value)));
    }
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(part) = part {
        let text = format!("bytes {}-{}/{size}", part.start, part.end - 1);
        headers.extend(HeaderValue::from_str(&text).map(|value| (header::CONTENT_RANGE, value)));
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    answer.extensions_mut().insert(IsFile);
    Ok(answer)
}

#[derive(Debug, PartialEq)]
enum Wanted {
    Whole,
    Part(Range<u64>),
    /// Bytes that the file does not have.
    Nothing,
}

/// One range (RFC 9110, 14.1.2). Several, or what is none, is answered with the whole file, as a server may: else one request could ask for it a thousand times.
fn wanted_of(range: &str, size: u64) -> Wanted {
    let Some((first, last)) = range.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-')) else { return Wanted::Whole };
    let (first, last) = (first.trim(), last.trim());
    let part = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), _) if last.is_empty() => first..size,
        (_, Ok(count)) if first.is_empty() => size.saturating_sub(count)..size,
        _ => return Wanted::Whole,
    };
    if part.start < part.end { Wanted::Part(part) } else { Wanted::Nothing }
}

/// Begins it, and answers once it has begun: what is refused is refused before a byte was sent.
async fn stream(tree: &Tree, ask: EmergencyContent, length: u64) -> Result<Body, ClientError> {
    let place = tokio::time::timeout(QUEUE, Arc::clone(&tree.door.flows).acquire_owned()).await;
    let place = place.ok().and_then(Result::ok).ok_or_else(busy)?;
    let begun = flow::begin(tree.door.vaultd.clone(), "/v1/emergency/content", ask, Some(length), place).await;
    begun.map_err(|error| error.unwrap_or_else(busy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_and_lies_in_the_file() {
        for (text, wanted) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=5-", Wanted::Part(5..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-30", Wanted::Part(0..10)),
            ("bytes=2-99", Wanted::Part(2..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=10-11", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=0-18446744073709551615", Wanted::Part(0..10)),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=--1", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("bytes=", Wanted::Whole),
        ] {
            assert_eq!(wanted_of(text, 10), wanted, "{text}");
        }
        assert_eq!(wanted_of("bytes=0-", 0), Wanted::Nothing);
    }
}

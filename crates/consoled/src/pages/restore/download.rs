//! The other end of a restore: a file, or several as an archive, to the browser. Goes through in pieces and is kept nowhere.

use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use keepwell_api::grants::{Verb, needs_fresh_factor};
use keepwell_api::vault::{Download, DownloadZip};
use serde::Serialize;

use super::at;
use super::browse::chosen;
use super::draft::{Wanted, base64, last};
use crate::flow;
use crate::neighbours::{self, Trouble};
use crate::sessions::locked;
use crate::visit::Visit;

/// How many bytes it is, where that is known beforehand.
pub(crate) fn bound(wanted: &[Wanted]) -> Option<u64> {
    wanted.iter().map(|one| one.size.filter(|_| !one.folder)).sum()
}

/// Whether a new code would be asked for.
pub(crate) fn needs_code(visit: &Visit, bytes: Option<u64>) -> bool {
    let Some(known) = visit.person_if_any().map(|person| &person.known) else { return true };
    // More than one session gets in an hour takes a code of its own, however fresh the last one is.
    (needs_fresh_factor(Verb::Download, bytes) && known.fresh_until <= visit.now()) || bytes.unwrap_or(u64::MAX) > known.download_left
}

/// Sends it.
pub(crate) async fn send(visit: Visit, Path(id): Path<String>) -> Response {
    let (draft, snapshot) = match chosen(&visit, &id) {
        Ok(chosen) => chosen,
        Err(answer) => return answer,
    };
    let (snapshot, bytes) = (snapshot.id, bound(&draft.wanted));
    let answer = match &draft.wanted[..] {
        [] => return visit.go(&at(&id, "what"), None),
        [one] if !one.folder => {
            let ask = Download { snapshot, path: base64(&one.path) };
            stream(&visit, "/v1/files/content", ask, (bytes, bytes))
                .await
                .map(|body| named(body, last(&one.path), "application/octet-stream"))
        }
        several => {
            let name = [draft.share.as_bytes(), b".zip"].concat();
            let ask = DownloadZip { snapshot, paths: several.iter().map(|one| base64(&one.path)).collect() };
            // An archive is longer than what is in it; the bound of its grant is for that alone.
            stream(&visit, "/v1/files/zip", ask, (None, bytes)).await.map(|body| named(body, &name, "application/zip"))
        }
    };
    answer.unwrap_or_else(|trouble| visit.after::<()>(&at(&id, "where"), Err(trouble), ""))
}

/// Begins it, and answers once it has begun: what is refused is refused before a byte was sent.
async fn stream(
    visit: &Visit,
    route: &'static str,
    ask: impl Serialize + Send + 'static,
    (length, max_bytes): (Option<u64>, Option<u64>),
) -> Result<axum::body::Body, Trouble> {
    let person = visit.person()?;
    let places = std::sync::Arc::clone(&locked(&person.kept).downloads);
    let place = places.try_acquire_owned().map_err(|_| Trouble::Downloads)?;
    // Whoever signs in again and again gets no further ones.
    let of_all = std::sync::Arc::clone(&visit.app.downloads).try_acquire_owned().map_err(|_| Trouble::Busy)?;
    let grant =
        visit.app.neighbours.grant((&person.session, visit.form.code()), Verb::Download, &neighbours::body(&ask), max_bytes).await?;
    let client = visit.app.neighbours.streaming(grant);
    flow::begin(client, route, ask, length, (place, of_all)).await.map_err(|error| error.map_or(Trouble::Busy, neighbours::of_vaultd))
}

/// To be kept as a file, never to be shown or run.
fn named(body: axum::body::Body, name: &[u8], kind: &'static str) -> Response {
    let mut answer = body.into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(value) = HeaderValue::from_str(&disposition(name)) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    answer
}

/// RFC 6266 with a name as in RFC 8187: nothing in it can end the header.
fn disposition(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || " .-_()".contains(c) { c } else { '_' }).collect();
    let exact: String = name
        .bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() || b".-_".contains(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
            },
        )
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_no_header() {
        assert_eq!(
            disposition("a\"b\r\nc: ü.txt".as_bytes()),
            "attachment; filename=\"a_b__c_ _.txt\"; filename*=UTF-8''a%22b%0D%0Ac%3A%20%C3%BC.txt"
        );
    }

    #[test]
    fn a_bound_is_known_or_not() {
        let one = |folder, size| Wanted { path: b"a".to_vec(), folder, size };
        assert_eq!(bound(&[one(false, Some(5)), one(false, Some(6))]), Some(11));
        assert_eq!((bound(&[one(false, Some(5)), one(true, None)]), bound(&[one(false, None)])), (None, None));
    }
}

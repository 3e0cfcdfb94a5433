//! What a WebDAV client is told of files and folders (PROPFIND, RFC 4918, 9.1): the same live properties whatever it asks for, page by page as it takes them. No dead properties, no locks.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use keepwell_api::outflow::{Outflow, outflow};
use keepwell_api::{Base64, ClientError};

use super::address::{encoded, folder};
use super::tree::{Found, Place, Tree};

/// Entries that are asked for at a time.
const PAGE: u32 = 1_000;
const BEGIN: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\">\n";
const END: &str = "</D:multistatus>\n";
const XML: &str = "application/xml; charset=utf-8";
/// No walk through a whole share in one question: RFC 4918, 9.1.
const FINITE: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><D:error xmlns:D=\"DAV:\"><D:propfind-finite-depth/></D:error>";

/// The entry at a path and, one level deep, what lies in it.
pub(super) fn told(tree: Tree, path: &[u8], found: Found, headers: &HeaderMap) -> Result<Response, Response> {
    let deep = match headers.get("depth").map(|depth| depth.as_bytes()) {
        Some(b"0") => false,
        None | Some(b"1") => true,
        Some(_) => return Err((StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, XML)], FINITE).into_response()),
    };
    let base = folder(path);
    let is_folder = found.is_folder();
    let own = if is_folder { base.clone() } else { base.trim_end_matches('/').to_owned() };
    let first = format!("{BEGIN}{}", entry(&own, &found));
    let (out, body) = outflow(None);
    let path = path.to_vec();
    tokio::spawn(async move {
        // Without its end, no client takes a part for the whole.
        if out.put(first).await.is_ok() && (!deep || !is_folder || entries(&tree, &path, &base, &out).await) && out.put(END).await.is_ok() {
            let _ = out.end().await;
        }
    });
    Ok((StatusCode::MULTI_STATUS, [(header::CONTENT_TYPE, XML)], body).into_response())
}

/// Tells all that lies in a folder; whether that was taken.
async fn entries(tree: &Tree, path: &[u8], base: &str, out: &Outflow) -> bool {
    let (share, inside) = match tree.place(path) {
        None => return false,
        Some(Place::Top) => {
            let told = tree.shares.iter().map(|(name, share)| entry(&folder(name.as_bytes()), &Found::share(share.taken_at)));
            return out.put(told.collect::<String>()).await.is_ok();
        }
        Some(Place::In(share, inside)) => (share, inside),
    };
    let mut after = None;
    loop {
        let page = page(tree, &share.snapshot, &inside, after, (base, share.taken_at)).await;
        let Ok((told, next)) = page.inspect_err(|error| tracing::debug!(error = error as &dyn std::error::Error, "a folder broke off"))
        else {
            return false;
        };
        if out.put(told).await.is_err() {
            return false;
        }
        after = match next {
            Some(name) => Some(name),
            None => return true,
        };
    }
}

/// A page of it, and the name that the next one comes after.
async fn page(
    tree: &Tree,
    snapshot: &str,
    inside: &[u8],
    after: Option<Base64>,
    (base, taken_at): (&str, i64),
) -> Result<(String, Option<Base64>), ClientError> {
    let page = tree.files(snapshot, inside, after, PAGE).await?;
    let next = page.files.last().filter(|_| page.more).map(|last| last.name.clone());
    let mut told = String::new();
    for file in page.files {
        let name = encoded(file.name.as_ref());
        if let Some(found) = Found::entry(file, snapshot, taken_at) {
            let slash = if found.is_folder() { "/" } else { "" };
            told.push_str(&entry(&format!("{base}{name}{slash}"), &found));
        }
    }
    Ok((told, next))
}

/// One entry. Its address is ASCII, percent-encoded: nothing in it is markup.
fn entry(address: &str, found: &Found) -> String {
    let kind = match found.size() {
        _ if found.is_folder() => "<D:resourcetype><D:collection/></D:resourcetype>".to_owned(),
        size => format!(
            "<D:resourcetype/><D:getcontentlength>{}</D:getcontentlength><D:getcontenttype>application/octet-stream</D:getcontenttype><D:getetag>{}</D:getetag>",
            size.unwrap_or(0),
            tag(found)
        ),
    };
    let changed = date(found.changed_at());
    format!(
        "<D:response><D:href>{address}</D:href><D:propstat><D:prop>{kind}<D:getlastmodified>{changed}</D:getlastmodified></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>\n"
    )
}

/// What two answers of one file have in common (RFC 9110, 8.8.3).
pub(super) fn tag(found: &Found) -> String {
    let copy: String = found.snapshot().chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    format!("\"{copy}-{:x}-{:x}\"", found.size().unwrap_or(0), found.changed_at())
}

/// A moment as HTTP has it (RFC 9110, 5.6.7).
pub(super) fn date(at: i64) -> String {
    let at = Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH);
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_as_the_rfc_has_them() {
        assert_eq!(date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date(i64::MAX), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}

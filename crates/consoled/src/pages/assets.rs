//! The style sheet, the script and the icon: compiled in, named by their content, so that a browser keeps them until they change.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use keepwell_api::hex;

const CSS: &str = include_str!("../../assets/console.css");
const JS: &str = include_str!("../../assets/console.js");
const PASSKEY_JS: &str = include_str!("../../assets/passkey.js");
const ICON: &str = include_str!("../../assets/icon.svg");

static CSS_PATH: LazyLock<String> = LazyLock::new(|| named("console", CSS, "css"));
static JS_PATH: LazyLock<String> = LazyLock::new(|| named("console", JS, "js"));
static PASSKEY_JS_PATH: LazyLock<String> = LazyLock::new(|| named("passkey", PASSKEY_JS, "js"));

/// Where the style sheet is.
pub(crate) fn css_path() -> &'static str {
    &CSS_PATH
}

/// Where the script is.
pub(crate) fn js_path() -> &'static str {
    &JS_PATH
}

/// Where the script for passkeys is.
pub(crate) fn passkey_js_path() -> &'static str {
    &PASSKEY_JS_PATH
}

/// One of them.
pub(crate) async fn file(Path(file): Path<String>) -> Response {
    let is = |path: &str| path.strip_prefix("/assets/") == Some(file.as_str());
    let (kind, content) = if is(css_path()) {
        ("text/css; charset=utf-8", CSS)
    } else if is(js_path()) {
        ("text/javascript; charset=utf-8", JS)
    } else if is(passkey_js_path()) {
        ("text/javascript; charset=utf-8", PASSKEY_JS)
    } else if file == "icon.svg" {
        ("image/svg+xml", ICON)
    } else {
        return StatusCode::NOT_FOUND.into_response();
    };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")], content).into_response()
}

fn named(name: &str, content: &str, kind: &str) -> String {
    let hash = digest(&SHA256, content.as_bytes());
    format!("/assets/{name}-{}.{kind}", hex::encode(&hash.as_ref()[..8]))
}

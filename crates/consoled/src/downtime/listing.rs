//! A folder of the downtime share as a page, for a computer that has a browser and nothing else. Names are shown as text; the links to further pages carry where they go on.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use keepwell_api::{Base64, ClientError, hex};

use super::address::{encoded, folder};
use super::tree::{Place, Tree};
use super::{AT, told};
use crate::pages::assets;
use crate::view::{self, Times, When};

/// Rows of a page: it stays below 100 KB.
const ROWS: u32 = 200;
/// Longest name that a page goes on after, bytes.
const NAME_MAX: usize = 1_024;

#[derive(Template)]
#[template(path = "downtime.html")]
struct Listing {
    css: &'static str,
    box_name: String,
    until: When,
    /// The folders above, each with its address.
    above: Vec<(String, String)>,
    here: String,
    rows: Vec<Row>,
    next: Option<String>,
    copies: bool,
}

struct Row {
    name: String,
    /// None of what can't be read.
    path: Option<String>,
    folder: bool,
    size: String,
    changed: Option<When>,
}

/// The page of a folder.
pub(super) async fn page(tree: &Tree, path: &[u8], query: Option<&str>) -> Result<Response, ClientError> {
    let app = &tree.door.app;
    let times = Times::new(app.settings.zone.clone(), app.now());
    let components: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).collect();
    let base = folder(path);
    let (rows, next) = match tree.place(path) {
        None | Some(Place::Top) => (shares(tree, &times), None),
        Some(Place::In(share, inside)) => {
            let page = tree.files(&share.snapshot, &inside, after(query), ROWS).await?;
            let next = page.files.last().filter(|_| page.more).map(|last| format!("{base}?after={}", hex::encode(last.name.as_ref())));
            let shown = page.files.into_iter().filter(|file| matches!(file.kind.as_str(), "file" | "folder"));
            let row = |file: keepwell_api::vault::File| Row {
                name: view::name(file.name.as_ref()),
                folder: file.kind == "folder",
                path: (file.kind == "folder" || file.gap.is_none() && file.size.is_some())
                    .then(|| format!("{base}{}", encoded(file.name.as_ref()))),
                size: file.size.filter(|_| file.gap.is_none()).map(view::size).unwrap_or_default(),
                changed: file.changed_at.map(|at| times.at(at)),
            };
            (shown.map(row).collect(), next)
        }
    };
    let mut above = Vec::new();
    let mut address = format!("{AT}/");
    for name in &components {
        above.push((above.last().map_or("Shares".to_owned(), |_: &(String, String)| String::new()), address.clone()));
        address = format!("{address}{}/", encoded(name));
    }
    for (link, name) in above.iter_mut().skip(1).zip(&components) {
        link.0 = view::name(name);
    }
    let listing = Listing {
        css: assets::css_path(),
        box_name: app.settings.box_name.clone(),
        until: times.at(tree.until),
        here: components.last().map_or("Shares".to_owned(), |name| view::name(name)),
        copies: components.is_empty(),
        above,
        rows,
        next,
    };
    Ok(match listing.render() {
        Ok(html) => Html(html).into_response(),
        Err(_) => told(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "This page could not be written."),
    })
}

fn shares(tree: &Tree, times: &Times) -> Vec<Row> {
    let row = |(name, share): &(String, keepwell_api::vault::EmergencyShare)| Row {
        name: view::name(name.as_bytes()),
        path: Some(folder(name.as_bytes())),
        folder: true,
        size: String::new(),
        changed: Some(times.at(share.taken_at)),
    };
    tree.shares.iter().map(row).collect()
}

/// The name that the page before ended with.
fn after(query: Option<&str>) -> Option<Base64> {
    let digits = query?.strip_prefix("after=")?.as_bytes();
    if digits.is_empty() || digits.len() % 2 != 0 || digits.len() > 2 * NAME_MAX || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let name: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    Some(name?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_after_a_name() {
        assert_eq!(after(Some("after=61ff")).map(|name| name.as_ref().to_vec()), Some(b"a\xff".to_vec()));
        for bad in ["", "after=", "after=6", "after=zz", "after=+1", "before=61"] {
            assert!(after(Some(bad)).is_none(), "{bad}");
        }
    }
}

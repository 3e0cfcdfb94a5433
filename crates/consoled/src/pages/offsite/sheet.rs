//! The sheet that is kept with the recovery papers: where the second site is, and how a new box knows it. It holds no secret.

use askama::Template;
use axum::response::Response;
use keepwell_api::offsite::Offsite;

use super::ROUTE;
use crate::pages::frame::Frame;
use crate::pages::qr::Qr;
use crate::pages::trouble;
use crate::view;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "offsite_sheet.html")]
struct SheetPage {
    frame: Frame,
    place: String,
    address: String,
    key: Vec<String>,
    code: Vec<String>,
    qr: Option<Qr>,
}

/// The page, for the receiver of this number on the page before.
pub(crate) async fn page(visit: Visit) -> Response {
    let told = match visit.app.neighbours.get::<Offsite>(ROUTE).await {
        Ok(told) => told,
        Err(trouble) => return trouble::failed(&visit, &trouble),
    };
    let number = visit.form.number::<usize>("number").unwrap_or(1);
    let Some(receiver) = number.checked_sub(1).and_then(|at| told.receivers.get(at)) else {
        return trouble::missing(&visit, "There is no such second site.");
    };
    let Some(code) = &receiver.code else {
        return trouble::missing(&visit, "The box's vault is not open, so the sheet can't name it yet. Try again when it is.");
    };
    visit.show(&SheetPage {
        frame: visit.frame("Sheet of the second site"),
        place: view::name(receiver.place.as_bytes()),
        address: view::name(receiver.address.as_bytes()),
        key: groups(&receiver.name),
        // Capitals alone make a smaller picture.
        qr: Qr::of(code.to_ascii_uppercase().as_bytes()),
        code: groups(code),
    })
}

/// In fours, as people read and type them.
fn groups(text: &str) -> Vec<String> {
    text.chars().collect::<Vec<_>>().chunks(4).map(|group| group.iter().collect()).collect()
}

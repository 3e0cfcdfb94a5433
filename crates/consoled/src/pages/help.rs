//! Runbooks, to be printed before they are needed; and the certificate of the box for whoever wants to trust it.

use askama::Template;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::frame::Frame;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "help.html")]
struct HelpPage {
    frame: Frame,
    version: &'static str,
    host: String,
    fingerprint: String,
}

/// The page.
pub(crate) async fn page(visit: Visit) -> Response {
    visit.show(&HelpPage {
        frame: visit.frame("Help"),
        version: env!("CARGO_PKG_VERSION"),
        host: visit.host.to_string(),
        fingerprint: visit.app.settings.authority.1.clone(),
    })
}

/// The authority's certificate: public by its nature.
pub(crate) async fn authority(visit: Visit) -> Response {
    let mut answer = visit.app.settings.authority.0.clone().into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-pem-file"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"keepwell-authority.pem\""));
    answer
}

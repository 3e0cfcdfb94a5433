//! A request that was not carried out, as it crosses the socket.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// Why a request was not carried out: one message for a person, its causes, and a word for programs.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// HTTP status.
    #[serde(skip, default)]
    pub status: u16,
    /// A stable word for programs, such as `locked` or `wrong-pcr`.
    pub code: String,
    /// What happened, and what it means for the data.
    pub error: String,
    /// What lies under it, outermost first.
    #[serde(default)]
    pub causes: Vec<String>,
    /// Number of the request, as the program's log has it; put in on the way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// An error and what lies under it, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl Refusal {
    /// A refusal with the causes of an error.
    pub fn new(status: StatusCode, code: &str, error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string).collect();
        Self { status: status.as_u16(), code: code.to_owned(), error: error.to_string(), causes, request: None }
    }

    /// A refusal that has no cause but itself.
    pub fn text(status: StatusCode, code: &str, error: impl Into<String>) -> Self {
        Self { status: status.as_u16(), code: code.to_owned(), error: error.into(), causes: Vec::new(), request: None }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        // For whoever numbers requests: `crate::server`.
        response.extensions_mut().insert(self);
        response
    }
}

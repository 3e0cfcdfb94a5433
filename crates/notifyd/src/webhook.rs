//! A notice as signed JSON, posted to a program of the practice's own or of whoever looks after it. Follows no redirect.

use std::io;

use aws_lc_rs::hmac;
use axum::http::{Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use keepwell_api::notices::{Host, Line, Notice, Webhook};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use crate::connect::trust;
use crate::error::{NotifyError, Peer};
use crate::words::one_line;

/// The version of the body: a later one may have more fields, never fewer.
const VERSION: u32 = 1;
const SECRET_MIN: usize = 16;

#[derive(Serialize)]
struct Body<'a> {
    version: u32,
    #[serde(flatten)]
    notice: &'a Notice,
}

/// What is posted.
pub fn body(notice: &Notice) -> Result<Vec<u8>, NotifyError> {
    serde_json::to_vec(&Body { version: VERSION, notice }).map_err(|_| NotifyError::Settings("the notice makes no JSON"))
}

/// The header `keepwell-signature`: when it was signed, Unix seconds, and HMAC-SHA256 (RFC 2104) over that, a dot and the body, in hexadecimal digits.
pub fn signature(secret: &[u8], at: i64, body: &[u8]) -> String {
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    mac.update(format!("{at}.").as_bytes());
    mac.update(body);
    let digits: String = mac.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at},v1={digits}")
}

/// Who is called, from a URL that [`keepwell_api::notices::HookUrl`] has checked.
pub(crate) fn peer(hook: &Webhook) -> Result<Peer, NotifyError> {
    let uri = uri(hook)?;
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let host = Host::parse(host).ok_or(NotifyError::Settings("there is no host in its address"))?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    Ok(Peer { what: "webhook's receiver", host, port })
}

fn uri(hook: &Webhook) -> Result<Uri, NotifyError> {
    hook.url.as_str().parse().map_err(|_| NotifyError::Settings("its address is none"))
}

/// Posts it. `now`: Unix seconds.
pub(crate) async fn send(peer: &Peer, hook: &Webhook, notice: &Notice, now: i64) -> Result<Line, NotifyError> {
    if hook.secret.as_ref().len() < SECRET_MIN {
        return Err(NotifyError::Settings("the secret is shorter than 16 bytes"));
    }
    let (body, uri) = (body(notice)?, uri(hook)?);
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let request = Request::post(target)
        .header(header::HOST, uri.authority().map_or("", |authority| authority.as_str()))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("keepwell/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .header("keepwell-delivery", notice.id.as_str())
        .header("keepwell-signature", signature(hook.secret.as_ref(), now, &body))
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| NotifyError::Settings("its address makes no request"))?;
    let config = trust(hook.ca_pem.as_deref())?;
    let stream = peer.connect().await?;
    // Plain only on this machine: HookUrl.
    let status = if uri.scheme_str() == Some("http") {
        post(stream, request).await
    } else {
        post(peer.encrypt(stream, config).await?, request).await
    };
    judge(peer, status.map_err(|source| peer.unreachable(source))?)
}

async fn post<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(stream: S, request: Request<Full<Bytes>>) -> io::Result<StatusCode> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // Ends with this function, whatever the other end does.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request).await.map_err(io::Error::other)?;
    Ok(answer.status())
}

fn judge(peer: &Peer, status: StatusCode) -> Result<Line, NotifyError> {
    if status.is_success() {
        return Ok(one_line(&status.to_string()));
    }
    let peer = peer.clone();
    let answer = if status.is_redirection() {
        one_line(&format!("{status}, which is a redirect: give the address it leads to"))
    } else {
        one_line(&status.to_string())
    };
    Err(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => NotifyError::Auth { peer, answer, passing: false },
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            NotifyError::Rejected { peer, answer, passing: true }
        }
        status => NotifyError::Rejected { peer, answer, passing: status.is_server_error() },
    })
}

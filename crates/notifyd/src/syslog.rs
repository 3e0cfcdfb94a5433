//! A notice as a log message (RFC 5424), and its way to a collector: TLS (RFC 5425), TCP with octet counting (RFC 6587, 3.4.1) or UDP (RFC 5426).

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use keepwell_api::notices::{Kind, Line, Notice, Severity, Syslog, SyslogTransport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{UdpSocket, lookup_host};

use crate::connect::trust;
use crate::error::{NotifyError, Peer};
use crate::words::one_line;

/// Bytes that any receiver should take: RFC 5425, 4.3.1 and RFC 5426, 3.2.
const STREAM_MAX: usize = 8192;
const DATAGRAM_MAX: usize = 2048;
/// local0.
const FACILITY: u8 = 16;
/// Of an SD-NAME and of MSGID (RFC 5424, 6).
const NAME_MAX: usize = 32;
/// How long the collector may take to hang up. It never says more than that.
const HANG_UP: Duration = Duration::from_secs(3);

/// The log message, `max` bytes at most: what is too long loses its end.
pub fn message(notice: &Notice, max: usize) -> String {
    let at = Timestamp::from_second(notice.at).map_or_else(|_| "-".to_owned(), |at| at.to_string());
    let mut text = format!(
        "<{}>1 {at} {} keepwell - {} {}",
        priority(notice),
        host_name(&notice.box_name),
        cut(notice.code.as_str(), NAME_MAX),
        element(notice)
    );
    let facts = facts(notice);
    if text.len() + facts.len() <= max / 2 {
        text.push_str(&facts);
    }
    let sentences = [notice.subject.as_str(), notice.happened.as_str(), notice.for_your_data.as_str(), notice.to_do.as_str()];
    let words = sentences.map(|sentence| sentence.replace('\n', " ")).join(" ");
    // The mark says UTF-8 (6.4).
    let _ = write!(text, " \u{feff}{}", words.trim());
    cut(&text, max).to_owned()
}

fn priority(notice: &Notice) -> u8 {
    let severity = match (notice.kind, notice.severity) {
        (Kind::Closed | Kind::Test | Kind::Digest, _) | (_, Severity::Notice) => 5,
        (_, Severity::Warning) => 4,
        (_, Severity::Critical) => 2,
    };
    FACILITY * 8 + severity
}

fn host_name(name: &Line) -> String {
    name.as_str().chars().map(|c| if c.is_ascii_graphic() { c } else { '-' }).collect()
}

/// The number is the one for examples (RFC 5612): there is none of our own yet.
fn element(notice: &Notice) -> String {
    let word =
        |value: serde_json::Result<serde_json::Value>| value.ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
    let params = [
        ("id", notice.id.to_string()),
        ("incident", notice.incident.to_string()),
        ("kind", word(serde_json::to_value(notice.kind))),
        ("severity", word(serde_json::to_value(notice.severity))),
        ("code", notice.code.to_string()),
        ("box", notice.box_name.to_string()),
    ];
    let params: String = params.into_iter().map(|(name, value)| format!(" {name}=\"{}\"", escaped(&value))).collect();
    format!("[keepwell@32473{params}]")
}

fn facts(notice: &Notice) -> String {
    let params: String = notice.facts.iter().map(|(name, number)| format!(" {}=\"{number}\"", cut(name.as_str(), NAME_MAX))).collect();
    if params.is_empty() { params } else { format!("[facts@32473{params}]") }
}

/// RFC 5424, 6.3.3.
fn escaped(value: &str) -> String {
    value.chars().flat_map(|c| matches!(c, '"' | '\\' | ']').then_some('\\').into_iter().chain([c])).collect()
}

fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    &text[..end]
}

/// Sends it.
pub(crate) async fn send(peer: &Peer, syslog: &Syslog, notice: &Notice) -> Result<Line, NotifyError> {
    match syslog.transport {
        SyslogTransport::Udp => {
            datagram(peer, &message(notice, DATAGRAM_MAX)).await.map_err(|source| peer.unreachable(source))?;
            Ok(one_line("sent by UDP: nobody knows whether it arrived"))
        }
        SyslogTransport::Tcp => written(peer.connect().await?, notice).await.map_err(|source| peer.unreachable(source)),
        SyslogTransport::Tls => {
            let config = trust(syslog.ca_pem.as_deref())?;
            let stream = peer.encrypt(peer.connect().await?, config).await?;
            written(stream, notice).await.map_err(|source| peer.broken(source))
        }
    }
}

async fn datagram(peer: &Peer, message: &str) -> io::Result<()> {
    let address = lookup_host((peer.host.as_str(), peer.port)).await?.next().ok_or(io::ErrorKind::NotFound)?;
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.send_to(message.as_bytes(), address).await.map(drop)
}

async fn written<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, notice: &Notice) -> io::Result<Line> {
    let message = message(notice, STREAM_MAX);
    stream.write_all(format!("{} {message}", message.len()).as_bytes()).await?;
    stream.shutdown().await?;
    // A reset that comes now says that it was not read.
    let end = tokio::time::timeout(HANG_UP, stream.read_to_end(&mut Vec::new())).await;
    match end {
        Ok(Err(error)) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        Ok(_) => Ok(one_line("written, and the collector hung up in order")),
        Err(_) => Ok(one_line("written: the collector says nothing")),
    }
}

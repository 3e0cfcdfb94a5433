//! Hands a mail to a mail server (RFC 5321, 6409), over an encrypted connection only.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use keepwell_api::notices::{Email, Line, MailTls, RefusedRecipient};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use crate::connect::{Capped, trust};
use crate::error::{NotifyError, Peer};
use crate::starttls;
use crate::words::one_line;

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// What the server said when it took the mail, and whom it did not take it for.
pub(crate) struct Taken {
    pub(crate) answer: Line,
    pub(crate) refused: Vec<RefusedRecipient>,
}

/// Sends `message` to all recipients in one go; those whom the server refuses do not keep the others from getting it.
pub(crate) async fn send(peer: &Peer, email: &Email, message: &[u8]) -> Result<Taken, NotifyError> {
    let (sign_in, config) = (credentials(email)?, trust(email.ca_pem.as_deref())?);
    let stream = peer.connect().await?;
    let (local, remote) = (stream.stream.local_addr(), stream.stream.peer_addr());
    let (Ok(local), Ok(remote)) = (local, remote) else { return Err(peer.unreachable(io::ErrorKind::NotConnected.into())) };
    let hello = match local.ip() {
        std::net::IpAddr::V4(ip) => ClientId::Ipv4(ip),
        std::net::IpAddr::V6(ip) => ClientId::Ipv6(ip),
    };
    let (stream, greeting) = match email.tls {
        MailTls::Implicit => (stream, &b""[..]),
        // The greeting was read in the clear; lettre wants to read one, too.
        MailTls::StartTls => (starttls::ask(peer, stream, &hello.to_string()).await?, &b"220 encrypted\r\n"[..]),
    };
    let stream = Encrypted { greeting, stream: peer.encrypt(stream, config).await?, remote };
    let mut talk =
        AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello).await.map_err(|error| failed(peer, &error, false))?;
    let taken = hand_over(peer, &mut talk, sign_in.as_ref(), email, message).await;
    // Not waited for: a mail that was taken is delivered, however long the goodbye takes.
    tokio::spawn(async move { tokio::time::timeout(GOODBYE, talk.quit()).await });
    taken
}

fn credentials(email: &Email) -> Result<Option<Credentials>, NotifyError> {
    match (&email.user, &email.password) {
        (None, None) => Ok(None),
        (Some(user), Some(password)) => {
            let password = std::str::from_utf8(password.as_ref()).map_err(|_| NotifyError::Settings("the password is no UTF-8"))?;
            // PLAIN separates its parts with it (RFC 4616).
            if password.contains('\0') {
                return Err(NotifyError::Settings("there is a zero byte in the password"));
            }
            Ok(Some(Credentials::new(user.to_string(), password.to_owned())))
        }
        _ => Err(NotifyError::Settings("a user name needs a password, and a password a user name")),
    }
}

async fn hand_over(
    peer: &Peer,
    talk: &mut AsyncSmtpConnection,
    sign_in: Option<&Credentials>,
    email: &Email,
    message: &[u8],
) -> Result<Taken, NotifyError> {
    let address = |address: &keepwell_api::notices::Address| {
        address.as_str().parse::<lettre::Address>().map_err(|_| NotifyError::Settings("no mail address"))
    };
    if let Some(sign_in) = sign_in {
        talk.auth(&[Mechanism::Plain, Mechanism::Login], sign_in).await.map_err(|error| failed(peer, &error, true))?;
    }
    talk.command(Mail::new(Some(address(&email.from)?), Vec::new())).await.map_err(|error| failed(peer, &error, false))?;
    let mut refused = Vec::new();
    for to in &email.to {
        match talk.command(Rcpt::new(address(to)?, Vec::new())).await {
            Ok(_) => {}
            Err(error) if error.status().is_some() => {
                refused.push(RefusedRecipient { address: to.clone(), answer: said(&error), retry: error.is_transient() });
            }
            Err(error) => return Err(failed(peer, &error, false)),
        }
    }
    if refused.len() == email.to.len() {
        let passing = refused.iter().any(|one| one.retry);
        let answer = refused.swap_remove(0).answer;
        return Err(NotifyError::Rejected { peer: peer.clone(), answer, passing });
    }
    talk.command(Data).await.map_err(|error| failed(peer, &error, false))?;
    let answer = talk.message(message).await.map_err(|error| failed(peer, &error, false))?;
    let answer = one_line(&format!("{} {}", answer.code(), answer.message().collect::<Vec<_>>().join(" ")));
    Ok(Taken { answer, refused })
}

fn failed(peer: &Peer, error: &SmtpError, signing_in: bool) -> NotifyError {
    let peer = peer.clone();
    match error.status().map(u16::from) {
        // 530, 534, 535: RFC 4954, 6.
        Some(code) if signing_in || matches!(code, 530 | 534 | 535) => {
            NotifyError::Auth { peer, answer: said(error), passing: error.is_transient() }
        }
        Some(_) => NotifyError::Rejected { peer, answer: said(error), passing: error.is_transient() },
        None if signing_in && error.is_client() => {
            NotifyError::Auth { peer, answer: one_line("AUTH PLAIN or LOGIN is not among what I offer"), passing: false }
        }
        None => NotifyError::Unreachable { peer, source: io::Error::other(one_line(&error.to_string()).to_string()) },
    }
}

/// The server's words to what it refused.
fn said(error: &SmtpError) -> Line {
    let code = error.status().map_or_else(String::new, |code| code.to_string());
    let words = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    one_line(&format!("{code} {words}"))
}

/// An encrypted connection that begins with a greeting.
struct Encrypted {
    greeting: &'static [u8],
    stream: TlsStream<Capped>,
    remote: SocketAddr,
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encrypted({})", self.remote)
    }
}

impl AsyncTokioStream for Encrypted {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.remote)
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.greeting.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let (now, later) = self.greeting.split_at(self.greeting.len().min(buf.remaining()));
        buf.put_slice(now);
        self.greeting = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

//! The few words in the clear before an SMTP connection is encrypted (RFC 3207). Not lettre's: what somebody on the way appends to the answer in the
//! clear must not be read as if it had come encrypted.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::connect::Capped;
use crate::error::{NotifyError, Peer};
use crate::words::one_line;

/// Longest reply line (RFC 5321, 4.5.3.1.5, twice over), and how many a reply may have.
const LINE_MAX: u64 = 1024;
const LINES_MAX: usize = 64;

struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl Reply {
    fn good(&self) -> bool {
        (200..300).contains(&self.code)
    }
}

/// Asks for encryption; the connection is then ready for the handshake.
pub(crate) async fn ask(peer: &Peer, stream: Capped, hello: &str) -> Result<Capped, NotifyError> {
    let mut reader = BufReader::new(stream);
    accepted(peer, reply(&mut reader).await)?;
    let offers = accepted(peer, command(&mut reader, &format!("EHLO {hello}\r\n")).await)?;
    if !offers.lines.iter().skip(1).any(|line| line.trim().eq_ignore_ascii_case("STARTTLS")) {
        return Err(no_tls(peer, "it does not offer STARTTLS"));
    }
    let answer = command(&mut reader, "STARTTLS\r\n").await.map_err(|source| peer.unreachable(source))?;
    if !answer.good() {
        return Err(no_tls(peer, "it offers STARTTLS and then refuses it"));
    }
    if !reader.buffer().is_empty() {
        return Err(no_tls(peer, "somebody added to its answer before the connection was encrypted"));
    }
    Ok(reader.into_inner())
}

fn accepted(peer: &Peer, reply: io::Result<Reply>) -> Result<Reply, NotifyError> {
    let reply = reply.map_err(|source| peer.unreachable(source))?;
    if reply.good() {
        return Ok(reply);
    }
    let answer = one_line(&format!("{} {}", reply.code, reply.lines.join(" ")));
    Err(NotifyError::Rejected { peer: peer.clone(), answer, passing: reply.code < 500 })
}

fn no_tls(peer: &Peer, why: &'static str) -> NotifyError {
    NotifyError::Tls { peer: peer.clone(), source: io::Error::other(why) }
}

async fn command(reader: &mut BufReader<Capped>, words: &str) -> io::Result<Reply> {
    reader.write_all(words.as_bytes()).await?;
    reader.flush().await?;
    reply(reader).await
}

async fn reply(reader: &mut BufReader<Capped>) -> io::Result<Reply> {
    let mut lines = Vec::new();
    while lines.len() < LINES_MAX {
        let mut line = Vec::new();
        (&mut *reader).take(LINE_MAX).read_until(b'\n', &mut line).await?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let (Some(code), Some(rest), true) = (line.get(..3), line.get(3..), line.ends_with('\n')) else { return Err(foreign()) };
        let code: u16 = code.parse().map_err(|_| foreign())?;
        let more = rest.starts_with('-');
        lines.push(rest.trim_start_matches([' ', '-']).trim_end().to_owned());
        if !more {
            return Ok(Reply { code, lines });
        }
    }
    Err(foreign())
}

fn foreign() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "what answers there is no mail server, or hung up")
}

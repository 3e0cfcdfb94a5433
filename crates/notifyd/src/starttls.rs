//! The few words in the clear before an SMTP connection is encrypted (RFC 3207). Not lettre's: what somebody on the way appends to the answer in the
//! clear must not be read as if it had come encrypted.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

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

async fn reply(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Reply> {
    let mut lines = Vec::new();
    while lines.len() < LINES_MAX {
        let mut line = Vec::new();
        (&mut *reader).take(LINE_MAX).read_until(b'\n', &mut line).await?;
        let (code, more, text) = reply_line(&line).ok_or_else(foreign)?;
        lines.push(text);
        if !more {
            return Ok(Reply { code, lines });
        }
    }
    Err(foreign())
}

/// Its code, whether another line follows, and its words (RFC 5321, 4.2).
fn reply_line(line: &[u8]) -> Option<(u16, bool, String)> {
    let (code, rest) = line.split_first_chunk::<3>()?;
    let text = rest.strip_suffix(b"\n").map(|rest| rest.strip_suffix(b"\r").unwrap_or(rest))?;
    let digits = code.iter().all(u8::is_ascii_digit).then(|| code.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0')))?;
    match text.split_first() {
        None => Some((digits, false, String::new())),
        Some((mark @ (b' ' | b'-'), text)) => Some((digits, *mark == b'-', String::from_utf8_lossy(text).into_owned())),
        Some(_) => None,
    }
}

fn foreign() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "what answers there is no mail server, or hung up")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(mut bytes: &[u8]) -> (io::Result<Reply>, usize) {
        let before = bytes.len();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let reply = runtime.block_on(reply(&mut bytes));
        (reply, before - bytes.len())
    }

    #[test]
    fn replies_are_read_to_their_last_line_and_no_further() {
        let (reply, taken) = read(b"250-mail.example\r\n250-STARTTLS\r\n250 SIZE 1\r\n220 more\r\n");
        let reply = reply.unwrap();
        assert_eq!((reply.code, reply.good(), taken), (250, true, 44));
        assert_eq!(reply.lines, ["mail.example", "STARTTLS", "SIZE 1"]);
        assert!(read(b"220\n").0.unwrap().good() && !read(b"454 no\r\n").0.unwrap().good());
    }

    #[test]
    fn what_is_no_reply_is_none() {
        let long = [b"220 ".to_vec(), vec![b'x'; 2000], b"\r\n".to_vec()].concat();
        let many = b"250-a\r\n".repeat(100);
        for bytes in
            [&b""[..], b"22", b"220 hi", b"+20 a\r\n", b"2200\r\n", b"hello\r\n", b"\xff\xff\xff\xff\n", b"250-a\r\n", &long, &many]
        {
            let (reply, taken) = read(bytes);
            assert!(reply.is_err() && taken <= LINES_MAX * 1024, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_read_on_or_panic(bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'2'), Just(b'-'), any::<u8>()], 0..300)) {
            let (reply, taken) = read(&bytes);
            let lines = bytes.iter().filter(|&&b| b == b'\n').count();
            prop_assert!(taken <= bytes.len());
            prop_assert!(reply.is_err() || reply.is_ok_and(|reply| reply.lines.len() <= lines && bytes[taken - 1] == b'\n'));
        }
    }
}

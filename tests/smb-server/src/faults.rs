//! Owns the script of misbehaviour on the wire: which request meets which fault. Never carries a fault out.

use serde::Deserialize;

use crate::{protocol::Command, status::Status};

/// What happens to a request or its answer. Offsets count from the start of the answer's header, so bodies start at 64.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The request is not carried out; this status is answered.
    Status(Status),
    /// The whole connection waits for so many ms before the request is carried out.
    Stall(u64),
    /// The whole connection waits until the server stops or the client hangs up.
    Hang,
    /// The answer leaves so many ms later; other answers overtake it.
    Delay(u64),
    /// The answer leaves after so many later answers (or after 200 ms without any).
    After(usize),
    /// An interim answer (STATUS_PENDING) at once, the answer itself so many ms later.
    Pending(u64),
    /// No answer at all; others are served.
    Silence,
    /// The answer is sent twice.
    Twice,
    /// The connection is cut before the request is carried out.
    CutBefore,
    /// The connection is cut once the request is carried out, without an answer.
    CutUnanswered,
    /// The connection is cut after so many bytes of the answer's frame.
    CutWithin(usize),
    /// The connection is cut after the answer.
    CutAfter,
    /// The answer's signature is wrong.
    WrongSignature,
    /// The answer is neither signed nor says that it is.
    Unsigned,
    /// The answer says that it is signed, with a signature of zeros.
    BlankSignature,
    /// The answer has this message id.
    MessageId(u64),
    /// The answer has this session id.
    SessionId(u64),
    /// The answer grants exactly so many credits.
    Credits(u16),
    /// Bytes of the answer are replaced before it is signed.
    Patch(usize, Vec<u8>),
    /// Bits of the answer are turned over after it was signed (and hashed): a man in the middle.
    Tamper(usize, Vec<u8>),
    /// The answer to a sealed request leaves in the clear, signed.
    Unsealed,
    /// Bits of the frame as it is on the wire, behind its length, are turned over.
    TamperFrame(usize, Vec<u8>),
    /// The answer ends after so many bytes.
    Truncate(usize),
    /// So many bytes (0xEE) follow in the same frame.
    Trailing(usize),
    /// These bytes are sent, without a length prefix of ours, before the answer.
    Inject(Vec<u8>),
    /// These bytes are sent, without a length prefix of ours, instead of the answer.
    Instead(Vec<u8>),
    /// A session setup that succeeds says that it is a guest's.
    Guest,
    /// A session setup that succeeds says that it is nobody's.
    Anonymous,
    /// A negotiation is answered in SMB1 (NT LM 0.12).
    Smb1,
    /// A negotiation is answered with this dialect.
    Dialect(u16),
}

/// A fault and the requests that meet it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The command; all if `None`.
    #[serde(default)]
    pub command: Option<Command>,
    /// The path of the open file, `*` for any run of characters; requests without a file never match. All if `None`.
    #[serde(default)]
    pub path: Option<String>,
    /// Only files opened as of a snapshot, or only live ones.
    #[serde(default)]
    pub as_of: Option<bool>,
    /// Leaves so many requests that match alone at first.
    #[serde(default)]
    pub skip: u64,
    /// Ends after so many.
    #[serde(default)]
    pub times: Option<u64>,
    /// What happens.
    pub fault: Fault,
    #[serde(skip)]
    seen: u64,
}

impl Rule {
    /// Every request of one command.
    pub fn on(command: Command, fault: Fault) -> Self {
        Self { command: Some(command), ..Self::always(fault) }
    }

    /// Every request.
    pub fn always(fault: Fault) -> Self {
        Self { command: None, path: None, as_of: None, skip: 0, times: None, fault, seen: 0 }
    }

    /// Only where the path matches.
    #[must_use]
    pub fn path(mut self, pattern: &str) -> Self {
        self.path = Some(pattern.into());
        self
    }

    /// Only live files.
    #[must_use]
    pub fn live(mut self) -> Self {
        self.as_of = Some(false);
        self
    }

    /// Only files opened as of a snapshot.
    #[must_use]
    pub fn in_snapshots(mut self) -> Self {
        self.as_of = Some(true);
        self
    }

    /// Leaves the first ones alone.
    #[must_use]
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Ends after so many.
    #[must_use]
    pub fn times(mut self, requests: u64) -> Self {
        self.times = Some(requests);
        self
    }
}

/// What a rule is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occasion<'a> {
    pub(crate) command: Command,
    pub(crate) path: Option<&'a str>,
    pub(crate) as_of: bool,
}

/// All rules; each that matches has its effect, in their order.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Faults(Vec<Rule>);

impl Faults {
    /// No faults.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a rule.
    pub fn push(&mut self, rule: Rule) {
        self.0.push(rule);
    }

    /// Behaves from now on.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn meeting(&mut self, occasion: Occasion<'_>) -> Vec<Fault> {
        self.0.iter_mut().filter_map(|rule| rule.meets(occasion).then(|| rule.fault.clone())).collect()
    }
}

impl<const N: usize> From<[Rule; N]> for Faults {
    fn from(rules: [Rule; N]) -> Self {
        Self(rules.into())
    }
}

impl Rule {
    fn meets(&mut self, occasion: Occasion<'_>) -> bool {
        let fits = self.command.is_none_or(|command| command == occasion.command)
            && self.as_of.is_none_or(|as_of| as_of == occasion.as_of)
            && self.path.as_deref().is_none_or(|pattern| occasion.path.is_some_and(|path| fits(pattern.as_bytes(), path.as_bytes())));
        if !fits {
            return false;
        }
        self.seen += 1;
        let turn = self.seen - 1;
        turn >= self.skip && self.times.is_none_or(|times| turn - self.skip < times)
    }
}

/// `*` stands for any run of bytes.
pub(crate) fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => match &mut star {
                Some((at, from)) => {
                    *from += 1;
                    (p, t) = (*at + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_count_what_they_match() {
        let mut faults = Faults::from([Rule::on(Command::Read, Fault::Hang).path("a*\\*.txt").skip(1).times(1)]);
        let read = |path| Occasion { command: Command::Read, path: Some(path), as_of: false };
        let hits: Vec<bool> = ["ab\\c.txt", "b\\c.txt", "a\\c.txt", "a\\d.txt"].map(|path| !faults.meeting(read(path)).is_empty()).into();
        assert_eq!(hits, [false, false, true, false]);
    }
}

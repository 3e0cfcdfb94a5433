//! Small files written in one round trip. Owns the order: data, descriptor, name, times and attributes, close.

use crate::connection::{Answer, Request};
use crate::handle::{Handle, is_success, succeeded};
use crate::wire::create::{Created, FileId};
use crate::wire::fscc::{encode_basic, encode_name};
use crate::wire::info::{Class, encode_set};
use crate::wire::{close, transfer};
use crate::{Basic, CloseInfo, Disposition, NtStatus, Open, OpenKind, Pending, Share, SmbError, WidePath, access};

/// A small file to be written.
#[derive(Clone, Copy, Debug)]
pub struct Store<'a> {
    /// All its data; at most [`crate::Facts::max_write`] bytes.
    pub data: &'a [u8],
    /// Times and attributes.
    pub basic: Basic,
    /// Self-relative security descriptor, and which parts of it to set: [`crate::part`].
    pub descriptor: Option<(&'a [u8], u32)>,
    /// What to do about a file that is there.
    pub disposition: Disposition,
    /// The path that it takes when all but times and attributes is done, if nothing is there.
    pub takes: Option<&'a WidePath>,
}

/// What came of it. Parts that the server refused carry its answer.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    /// Whether the file is new.
    pub is_new: bool,
    /// Bytes written; fewer than given if the server took fewer. The rest may be done all the same: servers go on in a chain.
    pub written: Result<u32, NtStatus>,
    /// The path that it was to take.
    pub taken: Result<(), NtStatus>,
    /// The descriptor.
    pub descriptor: Result<(), NtStatus>,
    /// Times and attributes.
    pub basic: Result<(), NtStatus>,
    /// What the file was like when it was closed, if the server said.
    pub after: Option<CloseInfo>,
}

impl Share {
    /// Writes a small file. Sends all and does not wait.
    ///
    /// # Errors
    /// [`SmbError`]; `Config` if the data is too long for one write.
    pub fn begin_store(&self, path: &WidePath, store: &Store<'_>) -> Result<Pending<Stored>, SmbError> {
        if store.data.len() > self.max_write() as usize {
            return Err(SmbError::Config { what: "more data than one write can take" });
        }
        let open = Open::writing(OpenKind::File, store.disposition);
        let mut open = store.descriptor.iter().fold(open, |open, (_, parts)| open.with_descriptor(*parts));
        open.access |= if store.takes.is_some() { access::DELETE } else { 0 };
        let changes = changes(store);
        let mut chain = Vec::with_capacity(changes.len() + 3);
        chain.push(open.request(path, open.rights()).encode());
        chain.push(transfer::encode_write(FileId::RELATED, 0, store.data));
        chain.extend(changes.iter().map(|change| change.request(FileId::RELATED)));
        chain.push(close::encode(FileId::RELATED, true));
        let (share, sent) = (self.clone(), store.data.len() as u32);
        let exchange = self.link().send(chain)?;
        Ok(Pending::new(exchange, move |generation, answers| finish(&share, generation, &changes, sent, answers)).must_finish())
    }
}

/// A change after the data, kept in case it has to be sent again.
struct Change {
    class: Class,
    buffer: Vec<u8>,
}

impl Change {
    fn request(&self, file: FileId) -> Request {
        encode_set(file, self.class, &self.buffer)
    }
}

fn changes(store: &Store<'_>) -> Vec<Change> {
    let descriptor = store.descriptor.map(|(bytes, parts)| Change { class: Class::Security(parts), buffer: bytes.to_vec() });
    // What is renamed counts as changed, so its times come last.
    let takes = store.takes.map(|path| Change { class: Class::RENAME, buffer: encode_name(path, false) });
    let basic = (store.basic != Basic::default()).then(|| Change { class: Class::BASIC, buffer: encode_basic(&store.basic) });
    descriptor.into_iter().chain(takes).chain(basic).collect()
}

fn finish(share: &Share, generation: u64, changes: &[Change], sent: u32, mut answers: Vec<Answer>) -> Result<Stored, SmbError> {
    let short = || SmbError::Malformed { what: "fewer answers than requests" };
    if answers.len() != changes.len() + 3 {
        return Err(short());
    }
    let closed = answers.pop().ok_or_else(short)?;
    let mut answers = answers.into_iter();
    let created = Created::decode(&succeeded(answers.next().ok_or_else(short)?, "open")?.body)?;
    let mut handle = Handle::new(share.link().clone(), generation, created.file);
    if is_success(closed.status) {
        handle.closed();
    }
    let written = answers.next().ok_or_else(short)?;
    let written = if is_success(written.status) { Ok(transfer::decode_write(&written.body, sent)?) } else { Err(written.status) };
    let mut stored = Stored { is_new: created.is_new, written, taken: Ok(()), descriptor: Ok(()), basic: Ok(()), after: None };
    // What is not whole is not changed further than the server has by itself.
    let is_whole = written == Ok(sent);
    let mut has_failed = false;
    for (change, answer) in changes.iter().zip(answers) {
        let mut status = answer.status;
        // Some servers stop a chain at the first refusal, and leave the file open.
        if has_failed && is_whole && handle.is_open() {
            status = handle.ask(change.request(handle.file()))?.status;
        }
        has_failed |= !is_success(status);
        let result = if is_success(status) { Ok(()) } else { Err(status) };
        match change.class {
            Class::Security(_) => stored.descriptor = result,
            Class::RENAME => stored.taken = result,
            _ => stored.basic = result,
        }
    }
    let closed = if handle.is_open() { handle.ask(close::encode(handle.file(), true))? } else { closed };
    handle.closed();
    stored.after = close::decode(&succeeded(closed, "close")?.body)?;
    Ok(stored)
}

//! A folder, entry by entry. Owns the questions ahead and the end: each batch moves on, and a name that could be no entry of the folder
//! is never given out. Holds two answers at most; how long a folder may be is the caller's decision.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::connection::{Answer, Exchange};
use crate::handle::{Handle, is_success, only, succeeded};
use crate::rights::access;
use crate::wire::create::{Created, FileId};
use crate::wire::fscc::Directory;
use crate::wire::info::encode_directory;
use crate::wire::payload::output;
use crate::{DirEntry, FileTime, NtStatus, Open, OpenKind, Share, SmbError, Want, WidePath};

/// Bytes of each of the first two answers: most folders fit, and one credit pays for it.
const FIRST: u32 = 64 << 10;
/// Bytes of each further answer.
const LATER: u32 = 1 << 20;
/// Answers in a row that bring nothing.
const PATIENCE: u32 = 8;

/// The entries of a folder. Batches come in the order of the server.
#[derive(Debug)]
pub struct Listing {
    share: Share,
    state: State,
    /// Answers that came and were not looked at, with what was asked.
    came: VecDeque<(Answer, u32)>,
    /// The last batch as it came.
    previous: Bytes,
    refused: u64,
}

#[derive(Debug)]
enum State {
    Opening(Exchange),
    /// With the next question, if it is on its way.
    Reading(Handle, Option<(Exchange, u32)>),
    Ended,
}

impl Share {
    /// Opens a folder and asks for its first entries. Does not wait; what is wrong with the folder shows in the first batch.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn list(&self, path: &WidePath, as_of: Option<FileTime>) -> Result<Listing, SmbError> {
        let looking = Open::looking(Want::default(), as_of);
        let open = Open { access: looking.access | access::READ_DATA, kind: OpenKind::Folder, ..looking };
        let chain = vec![
            open.request(path, open.rights()).encode(),
            encode_directory(FileId::RELATED, FIRST),
            // Mostly answered by: no more. It spares a round trip.
            encode_directory(FileId::RELATED, FIRST),
        ];
        let exchange = self.link().send(chain)?;
        Ok(Listing { share: self.clone(), state: State::Opening(exchange), came: VecDeque::new(), previous: Bytes::new(), refused: 0 })
    }
}

impl Listing {
    /// The next entries, without `.` and `..`. Empty only where all names that came were refused. None at the end, and after an error.
    ///
    /// # Errors
    /// [`SmbError`]: the folder can't be opened or read on. `Malformed` also where the server goes in circles.
    pub fn next_batch(&mut self) -> Result<Option<Vec<DirEntry>>, SmbError> {
        let batch = self.advance();
        if !matches!(batch, Ok(Some(_))) {
            // Closes the folder.
            self.finish();
        }
        batch
    }

    /// How many names had to be left out so far, because they could not be entries of this folder.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn advance(&mut self) -> Result<Option<Vec<DirEntry>>, SmbError> {
        for _ in 0..PATIENCE {
            let Some((answer, asked)) = self.answer()? else { return Ok(None) };
            // An empty folder is no such file to some servers.
            if matches!(answer.status, NtStatus::NO_MORE_FILES | NtStatus::NO_SUCH_FILE) {
                return Ok(None);
            }
            let answer = succeeded(answer, "list folder")?;
            let buffer = output(&answer.body, asked, "QUERY_DIRECTORY answer")?;
            if buffer.is_empty() || buffer == self.previous {
                return Err(SmbError::Malformed { what: "a listing that does not move on" });
            }
            self.ask_ahead()?;
            let directory = Directory::decode(&buffer)?;
            self.previous = buffer;
            self.refused += directory.refused;
            if !directory.entries.is_empty() || directory.refused > 0 {
                return Ok(Some(directory.entries));
            }
        }
        Err(SmbError::Malformed { what: "a listing of nothing" })
    }

    /// The next answer, waited for if need be.
    fn answer(&mut self) -> Result<Option<(Answer, u32)>, SmbError> {
        if let Some(came) = self.came.pop_front() {
            return Ok(Some(came));
        }
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => Ok(None),
            State::Opening(exchange) => {
                let (handle, answers) = opened(&self.share, exchange)?;
                self.came = answers.into_iter().map(|answer| (answer, FIRST)).collect();
                self.state = State::Reading(handle, None);
                Ok(self.came.pop_front())
            }
            State::Reading(handle, ahead) => {
                let (exchange, asked) = match ahead {
                    Some(ahead) => ahead,
                    None => question(&self.share, &handle)?,
                };
                self.state = State::Reading(handle, None);
                Ok(Some((only(exchange.wait()?)?, asked)))
            }
        }
    }

    /// Asks the next question if the last one known is answered, and not by the end.
    fn ask_ahead(&mut self) -> Result<(), SmbError> {
        if self.came.back().is_some_and(|(answer, _)| !is_success(answer.status)) {
            return Ok(());
        }
        if let State::Reading(handle, ahead @ None) = &mut self.state {
            *ahead = Some(question(&self.share, handle)?);
        }
        Ok(())
    }

    fn finish(&mut self) {
        self.came.clear();
        self.previous = Bytes::new();
        if let State::Opening(exchange) = std::mem::replace(&mut self.state, State::Ended) {
            // Nobody looked at it, but it is open.
            let _ = opened(&self.share, exchange);
        }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.finish();
    }
}

fn opened(share: &Share, exchange: Exchange) -> Result<(Handle, Vec<Answer>), SmbError> {
    let generation = exchange.generation();
    let mut answers = exchange.wait()?;
    let rest = if answers.is_empty() { Vec::new() } else { answers.split_off(1) };
    let created = Created::decode(&succeeded(only(answers)?, "open folder")?.body)?;
    Ok((Handle::new(share.link().clone(), generation, created.file), rest))
}

/// Asks for the next entries.
fn question(share: &Share, handle: &Handle) -> Result<(Exchange, u32), SmbError> {
    let asked = LATER.min(share.max_transact());
    Ok((handle.send(encode_directory(handle.file(), asked))?, asked))
}

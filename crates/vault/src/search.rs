//! Finds entries by a part of their name, whatever the case of its letters: level-one pages of the catalog are read beside each other, and answered for in order.
//!
//! Memory is bounded by what is asked for and by a few pages a worker.

use std::collections::VecDeque;

use keepwell_format::page::{Child, Page};
use keepwell_format::{BlobId, Key, Node};

use crate::VaultError;
use crate::blobs::BlobReader;
use crate::catalog::{is_damage, read_page};
use crate::index::Neighbours;
use crate::lanes::{Lanes, Ticket};
use crate::snapshot::Snapshot;
use crate::vault::Vault;

/// Jobs that are under way or wait to be taken, for each worker.
const AHEAD: usize = 3;

/// What is looked for in names. Letters are folded one by one (simple case folding, Unicode 5.18): `ß` is no `ss`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needle(Vec<u8>);

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// In the order of the catalog.
    pub entries: Vec<(Key, Node)>,
    /// There are more.
    pub more: bool,
    /// A part of the catalog can't be read any more: there may be more.
    pub damaged: bool,
}

impl Needle {
    /// This text.
    pub fn new(text: &[u8]) -> Self {
        let mut folded = Vec::with_capacity(text.len());
        fold(text, &mut folded);
        Self(folded)
    }

    /// Whether a name holds it. `folded` is room for the name.
    fn is_in(&self, name: &[u8], folded: &mut Vec<u8>) -> bool {
        folded.clear();
        fold(name, folded);
        self.0.is_empty() || folded.windows(self.0.len()).any(|part| part[0] == self.0[0] && part == self.0.as_slice())
    }
}

/// One letter for both cases; what is no UTF-8 stays.
fn fold(text: &[u8], out: &mut Vec<u8>) {
    if text.is_ascii() {
        return out.extend(text.iter().map(u8::to_ascii_lowercase));
    }
    for chunk in text.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_ascii() {
                out.push(letter.to_ascii_lowercase() as u8);
                continue;
            }
            // By way of the capital: that makes one of letters with several small forms, such as the two sigmas.
            let letter = only(letter.to_uppercase()).unwrap_or(letter);
            let letter = only(letter.to_lowercase()).unwrap_or(letter);
            out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
        out.extend_from_slice(chunk.invalid());
    }
}

fn only(mut letters: impl Iterator<Item = char>) -> Option<char> {
    let first = letters.next();
    first.filter(|_| letters.next().is_none())
}

impl Vault {
    /// The first `limit` entries of `folder` and below whose name holds `needle`. `go_on` is asked now and then.
    pub fn search(
        &self,
        snapshot: &Snapshot,
        folder: &Key,
        needle: &Needle,
        limit: usize,
        go_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<Found, VaultError> {
        let index = Neighbours::new(&*self.index);
        let reader = BlobReader::of_many(&self.pool, &self.keys, &index);
        let thorough = self.reader();
        std::thread::scope(|scope| {
            let lanes = Lanes::start(scope, self.env.workers);
            let look = Look { reader: &reader, thorough: &thorough, folder, needle, limit, go_on };
            let mut search = Search { look, lanes: &lanes, waiting: VecDeque::new(), found: Found::default() };
            let root = Child { first: Key::root(), page: snapshot.body.root, entries: 0, bytes: 0, gaps: 0 };
            search.descend(snapshot.body.depth, &root)?;
            while search.goes_on() && search.take()? {}
            Ok(search.found)
        })
    }
}

/// What a worker needs.
#[derive(Clone, Copy)]
struct Look<'env> {
    reader: &'env BlobReader<'env>,
    /// For pages that the other one can't read.
    thorough: &'env BlobReader<'env>,
    folder: &'env Key,
    needle: &'env Needle,
    limit: usize,
    go_on: &'env (dyn Fn() -> bool + Sync),
}

struct Search<'env, 'l> {
    look: Look<'env>,
    lanes: &'l Lanes<'env>,
    waiting: VecDeque<Ticket<Result<Found, VaultError>>>,
    found: Found,
}

impl Search<'_, '_> {
    fn goes_on(&self) -> bool {
        !self.found.more && (self.look.go_on)()
    }

    fn descend(&mut self, level: u8, child: &Child) -> Result<(), VaultError> {
        if level <= 1 {
            let (look, page) = (self.look, child.page);
            let ticket = self.lanes.submit(move || look.at(level, &page));
            self.waiting.push_back(ticket);
            while self.waiting.len() > AHEAD * self.lanes.width {
                self.take()?;
            }
            return Ok(());
        }
        let look = self.look;
        match look.page(level, &child.page)? {
            None => self.found.damaged = true,
            Some(Page::Leaf(_)) => {}
            Some(Page::Inner { children, .. }) => {
                for child in look.wanted(&children) {
                    if !self.goes_on() {
                        break;
                    }
                    self.descend(level - 1, child)?;
                }
            }
        }
        Ok(())
    }

    /// Takes the next result. Whether there was one.
    fn take(&mut self) -> Result<bool, VaultError> {
        let Some(ticket) = self.waiting.pop_front() else { return Ok(false) };
        self.look.join(&mut self.found, ticket.wait()?);
        Ok(true)
    }
}

impl Look<'_> {
    /// Reads a page; none if it is lost.
    fn page(&self, level: u8, id: &BlobId) -> Result<Option<Page>, VaultError> {
        let page = match read_page(self.reader, level, id) {
            Err(error) if is_damage(&error) => read_page(self.thorough, level, id),
            read => read,
        };
        match page {
            Ok(page) => Ok(Some(page)),
            Err(error) if is_damage(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Those that may have entries of the folder.
    fn wanted<'c>(&self, children: &'c [Child]) -> impl Iterator<Item = &'c Child> {
        let first = children.iter().rposition(|child| child.first <= *self.folder).unwrap_or(0);
        let folder = self.folder.clone();
        children[first..].iter().take_while(move |child| child.first <= folder || child.first.is_in(&folder))
    }

    /// What is found in a page of the lowest two levels.
    fn at(&self, level: u8, id: &BlobId) -> Result<Found, VaultError> {
        let mut found = Found::default();
        match self.page(level, id)? {
            None => found.damaged = true,
            Some(Page::Leaf(entries)) => {
                let mut room = Vec::new();
                let hits = entries.into_iter().filter(|(key, _)| key.is_in(self.folder) && self.needle.is_in(key.name(), &mut room));
                found.entries = hits.take(self.limit + 1).collect();
            }
            Some(Page::Inner { children, .. }) => {
                for child in self.wanted(&children) {
                    if found.more || !(self.go_on)() {
                        break;
                    }
                    self.join(&mut found, self.at(0, &child.page)?);
                }
            }
        }
        Ok(found)
    }

    /// Puts what was found later behind what was found before.
    fn join(&self, found: &mut Found, next: Found) {
        let room = self.limit - found.entries.len().min(self.limit);
        found.damaged |= next.damaged;
        found.more |= next.more || next.entries.len() > room;
        found.entries.extend(next.entries.into_iter().take(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_found_in_either_case() {
        let has = |name: &str, text: &str| Needle::new(text.as_bytes()).is_in(name.as_bytes(), &mut Vec::new());
        for (name, text) in
            [("Befund.PDF", "fund.pdf"), ("MÜLLER", "müller"), ("Σοφίας", "ΣΟΦΊΑΣ"), ("\u{212a}elvin", "kelvin"), ("Straße", "ße")]
        {
            assert!(has(name, text), "{text} in {name}");
        }
        for (name, text) in [("Befund", "befunde"), ("Straße", "strasse"), ("a", "b")] {
            assert!(!has(name, text), "{text} in {name}");
        }
        assert!(Needle::new(b"\xff\xfeA").is_in(b"x\xff\xfea", &mut Vec::new()), "what is no UTF-8");
    }
}

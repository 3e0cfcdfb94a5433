//! Finds entries by a part of their name, whatever the case of its letters: level-one pages of the catalog are read beside each other, and answered for in order.
//!
//! Memory is bounded by what is asked for and by a few pages a worker.

use std::collections::VecDeque;
use std::sync::LazyLock;

use keepwell_format::page::{Child, Page};
use keepwell_format::{BlobId, Key, Node};

use crate::VaultError;
use crate::blobs::BlobReader;
use crate::catalog::{is_damage, read_page_where};
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
    for chunk in text.utf8_chunks() {
        for letter in chunk.valid().chars() {
            let folded = FOLDED.get(letter as usize).map_or_else(|| fold_letter(letter), |folded| *folded);
            match u8::try_from(folded) {
                Ok(byte @ ..0x80) => out.push(byte),
                _ => out.extend_from_slice(folded.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        out.extend_from_slice(chunk.invalid());
    }
}

/// Latin, Greek, Cyrillic and Armenian letters, folded.
static FOLDED: LazyLock<Vec<char>> = LazyLock::new(|| ('\0'..'\u{590}').map(fold_letter).collect());

/// By way of the capital: that makes one of letters with several small forms, such as the two sigmas.
fn fold_letter(letter: char) -> char {
    let letter = only(letter.to_uppercase()).unwrap_or(letter);
    only(letter.to_lowercase()).unwrap_or(letter)
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
        let index = Neighbours::new(&*self.index, &self.pool, &self.keys);
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
    /// Reads a page, of a leaf only what is looked for, and no more than is asked for and one; none if it is lost.
    fn page(&self, level: u8, id: &BlobId) -> Result<Option<Page>, VaultError> {
        let read = |reader| {
            let (mut room, mut left) = (Vec::new(), self.limit.saturating_add(1));
            read_page_where(reader, level, id, &mut |key| {
                let hit = left > 0 && key.is_in(self.folder) && self.needle.is_in(key.name(), &mut room);
                left -= usize::from(hit);
                hit
            })
        };
        let page = match read(self.reader) {
            Err(error) if is_damage(&error) => read(self.thorough),
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
            Some(Page::Leaf(entries)) => found.entries = entries,
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

    proptest::proptest! {
        #[test]
        fn a_name_holds_a_text_as_the_plain_rule_says(name in "[A-Za-zÄßẞσςΣıİſ\u{212a}Ж0-9.\u{1e900}]{0,20}", cut in 0..20usize, length in 1..5usize, upper: bool) {
            let folded = |text: &str| text.chars().map(fold_letter).collect::<String>();
            let part: String = name.chars().skip(cut).take(length).collect();
            let text = if upper { part.chars().filter_map(|letter| only(letter.to_uppercase())).collect() } else { part };
            let found = Needle::new(text.as_bytes()).is_in(name.as_bytes(), &mut vec![b'x'; 3]);
            proptest::prop_assert_eq!(found, folded(&name).contains(&folded(&text)));
        }
    }
}

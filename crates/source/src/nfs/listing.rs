//! One folder's listing, read to its end page by page. A hostile server can make it neither endless nor larger than memory.

use keepwell_format::{Gap, GapReason};
use keepwell_nfs::{Attributes, Entry, Handle, NfsError, Page, Status, Verifier};

use super::gaps::gap;
use super::link::{Link, Sent};

/// Bytes that the entries of one folder may take: about 1.2 million usual ones.
const MOST_BYTES: usize = 256 << 20;
/// What an entry takes beside its name.
const ENTRY_BYTES: usize = 192;
/// How often a listing begins anew because the folder changed under it.
const RESTARTS: u32 = 3;
/// Pages without a single entry, in a row.
const EMPTY_PAGES: u32 = 64;

/// A listing under way.
#[derive(Debug)]
pub(super) struct Listing {
    handle: Handle,
    /// READDIR, because the server has no READDIRPLUS.
    plain: bool,
    sent: Sent<Page>,
    cookie: u64,
    verifier: Verifier,
    restarts: u32,
}

#[derive(Debug, Default)]
struct Counts {
    bytes: usize,
    refused: usize,
    /// Pages without entries, in a row.
    empty: u32,
}

/// All entries that could be had, in ascending order of their names, each name once.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) entries: Vec<Entry>,
    /// Of the folder itself.
    pub(super) attributes: Option<Attributes>,
    /// Why it is not whole.
    pub(super) gap: Option<Gap>,
}

impl Listing {
    /// Asks for the first page and does not wait.
    pub(super) fn begin(link: &Link, handle: Handle, plain: bool) -> Self {
        let sent = send(link, &handle, plain, 0, Verifier::default());
        Self { handle, plain, sent, cookie: 0, verifier: Verifier::default(), restarts: 0 }
    }

    /// Waits for all pages.
    ///
    /// # Errors
    /// The server is gone. What it says about the folder is a gap of the listing.
    pub(super) fn finish(mut self, link: &Link) -> Result<Listed, NfsError> {
        let mut listed = Listed::default();
        let mut counts = Counts::default();
        loop {
            match self.page(link) {
                Ok(page) if self.is_another(&page) => self.begin_anew(link, self.plain),
                Ok(page) => {
                    if self.take(link, page, &mut listed, &mut counts) {
                        break;
                    }
                    continue;
                }
                Err(error) if error.is_gone() => return Err(error),
                Err(error) if !self.plain && lacks_plus(&error) => self.begin_anew(link, true),
                Err(error) if error.status() == Some(Status::BAD_COOKIE) && self.restarts < RESTARTS => self.begin_anew(link, self.plain),
                Err(error) => {
                    listed.gap = Some(refused(&error));
                    break;
                }
            }
            listed.entries.clear();
            counts = Counts::default();
        }
        listed.sort();
        if counts.refused > 0 {
            let text = format!("{} entries of this folder have names that no file can have: they were left out", counts.refused);
            listed.gap.get_or_insert(Gap { reason: GapReason::Name, text });
        }
        Ok(listed)
    }

    /// Takes a page in, having asked for the next one. Whether it was the last.
    fn take(&mut self, link: &Link, page: Page, listed: &mut Listed, counts: &mut Counts) -> bool {
        let stuck = page.next == Some(self.cookie);
        if let (false, false, Some(next)) = (page.end, stuck, page.next) {
            (self.cookie, self.verifier) = (next, page.verifier);
            self.sent = send(link, &self.handle, self.plain, next, page.verifier);
        }
        counts.refused += page.refused;
        counts.empty = if page.entries.is_empty() { counts.empty + 1 } else { 0 };
        counts.bytes += page.entries.iter().map(|entry| entry.name.len() + ENTRY_BYTES).sum::<usize>();
        listed.attributes = page.attributes.or(listed.attributes);
        listed.entries.extend(page.entries);
        let endless = stuck || counts.empty > EMPTY_PAGES;
        let text = if endless { "the server's listing does not go on" } else { "the folder has more entries than can be held" };
        if !page.end && (endless || counts.bytes > MOST_BYTES) {
            listed.gap = Some(Gap { reason: GapReason::Listing, text: text.into() });
            return true;
        }
        page.end
    }

    /// Whether it goes on a listing that was not the one before.
    fn is_another(&self, page: &Page) -> bool {
        self.cookie != 0 && page.verifier != self.verifier && self.restarts < RESTARTS
    }

    fn begin_anew(&mut self, link: &Link, plain: bool) {
        let restarts = self.restarts + 1;
        *self = Self { restarts, ..Self::begin(link, self.handle.clone(), plain) };
    }

    fn page(&mut self, link: &Link) -> Result<Page, NfsError> {
        let spent = Sent::spent();
        let sent = std::mem::replace(&mut self.sent, spent);
        link.settle(sent, |export| match self.plain {
            true => export.begin_names(&self.handle, self.cookie, self.verifier),
            false => export.begin_list(&self.handle, self.cookie, self.verifier),
        })
    }
}

impl Listed {
    fn sort(&mut self) {
        self.entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        // Some file systems list a name twice while the folder changes.
        self.entries.dedup_by(|a, b| a.name == b.name);
    }
}

fn send(link: &Link, handle: &Handle, plain: bool, cookie: u64, verifier: Verifier) -> Sent<Page> {
    link.send(|export| if plain { export.begin_names(handle, cookie, verifier) } else { export.begin_list(handle, cookie, verifier) })
}

fn lacks_plus(error: &NfsError) -> bool {
    error.status() == Some(Status::NOTSUPP) || matches!(error, NfsError::NotOffered(_))
}

/// A folder that can't be listed, or not to its end.
fn refused(error: &NfsError) -> Gap {
    let gap = gap(error, GapReason::Listing);
    if gap.reason == GapReason::Permission { gap } else { Gap { reason: GapReason::Listing, ..gap } }
}

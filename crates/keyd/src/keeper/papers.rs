//! The kit's papers: printed and confirmed one at a time, rehearsed one at a time, re-issued.
//!
//! Shares are in memory only, each until six of its words were typed back. Two papers never meet here but in a recovery.

use keepwell_api::Base64;
use keepwell_api::keys::{PaperConfirmed, PaperFormat, PaperQuestion, PrintPaper, Rehearse, Rehearsed, Reissue, Reissued, WordPlace};
use keepwell_crypt::KitFile;
use keepwell_format::VaultId;
use keepwell_format::keys::Slots;
use keepwell_keys::{rehearse, reissue_kit, slot_digest};
use keepwell_paper::Facts;
use zeroize::Zeroizing;

use super::Keeper;
use super::vaults::{check_names, new_kit_record, parse_slots, parse_vault};
use crate::entropy::Entropy;
use crate::error::KeydError;
use crate::hex::{Digest, Hex};
use crate::state::PaperRecord;

/// Places that are asked for.
const ASKED: usize = 6;

/// A kit on its way to paper.
pub(super) struct Pending {
    set: u16,
    made_at: i64,
    /// Each is dropped, and wiped, when its paper is confirmed. In boxes, so that nothing moves them and leaves a copy.
    files: [Option<Box<KitFile>>; 3],
    papers: [PaperRecord; 3],
    places: Option<[WordPlace; ASKED]>,
    /// Of a re-issued kit: the slots for it, which become valid with its last paper.
    /// In a box: a `None` as large as slots would carry along what lay on the stack before it.
    slots: Option<Box<Slots>>,
}

impl Pending {
    pub(super) fn new(files: [KitFile; 3], slots: Option<Slots>, made_at: i64) -> Self {
        let papers = std::array::from_fn(|_| PaperRecord::default());
        Self { set: files[0].set, made_at, files: files.map(|file| Some(Box::new(file))), papers, places: None, slots: slots.map(Box::new) }
    }

    pub(super) fn set(&self) -> u16 {
        self.set
    }

    fn left(&self) -> Vec<u8> {
        (1..=3).filter(|paper| self.files[usize::from(paper - 1)].is_some()).collect()
    }

    /// The share of a paper whose turn it is.
    fn file(&self, paper: u8) -> Option<Result<&KitFile, KeydError>> {
        let file = self.files.get(usize::from(paper).checked_sub(1)?)?.as_deref()?;
        let first = *self.left().first()?;
        Some(if paper == first { Ok(file) } else { Err(KeydError::OutOfTurn(first)) })
    }
}

impl Keeper {
    /// One page. The same one can be printed again until it is confirmed.
    pub fn print(&mut self, vault: &str, paper: u8, request: &PrintPaper) -> Result<Zeroizing<Vec<u8>>, KeydError> {
        check_names(&[&request.keeper, &request.serial])?;
        let places = draw_places()?;
        let (vault, owner) = self.known(vault)?;
        let pending = self.pending.get_mut(&vault).ok_or_else(|| no_paper(vault, paper))?;
        let file = pending.file(paper).ok_or_else(|| no_paper(vault, paper))??;
        let facts = Facts { owner, keeper: request.keeper.clone(), made: date(pending.made_at), serial: request.serial.clone() };
        let page = match request.format {
            PaperFormat::Pdf => keepwell_paper::pdf(file, &facts),
            PaperFormat::Text => Zeroizing::new(keepwell_paper::text(file, &facts).as_bytes().to_vec()),
        };
        pending.papers[usize::from(paper - 1)].keeper = facts.keeper;
        pending.places = Some(places);
        Ok(page)
    }

    /// Which words of a printed paper have to be typed back.
    pub fn question(&self, vault: &str, paper: u8) -> Result<PaperQuestion, KeydError> {
        let (vault, _) = self.known(vault)?;
        let pending = self.pending.get(&vault).ok_or_else(|| no_paper(vault, paper))?;
        pending.file(paper).ok_or_else(|| no_paper(vault, paper))??;
        Ok(PaperQuestion { set: pending.set, places: pending.places.ok_or(KeydError::NotPrinted(paper))? })
    }

    /// The words. The last paper's make the kit valid.
    pub fn confirm(&mut self, vault: &str, paper: u8, words: &[&str; ASKED]) -> Result<PaperConfirmed, KeydError> {
        let (now, others) = (self.now(), draw_places()?);
        let (vault, _) = self.known(vault)?;
        let pending = self.pending.get_mut(&vault).ok_or_else(|| no_paper(vault, paper))?;
        let file = pending.file(paper).ok_or_else(|| no_paper(vault, paper))??;
        let places = pending.places.ok_or(KeydError::NotPrinted(paper))?;
        if let Some(wrong) = wrong_word(file, &places, words) {
            pending.places = Some(others);
            return Err(KeydError::WrongWord { paper, row: wrong.row, word: wrong.word });
        }
        let mut papers = pending.papers.clone();
        papers[usize::from(paper - 1)].confirmed_at = Some(now);
        let last = pending.left().len() == 1;
        let slots = pending.slots.as_deref().cloned().filter(|_| last);
        let (set, made_at) = (pending.set, pending.made_at);
        self.record_confirmed(vault, (set, made_at), papers.clone(), slots.as_ref())?;
        let pending = self.pending.get_mut(&vault).ok_or_else(|| no_paper(vault, paper))?;
        pending.papers = papers;
        pending.files[usize::from(paper - 1)] = None;
        pending.places = None;
        let left = pending.left();
        if left.is_empty() {
            self.pending.remove(&vault);
        }
        Ok(PaperConfirmed { left, slots: slots.map(|slots| slots.encode().into()) })
    }

    /// A new kit. The one that is valid stays so until all papers of the new one are confirmed.
    pub fn reissue(&mut self, request: &Reissue) -> Result<Reissued, KeydError> {
        let (vault, _) = self.known(&request.vault)?;
        let record = &self.vaults[&vault];
        let slots = current(&record.slots.0, request.slots.as_ref(), vault)?;
        let vault_key = self.vault_key(vault, &slots)?;
        let mut entropy = self.entropy()?;
        let (slots, files) = reissue_kit(&slots, &vault_key, &mut |out| entropy.fill(out)).map_err(KeydError::Keys)?;
        let reissued = Reissued { set: slots.kit.set, replaces: record.kit.set };
        self.pending.insert(vault, Pending::new(files, Some(slots), self.now()));
        Ok(reissued)
    }

    /// One paper: is it valid, and is the slot that its kit opens the one that was wrapped here?
    pub fn rehearse(&mut self, request: &Rehearse) -> Result<Rehearsed, KeydError> {
        let paper = parse_paper(request.paper.as_ref())?;
        let (vault, _) = self.known(&VaultId(paper.vault).to_string())?;
        let now = self.now();
        let mut record = self.vaults[&vault].clone();
        let slots = current(&record.slots.0, request.slots.as_ref(), vault)?;
        let valid = rehearse(&slots, &paper).map_err(KeydError::Keys)?;
        if slot_digest(&slots).map(Digest) != Some(record.kit.wrapped) {
            return Err(KeydError::ForeignSlot);
        }
        let told = &mut record.kit.papers[usize::from(valid.index - 1)];
        told.rehearsed_at = Some(now);
        told.confirmed_at = told.confirmed_at.or(Some(now));
        record.store(&self.folder, vault).map_err(KeydError::State)?;
        self.vaults.insert(vault, record);
        Ok(Rehearsed { vault: vault.to_string(), set: valid.set, paper: valid.index, epoch: slots.epoch.0 })
    }

    /// A vault that has a record, and whose data it holds.
    pub(super) fn known(&self, vault: &str) -> Result<(VaultId, String), KeydError> {
        let vault = parse_vault(vault)?;
        let record = self.vaults.get(&vault).ok_or_else(|| KeydError::UnknownVault(vault.to_string()))?;
        Ok((vault, record.owner.clone()))
    }

    /// Stores that papers exist: of the kit that is valid, or with `slots`, of one that now becomes it.
    fn record_confirmed(
        &mut self,
        vault: VaultId,
        (set, made_at): (u16, i64),
        papers: [PaperRecord; 3],
        slots: Option<&Slots>,
    ) -> Result<(), KeydError> {
        let mut record = self.vaults[&vault].clone();
        if let Some(slots) = slots {
            record.invalid_sets.push(record.kit.set);
            record.kit = new_kit_record(slots, made_at)?;
            record.slots = Hex(slots.encode());
        }
        if record.kit.set == set {
            record.kit.papers = papers;
            record.store(&self.folder, vault).map_err(KeydError::State)?;
            self.vaults.insert(vault, record);
        }
        Ok(())
    }
}

/// A paper from its text, or from the text of its QR code.
pub(super) fn parse_paper(bytes: &[u8]) -> Result<KitFile, KeydError> {
    let text = std::str::from_utf8(bytes).map_err(|_| KeydError::Malformed("a paper is text"))?;
    keepwell_paper::read(text).map_err(KeydError::Crypt)
}

/// The slots that were given, unless they are from before the last change that was made here; else the copy.
fn current(copy: &[u8], given: Option<&Base64>, vault: VaultId) -> Result<Slots, KeydError> {
    let copy = parse_slots(copy, vault)?;
    let Some(given) = given else { return Ok(copy) };
    let given = parse_slots(given.as_ref(), vault)?;
    if (given.epoch, given.revision) < (copy.epoch, copy.revision) { Err(KeydError::StaleSlots) } else { Ok(given) }
}

fn wrong_word(file: &KitFile, places: &[WordPlace; ASKED], words: &[&str; ASKED]) -> Option<WordPlace> {
    let rows = file.share.to_words();
    let differs = |(place, typed): &(&WordPlace, &&str)| {
        let typed = Zeroizing::new(typed.trim().to_lowercase());
        *typed != rows[usize::from(place.row - 1)][usize::from(place.word - 1)]
    };
    places.iter().zip(words).find(differs).map(|(place, _)| *place)
}

/// Six different places out of the 32. No secret hangs on them, so the TPM is not asked.
fn draw_places() -> Result<[WordPlace; ASKED], KeydError> {
    let mut entropy = Entropy::gather(None).map_err(KeydError::Entropy)?;
    let mut all: Vec<u8> = (0..32).collect();
    let mut places = [0; ASKED].map(|_: u8| {
        let mut byte = [0; 8];
        entropy.fill(&mut byte);
        all.remove((u64::from_le_bytes(byte) % all.len() as u64) as usize)
    });
    places.sort_unstable();
    Ok(places.map(|place| WordPlace { row: place / 8 + 1, word: place % 8 + 1 }))
}

fn no_paper(vault: VaultId, paper: u8) -> KeydError {
    KeydError::NoPaper { vault: vault.to_string(), paper }
}

/// A day in the proleptic Gregorian calendar, UTC, as `2026-11-22`.
fn date(unix_seconds: i64) -> String {
    // Years of this count begin in March, so that leap days come last; 400 years have 146,097 days.
    let days = unix_seconds.div_euclid(86_400) + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + i64::from(month <= 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, day) in
            [(0, "1970-01-01"), (951_782_400, "2000-02-29"), (951_868_800, "2000-03-01"), (1_795_305_599, "2026-11-21"), (-1, "1969-12-31")]
        {
            assert_eq!(date(seconds), day);
        }
    }

    #[test]
    fn six_different_words_are_asked_for() {
        for _ in 0..50 {
            let places = draw_places().unwrap();
            assert!(places.windows(2).all(|pair| (pair[0].row, pair[0].word) < (pair[1].row, pair[1].word)));
            assert!(places.iter().all(|place| (1..=4).contains(&place.row) && (1..=8).contains(&place.word)));
        }
    }
}

//! The kit's papers: printed and confirmed one at a time, rehearsed one at a time, re-issued.
//!
//! Shares are in memory only, each until six of its words were typed back. Two papers never meet here but in a recovery.

use keepwell_api::keys::{PaperConfirmed, PaperFormat, PaperQuestion, PrintPaper, Rehearse, Rehearsed, Reissue, Reissued, WordPlace};
use keepwell_crypt::KitFile;
use keepwell_format::VaultId;
use keepwell_keys::{KeysError, NewKit, rehearse};
use keepwell_paper::Facts;
use zeroize::Zeroizing;

use super::Keeper;
use super::held::{Held, acknowledge, follow, is_ours, kit_mut, new_kit_record, newest, parse_slots, put, rank};
use super::vaults::check_names;
use crate::entropy::Entropy;
use crate::error::KeydError;
use crate::hex::Digest;
use crate::state::{PaperRecord, VaultRecord};

/// Places that are asked for.
const ASKED: usize = 6;

/// A kit on its way to paper.
pub(super) struct Printing {
    set: u16,
    made_at: i64,
    /// Each is dropped, and wiped, when its paper is confirmed. In boxes, so that nothing moves them and leaves a copy.
    files: [Option<Box<KitFile>>; 3],
    papers: [PaperRecord; 3],
    places: Option<[WordPlace; ASKED]>,
    /// Of a re-issued kit: what goes into the slots with its last paper. In a box: a `None` as large as a kit would carry along what lay on the
    /// stack before it.
    kit: Option<Box<NewKit>>,
}

impl Printing {
    pub(super) fn new(files: [KitFile; 3], kit: Option<NewKit>, made_at: i64) -> Self {
        let papers = std::array::from_fn(|_| PaperRecord::default());
        Self { set: files[0].set, made_at, files: files.map(|file| Some(Box::new(file))), papers, places: None, kit: kit.map(Box::new) }
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

    /// Into the record: that papers exist, and with the last one of a re-issued kit, that it is to be stored.
    fn note(&self, record: &mut VaultRecord, papers: &[PaperRecord; 3], last: bool) -> Result<(), KeydError> {
        match &self.kit {
            None if record.kit.set == self.set => record.kit.papers.clone_from(papers),
            Some(kit) if last => {
                let slots = kit.put_into(newest(record)).map_err(KeydError::Keys)?;
                let mut facts = new_kit_record(&slots, self.made_at)?;
                facts.papers.clone_from(papers);
                put(record, slots, Some(facts));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Keeper {
    /// One page. The same one can be printed again until it is confirmed.
    pub fn print(&mut self, vault: &str, paper: u8, request: &PrintPaper) -> Result<Zeroizing<Vec<u8>>, KeydError> {
        check_names(&[&request.keeper, &request.serial])?;
        let places = draw_places()?;
        let (vault, held) = self.held_mut(vault)?;
        let owner = held.record().owner.clone();
        let printing = held.printing.as_mut().ok_or_else(|| no_paper(vault, paper))?;
        let file = printing.file(paper).ok_or_else(|| no_paper(vault, paper))??;
        let facts = Facts { owner, keeper: request.keeper.clone(), made: date(printing.made_at), serial: request.serial.clone() };
        let page = match request.format {
            PaperFormat::Pdf => keepwell_paper::pdf(file, &facts),
            PaperFormat::Text => Zeroizing::new(keepwell_paper::text(file, &facts).as_bytes().to_vec()),
        };
        printing.papers[usize::from(paper - 1)].keeper = facts.keeper;
        printing.places = Some(places);
        Ok(page)
    }

    /// Whether what is printed is a vault's first kit, and not one that was re-issued.
    pub fn prints_first_kit(&self, vault: &str) -> Result<bool, KeydError> {
        Ok(self.held(vault)?.printing.as_ref().is_none_or(|printing| printing.kit.is_none()))
    }

    /// Whether this is a vault that was made here and none of whose kits was ever confirmed whole. Whoever sees that kit has the vault: it is for who sets the box up, and over
    /// with its last paper.
    pub fn first_kit(&self, vault: &str) -> Result<(), KeydError> {
        let record = self.held(vault)?.record();
        let whole = record.kit.papers.iter().all(|paper| paper.confirmed_at.is_some());
        if record.first_kit && !whole { Ok(()) } else { Err(KeydError::FirstKitOnly) }
    }

    /// The first kit once more, if its papers went from memory before all were confirmed.
    pub fn first_kit_again(&mut self, vault: &str) -> Result<Reissued, KeydError> {
        self.first_kit(vault)?;
        if self.held(vault)?.printing.is_some() {
            return Err(KeydError::FirstKitOnly);
        }
        self.reissue(&Reissue { vault: vault.to_owned(), slots: None })
    }

    /// Which words of a printed paper have to be typed back.
    pub fn question(&self, vault: &str, paper: u8) -> Result<PaperQuestion, KeydError> {
        let vault = self.known(vault)?;
        let printing = self.vaults[&vault].printing.as_ref().ok_or_else(|| no_paper(vault, paper))?;
        printing.file(paper).ok_or_else(|| no_paper(vault, paper))??;
        Ok(PaperQuestion { set: printing.set, places: printing.places.ok_or(KeydError::NotPrinted(paper))? })
    }

    /// The words. The last paper of a re-issued kit gives out slots; the kit is valid when the pool is known to have them.
    pub fn confirm(&mut self, vault: &str, paper: u8, words: &[&str; ASKED]) -> Result<PaperConfirmed, KeydError> {
        let (now, others) = (self.now(), draw_places()?);
        let vault = self.known(vault)?;
        let held = self.vaults.get_mut(&vault).ok_or_else(|| no_paper(vault, paper))?;
        let typed = digest_of(words);
        if held.last_confirmed == Some((paper, typed)) {
            return Ok(confirmed(held));
        }
        let printing = held.printing.as_mut().ok_or_else(|| no_paper(vault, paper))?;
        let file = printing.file(paper).ok_or_else(|| no_paper(vault, paper))??;
        let places = printing.places.ok_or(KeydError::NotPrinted(paper))?;
        if let Some(wrong) = wrong_word(file, &places, words) {
            printing.places = Some(others);
            return Err(KeydError::WrongWord { paper, row: wrong.row, word: wrong.word });
        }
        let mut papers = printing.papers.clone();
        papers[usize::from(paper - 1)].confirmed_at = Some(now);
        let mut record = held.record().clone();
        if let Some(printing) = &held.printing {
            let last = printing.left().len() == 1;
            printing.note(&mut record, &papers, last)?;
            record.first_kit &= !last;
        }
        held.replace(&self.folder, record)?;
        if let Some(printing) = &mut held.printing {
            (printing.papers, printing.places) = (papers, None);
            printing.files[usize::from(paper - 1)] = None;
        }
        held.printing.take_if(|printing| printing.left().is_empty());
        held.last_confirmed = Some((paper, typed));
        Ok(confirmed(held))
    }

    /// A new kit. The one that is valid stays so until all papers of the new one are confirmed and the pool has its slots. Its number is on the
    /// disk before any paper of it: no two kits ever have the same.
    pub fn reissue(&mut self, request: &Reissue) -> Result<Reissued, KeydError> {
        let vault = self.known(&request.vault)?;
        let given = request.slots.as_ref().map(|given| parse_slots(given.as_ref(), vault)).transpose()?;
        let mut entropy = self.entropy()?;
        let opened = self.opened_for_good()?;
        let mut record = self.vaults[&vault].record().clone();
        if let Some(given) = &given {
            acknowledge(&mut record, given);
            follow(&mut record, given, Some(&opened.wrapping))?;
        }
        if let Some(kit) = record.newer.as_ref().and_then(|newer| newer.kit.as_ref()) {
            return Err(KeydError::NotStored { set: kit.set });
        }
        let vault_key = self.vault_key(vault, newest(&record))?;
        let set = next_set(&record);
        record.last_set = Some(set);
        let (kit, files) = NewKit::make(newest(&record), set, &vault_key, &mut |out| entropy.fill(out)).map_err(KeydError::Keys)?;
        // That it can be put in shows now, and not when its papers are printed.
        kit.put_into(newest(&record)).map_err(KeydError::Keys)?;
        let now = self.now();
        let held = self.vaults.get_mut(&vault).ok_or_else(|| no_paper(vault, 1))?;
        held.replace(&self.folder, record)?;
        (held.printing, held.last_confirmed) = (Some(Printing::new(files, Some(kit), now)), None);
        Ok(Reissued { set, replaces: held.record().kit.set })
    }

    /// One paper: is it valid, and is all that its kit hangs on what was wrapped here? A paper that fails is told in the status until one succeeds.
    pub fn rehearse(&mut self, request: &Rehearse) -> Result<Rehearsed, KeydError> {
        let paper = parse_paper(request.paper.as_ref())?;
        let vault = self.known(&VaultId(paper.vault).to_string())?;
        let now = self.now();
        let given = request.slots.as_ref().map(|given| parse_slots(given.as_ref(), vault)).transpose()?;
        let held = self.vaults.get_mut(&vault).ok_or_else(|| KeydError::UnknownVault(vault.to_string()))?;
        let (record, from_pool) = (held.record(), given.is_some());
        let slots = match given {
            Some(given) if rank(&given) < rank(&record.slots) => return Err(KeydError::StaleSlots),
            Some(given) => given,
            None => [newest(record), &record.slots].into_iter().find(|slots| slots.kit.set == paper.set).unwrap_or(newest(record)).clone(),
        };
        let outcome = rehearse(&slots, &paper).map_err(KeydError::Keys);
        let ours = is_ours(record, &slots) == Some(true);
        let outcome = outcome.and_then(|valid| if ours { Ok(valid) } else { Err(KeydError::ForeignSlot) });
        let (set, index) = (paper.set, paper.share.index());
        held.change(&self.folder, |record| {
            let Some(kit) = kit_mut(record, set) else { return Ok(()) };
            let told = &mut kit.papers[usize::from(index - 1)];
            match &outcome {
                Ok(_) => {
                    (told.rehearsed_at, told.failed_at) = (Some(now), None);
                    told.confirmed_at = told.confirmed_at.or(Some(now));
                    if from_pool {
                        acknowledge(record, &slots);
                    }
                }
                Err(KeydError::ForeignSlot) => told.failed_at = Some(now),
                // The pool's slots know the paper no more. By our own, one that does not fit is made up, as anybody can: it says nothing of the real one.
                Err(KeydError::Keys(KeysError::OtherPaper { .. })) if !ours => told.failed_at = Some(now),
                Err(_) => {}
            }
            Ok(())
        })?;
        let valid = outcome?;
        Ok(Rehearsed { vault: vault.to_string(), set: valid.set, paper: valid.index, epoch: slots.epoch.0 })
    }
}

fn confirmed(held: &Held) -> PaperConfirmed {
    let left = held.printing.as_ref().map(Printing::left).unwrap_or_default();
    let next = held.record().newer.as_ref().filter(|newer| left.is_empty() && newer.kit.is_some());
    PaperConfirmed { left, slots: next.map(|newer| newer.slots.encode().into()) }
}

/// The number after the highest that was given out, and none that is known.
fn next_set(record: &VaultRecord) -> u16 {
    let mut set = record.last_set.unwrap_or(record.kit.set).wrapping_add(1);
    // 65,536 kits of one vault are more than there will be; with fewer this ends.
    while set == record.kit.set || record.invalid_sets.len() < usize::from(u16::MAX) && record.invalid_sets.contains(&set) {
        set = set.wrapping_add(1);
    }
    set
}

fn digest_of(words: &[&str; ASKED]) -> Digest {
    let parts: Vec<&[u8]> = words.iter().flat_map(|word| [word.as_bytes(), b" "]).collect();
    Digest::of(&parts)
}

/// A paper from its text, or from the text of its QR code.
pub(super) fn parse_paper(bytes: &[u8]) -> Result<KitFile, KeydError> {
    let text = std::str::from_utf8(bytes).map_err(|_| KeydError::Malformed("a paper is text"))?;
    keepwell_paper::read(text).map_err(KeydError::Paper)
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

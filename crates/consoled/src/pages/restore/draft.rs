//! A restore that is being prepared: what was chosen so far. Paths have numbers that mean something in this draft alone, so that names stand in no address.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use keepwell_api::Base64;
use keepwell_api::vault::{Restore, Snapshot};

/// Of one session; the oldest goes.
const DRAFTS_MAX: usize = 8;
/// Paths that a draft remembers; the oldest go, and are chosen anew.
const PATHS_MAX: usize = 10_000;
/// Bytes of them.
const PATH_BYTES_MAX: usize = 2 << 20;
/// What can be ticked.
pub const TICKS_MAX: usize = 200;

/// Those of one session.
#[derive(Debug, Default)]
pub struct Drafts(VecDeque<Draft>);

impl Drafts {
    /// Begins one.
    pub fn begin(&mut self, draft: Draft) {
        while self.0.len() >= DRAFTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(draft);
    }

    /// The one with this id.
    pub fn get(&self, id: &str) -> Option<&Draft> {
        self.0.iter().find(|draft| draft.id == id)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut Draft> {
        self.0.iter_mut().find(|draft| draft.id == id)
    }

    /// Forgets orders, and the passwords in them, that are so old.
    pub fn forget_orders(&mut self, age: Duration) {
        for draft in self.0.iter_mut().filter(|draft| draft.ordered.is_some_and(|at| at.elapsed() >= age)) {
            (draft.order, draft.ordered) = (None, None);
        }
    }

    /// It was carried out: passwords in it are wiped.
    pub fn end(&mut self, id: &str) {
        self.0.retain(|draft| draft.id != id);
    }
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its path; empty for all of the snapshot.
    pub path: Vec<u8>,
    /// Whether it is a folder.
    pub folder: bool,
    /// Bytes of a file.
    pub size: Option<u64>,
}

/// One.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its id.
    pub id: String,
    /// Name of the share.
    pub share: String,
    /// The share's snapshots, newest first.
    pub snapshots: Vec<Snapshot>,
    /// The one that was chosen.
    pub snapshot: Option<Snapshot>,
    /// What was last looked for, and in which folder.
    pub search: Option<(String, Vec<u8>)>,
    /// What is wanted.
    pub wanted: Vec<Wanted>,
    /// Where to, with a password that is used once; and the check of it.
    pub order: Option<(Restore, u64)>,
    ordered: Option<Instant>,
    /// What is ticked, on whatever page it is. It stays when its number is forgotten.
    pub ticked: Vec<Wanted>,
    /// Of which path versions were listed last, and how long it is in each snapshot.
    pub versions: (Vec<u8>, HashMap<String, Option<u64>>),
    paths: Paths,
}

#[derive(Clone, Debug, Default)]
struct Paths {
    numbers: HashMap<Vec<u8>, u64>,
    known: VecDeque<Wanted>,
    first: u64,
    bytes: usize,
}

impl Draft {
    /// Nothing chosen but the share.
    pub fn new(id: String, share: String, snapshots: Vec<Snapshot>) -> Self {
        Self {
            id,
            share,
            snapshots,
            snapshot: None,
            search: None,
            wanted: Vec::new(),
            order: None,
            ordered: None,
            ticked: Vec::new(),
            versions: Default::default(),
            paths: Paths::default(),
        }
    }

    /// Takes the snapshot with this id. What is wanted and how long files are was said of the one before. False: the share has no such snapshot.
    pub fn take(&mut self, id: &str) -> bool {
        let Some(taken) = self.snapshots.iter().find(|one| one.id == id) else { return false };
        if self.snapshot.as_ref().is_none_or(|before| before.id != id) {
            self.wanted.clear();
            self.ticked.clear();
            self.paths.known.iter_mut().for_each(|known| known.size = None);
        }
        (self.snapshot, self.order) = (Some(taken.clone()), None);
        true
    }

    /// What is to be done with what is wanted, and the check of it.
    pub fn orders(&mut self, order: Restore, check: u64) {
        (self.order, self.ordered) = (Some((order, check)), Some(Instant::now()));
    }

    /// Takes the ticks of a page with these rows; those of other pages stay. What can't be taken is said, and then nothing is.
    pub fn tick(&mut self, rows: &[u64], ticks: &[u64]) -> Result<(), &'static str> {
        let of = |numbers: &[u64]| numbers.iter().map(|number| self.numbered(*number).cloned()).collect::<Option<Vec<_>>>();
        let (Some(rows), Some(ticks)) = (of(rows), of(ticks)) else {
            return Err("That page was too old: what was ticked on it is not known any more. Nothing was taken from it; tick it anew.");
        };
        let here = |known: &Wanted| rows.iter().chain(&ticks).any(|one| one.path == known.path);
        let all: Vec<_> = self.ticked.iter().filter(|known| !here(known)).chain(&ticks).cloned().collect();
        if all.len() > TICKS_MAX {
            return Err("These are more than 200. Take their whole folder, or restore them in turns.");
        }
        self.ticked = all;
        Ok(())
    }

    /// Whether this path is ticked.
    pub fn is_ticked(&self, path: &[u8]) -> bool {
        self.ticked.iter().any(|known| known.path == path)
    }

    /// Wants another version of a file: that of this snapshot. False as above.
    pub fn take_version(&mut self, snapshot: &str, number: u64) -> bool {
        if !self.take(snapshot) {
            return false;
        }
        let (path, sizes) = &self.versions;
        let size = |path_wanted: &[u8]| if path_wanted == path { sizes.get(snapshot).copied().flatten() } else { None };
        self.wanted = self.numbered(number).map(|known| Wanted { size: size(&known.path), ..known.clone() }).into_iter().collect();
        true
    }

    /// The number of a path.
    pub fn number(&mut self, wanted: Wanted) -> u64 {
        let paths = &mut self.paths;
        if let Some(number) = paths.numbers.get(&wanted.path) {
            let at = usize::try_from(number - paths.first).unwrap_or(usize::MAX);
            if let Some(known) = paths.known.get_mut(at) {
                *known = wanted;
            }
            return *number;
        }
        paths.bytes += wanted.path.len();
        while (paths.known.len() >= PATHS_MAX || paths.bytes > PATH_BYTES_MAX)
            && let Some(oldest) = paths.known.pop_front()
        {
            paths.numbers.remove(&oldest.path);
            paths.bytes -= oldest.path.len();
            paths.first += 1;
        }
        let number = paths.first + paths.known.len() as u64;
        paths.numbers.insert(wanted.path.clone(), number);
        paths.known.push_back(wanted);
        number
    }

    /// The number of a path of which nothing else is known. What is known of it stays.
    pub fn place(&mut self, path: Vec<u8>) -> u64 {
        let known = self.paths.numbers.get(&path).copied();
        known.unwrap_or_else(|| self.number(Wanted { path, folder: false, size: None }))
    }

    /// What has this number, if it is remembered.
    pub fn numbered(&self, number: u64) -> Option<&Wanted> {
        let at = usize::try_from(number.checked_sub(self.paths.first)?).ok()?;
        self.paths.known.get(at)
    }
}

/// A path's last name.
pub fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// The folder that it is in.
pub fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(&[], |slash| &path[..slash])
}

/// An entry of a folder.
pub fn joined(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

/// As the API has it.
pub fn base64(path: &[u8]) -> Base64 {
    Base64::from(path.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(path: &str) -> Wanted {
        Wanted { path: path.as_bytes().to_vec(), folder: false, size: None }
    }

    #[test]
    fn a_path_keeps_its_number_until_it_is_forgotten() {
        let mut draft = Draft::new("d".into(), "EHR".into(), Vec::new());
        let first = draft.number(wanted("a"));
        assert_eq!(draft.number(wanted("a")), first);
        assert_eq!(draft.numbered(first), Some(&wanted("a")));
        for n in 0..PATHS_MAX {
            draft.number(wanted(&n.to_string()));
        }
        assert_eq!(draft.numbered(first), None);
        let last = draft.number(wanted("9999"));
        assert_eq!(draft.numbered(last), Some(&wanted("9999")));
        assert_eq!((draft.numbered(last + 1), draft.numbered(u64::MAX)), (None, None));
    }

    #[test]
    fn a_place_in_a_list_makes_no_file_of_a_folder() {
        let mut draft = Draft::new("d".into(), "EHR".into(), Vec::new());
        let folder = Wanted { path: b"2024".to_vec(), folder: true, size: None };
        let number = draft.number(folder.clone());
        assert_eq!((draft.place(b"2024".to_vec()), draft.numbered(number)), (number, Some(&folder)));
        let new = draft.place(b"2025".to_vec());
        assert_eq!(draft.numbered(new), Some(&wanted("2025")));
    }

    #[test]
    fn paths_are_bounded_in_bytes_too() {
        let mut draft = Draft::new("d".into(), "EHR".into(), Vec::new());
        let long = |n: u32| wanted(&format!("{n}/{}", "x".repeat(PATH_BYTES_MAX / 4)));
        let numbers: Vec<u64> = (0..6).map(|n| draft.number(long(n))).collect();
        assert_eq!((draft.numbered(numbers[0]), draft.numbered(numbers[5])), (None, Some(&long(5))));
    }

    #[test]
    fn ticks_of_other_pages_stay() {
        let mut draft = Draft::new("d".into(), "EHR".into(), Vec::new());
        let numbers: Vec<u64> = (0..4).map(|n| draft.number(wanted(&n.to_string()))).collect();
        let (first, second) = numbers.split_at(2);
        assert_eq!(draft.tick(first, first), Ok(()));
        assert_eq!(draft.tick(second, &second[..1]), Ok(()));
        // The first page once more, in another tab or by going back.
        assert_eq!(draft.tick(first, first), Ok(()));
        let mut picked: Vec<_> = draft.ticked.iter().map(|one| one.path.clone()).collect();
        picked.sort();
        assert_eq!(picked, [b"0", b"1", b"2"]);
        assert_eq!(draft.tick(first, &[]), Ok(()));
        assert_eq!(draft.ticked, [wanted("2")]);
    }

    #[test]
    fn what_is_ticked_stays_when_its_number_is_forgotten_and_an_old_page_is_said() {
        let mut draft = Draft::new("d".into(), "EHR".into(), Vec::new());
        let [one, other] = ["a", "b"].map(|path| draft.number(wanted(path)));
        assert_eq!(draft.tick(&[one, other], &[one]), Ok(()));
        for n in 0..PATHS_MAX {
            draft.number(wanted(&n.to_string()));
        }
        assert!(draft.tick(&[one, other], &[one, other]).is_err());
        assert!(draft.ticked == [wanted("a")] && draft.is_ticked(b"a") && !draft.is_ticked(b"b"));
        let anew = draft.number(wanted("a"));
        assert_eq!(draft.tick(&[anew], &[anew]), Ok(()));
        assert_eq!(draft.ticked, [wanted("a")], "once");
    }

    #[test]
    fn an_order_is_forgotten_with_its_password() {
        let mut drafts = Drafts::default();
        let mut draft = Draft::new("d".into(), "EHR".into(), Vec::new());
        let order = Restore {
            snapshot: "5a".into(),
            path: Base64::default(),
            to: "smb://s/x".into(),
            password: Some(base64(b"secret")),
            conflict: keepwell_api::vault::Conflict::Skip,
            dry_run: true,
        };
        draft.orders(order, 7);
        drafts.begin(draft);
        drafts.forget_orders(Duration::from_secs(900));
        assert!(drafts.get("d").is_some_and(|draft| draft.order.is_some()));
        drafts.forget_orders(Duration::ZERO);
        assert!(drafts.get("d").is_some_and(|draft| draft.order.is_none()));
    }

    #[test]
    fn paths_are_taken_apart_and_put_together() {
        assert_eq!((last(b"a/b/c"), parent(b"a/b/c")), (&b"c"[..], &b"a/b"[..]));
        assert_eq!((last(b"a"), parent(b"a"), last(b"")), (&b"a"[..], &b""[..], &b""[..]));
        assert_eq!((joined(b"", b"a"), joined(b"a", b"b")), (b"a".to_vec(), b"a/b".to_vec()));
    }

    #[test]
    fn drafts_are_bounded() {
        let mut drafts = Drafts::default();
        (0..20).for_each(|n| drafts.begin(Draft::new(n.to_string(), "EHR".into(), Vec::new())));
        assert!(drafts.get("11").is_none() && drafts.get("12").is_some());
        drafts.end("12");
        assert!(drafts.get("12").is_none());
    }
}

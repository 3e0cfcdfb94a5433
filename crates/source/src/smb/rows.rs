//! The listing of one folder in little memory: names in one piece, numbers in rows. Owns their order, which is that of keys, and the
//! bound on what all listings of a walk hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keepwell_smb::{DirEntry, FileTime};

/// Bytes that the listings of one walk hold at most. Rows of 100,000 files take 10 MiB; folders of more than a million are cut.
pub(super) const HELD_MAX: usize = 160 << 20;

/// Bytes held by listings. Clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(Arc<AtomicUsize>);

impl Held {
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One entry but for its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) created: FileTime,
    pub(super) written: FileTime,
    pub(super) changed: FileTime,
    pub(super) size: u64,
    pub(super) file_id: u64,
    pub(super) attributes: u32,
    pub(super) reparse_tag: u32,
    start: u32,
    length: u16,
}

/// A folder's entries, in the order of their names' bytes once sorted.
#[derive(Debug)]
pub(super) struct Rows {
    names: Vec<u8>,
    rows: Vec<Row>,
    held: Held,
    counted: usize,
}

/// There is no more room, or none for this name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Rows {
    pub(super) fn new(held: &Held) -> Self {
        Self { names: Vec::new(), rows: Vec::new(), held: held.clone(), counted: 0 }
    }

    /// Adds an entry with its name in WTF-8.
    pub(super) fn push(&mut self, name: &[u8], entry: &DirEntry) -> Result<(), Full> {
        let (start, length) = (u32::try_from(self.names.len()).map_err(|_| Full)?, u16::try_from(name.len()).map_err(|_| Full)?);
        let info = &entry.info;
        self.names.extend_from_slice(name);
        self.rows.push(Row {
            created: info.created,
            written: info.written,
            changed: info.changed,
            size: info.size,
            file_id: info.file_id,
            attributes: info.attributes,
            reparse_tag: entry.reparse_tag,
            start,
            length,
        });
        if self.count(0) > HELD_MAX { Err(Full) } else { Ok(()) }
    }

    /// Takes memory that belongs to this listing but lies elsewhere into account. Answers what all listings hold.
    pub(super) fn count(&mut self, beside: usize) -> usize {
        let now = self.names.capacity() + self.rows.capacity() * size_of::<Row>() + beside;
        let more = now.saturating_sub(self.counted);
        self.counted += more;
        self.held.0.fetch_add(more, Ordering::Relaxed) + more
    }

    /// Sorts by name. A name that the server told twice is kept once.
    pub(super) fn sort(&mut self) {
        let Self { names, rows, .. } = self;
        rows.sort_unstable_by(|a, b| name(names, a).cmp(name(names, b)));
        rows.dedup_by(|a, b| name(names, a) == name(names, b));
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<(&[u8], &Row)> {
        self.rows.get(at).map(|row| (name(&self.names, row), row))
    }
}

fn name<'n>(names: &'n [u8], row: &Row) -> &'n [u8] {
    &names[row.start as usize..row.start as usize + usize::from(row.length)]
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use keepwell_smb::FileInfo;

    use super::*;

    fn entry() -> DirEntry {
        DirEntry { name: Vec::new(), info: FileInfo::default(), reparse_tag: 0 }
    }

    #[test]
    fn names_come_in_the_order_of_bytes_and_once() {
        let mut rows = Rows::new(&Held::default());
        for name in ["b", "\u{10000}", "a", "\u{FFFD}", "b", "Z", "a.", "a\u{1}"] {
            rows.push(name.as_bytes(), &entry()).unwrap();
        }
        rows.sort();
        let names: Vec<_> = (0..rows.len()).map(|at| String::from_utf8_lossy(rows.get(at).unwrap().0).into_owned()).collect();
        assert_eq!(names, ["Z", "a", "a\u{1}", "a.", "b", "\u{FFFD}", "\u{10000}"]);
        assert!(rows.get(7).is_none());
    }

    #[test]
    fn all_listings_count_together_and_give_back() {
        let held = Held::default();
        let (mut a, mut b) = (Rows::new(&held), Rows::new(&held));
        a.push(&[b'a'; 1000], &entry()).unwrap();
        b.push(&[b'b'; 1000], &entry()).unwrap();
        let both = held.bytes();
        assert!(both >= 2000);
        assert!(b.count(5000) >= both + 5000);
        drop(a);
        assert!(held.bytes() >= 6000 && held.bytes() < both + 5000);
        drop(b);
        assert_eq!(held.bytes(), 0);
        assert_eq!(Rows::new(&held).push(&[b'x'; 65_536], &entry()), Err(Full));
    }

    #[test]
    fn a_hundred_thousand_files_take_less_than_sixteen_mebibytes() {
        let held = Held::default();
        let mut rows = Rows::new(&held);
        (0..100_000).for_each(|n| rows.push(format!("scan-of-a-patient-{n:06}.dcm").as_bytes(), &entry()).unwrap());
        assert!(held.bytes() < 16 << 20, "{}", held.bytes());
    }
}

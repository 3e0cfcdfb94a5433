//! Owns the bytes of a file or stream: pages that exist, holes, and bytes made up on demand. Never holds a page for what nobody wrote.

use std::collections::BTreeMap;

const PAGE: u64 = 65536;

/// The bytes of a file or stream. Holes read as zeros; in a patterned content, what was never written reads as a pattern of its position.
#[derive(Clone, Debug, Default)]
pub struct Content {
    size: u64,
    pages: BTreeMap<u64, Vec<u8>>,
    pattern: Option<u64>,
    sparse: bool,
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Self {
        let mut content = Self::default();
        content.write(0, bytes);
        content
    }
}

impl Content {
    /// `size` bytes, each computed from `seed` and its position: costs no memory.
    pub fn patterned(size: u64, seed: u64) -> Self {
        Self { size, pattern: Some(seed), ..Self::default() }
    }

    /// `size` bytes with holes but for the pages (64 KiB) that `ranges` (start, length) touch; these hold the pattern of `seed`.
    pub fn sparse(size: u64, ranges: &[(u64, u64)], seed: u64) -> Self {
        let full = Self::patterned(size, seed);
        let mut content = Self { size, sparse: true, ..Self::default() };
        for &(start, length) in ranges {
            let length = length.min(size.saturating_sub(start));
            content.write(start, &full.read(start, usize::try_from(length).unwrap_or(0)));
        }
        content
    }

    /// Bytes in all.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether never-written pages are holes that the server tells about.
    pub fn is_sparse(&self) -> bool {
        self.sparse
    }

    /// Makes the content sparse, or whole again.
    pub fn set_sparse(&mut self, sparse: bool) {
        self.sparse = sparse;
    }

    /// At most `length` bytes at `at`; fewer at the end.
    pub fn read(&self, at: u64, length: usize) -> Vec<u8> {
        let end = self.size.min(at.saturating_add(length as u64));
        let mut out = Vec::with_capacity(usize::try_from(end.saturating_sub(at)).unwrap_or(0));
        let mut at = at;
        while at < end {
            let (page, skip) = (at / PAGE, (at % PAGE) as usize);
            let take = (PAGE - at % PAGE).min(end - at) as usize;
            match (self.pages.get(&page), self.pattern) {
                (Some(bytes), _) => out.extend((skip..skip + take).map(|at| bytes.get(at).copied().unwrap_or(0))),
                (None, Some(seed)) => out.extend((at..at + take as u64).map(|at| pattern(seed, at))),
                (None, None) => out.resize(out.len() + take, 0),
            }
            at += take as u64;
        }
        out
    }

    /// All bytes; only for contents that fit into memory.
    pub fn bytes(&self) -> Vec<u8> {
        self.read(0, usize::try_from(self.size).unwrap_or(usize::MAX))
    }

    /// Writes, and grows the content if need be.
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        let (mut at, mut bytes) = (at, bytes);
        self.size = self.size.max(at + bytes.len() as u64);
        while !bytes.is_empty() {
            let take = bytes.len().min((PAGE - at % PAGE) as usize);
            let skip = (at % PAGE) as usize;
            let seed = self.pattern;
            let page = self.pages.entry(at / PAGE).or_insert_with(|| match seed {
                Some(seed) => (at - at % PAGE..).take(PAGE as usize).map(|at| pattern(seed, at)).collect(),
                None => Vec::new(),
            });
            page.resize(page.len().max(skip + take), 0);
            page[skip..skip + take].copy_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            at += take as u64;
        }
    }

    /// Cuts off or adds zeros.
    pub fn set_size(&mut self, size: u64) {
        if size < self.size {
            self.pages.retain(|page, _| page * PAGE < size);
            if let Some(last) = self.pages.get_mut(&(size / PAGE)) {
                last.truncate((size % PAGE) as usize);
            }
        } else if let Some(seed) = self.pattern.take() {
            // What comes now is zeros: what was a pattern has to become bytes.
            let old = Self::patterned(self.size, seed);
            let missing: Vec<u64> = (0..self.size.div_ceil(PAGE)).filter(|page| !self.pages.contains_key(page)).collect();
            for page in missing {
                self.pages.insert(page, old.read(page * PAGE, PAGE as usize));
            }
        }
        self.size = size;
    }

    /// The ranges (start, length) within a window that hold bytes; all of it unless the content is sparse.
    pub fn ranges(&self, at: u64, length: u64) -> Vec<(u64, u64)> {
        let end = self.size.min(at.saturating_add(length));
        if at >= end {
            return Vec::new();
        }
        if !self.sparse {
            return vec![(at, end - at)];
        }
        let mut out: Vec<(u64, u64)> = Vec::new();
        for page in self.pages.range(at / PAGE..end.div_ceil(PAGE)).map(|(page, _)| *page) {
            let (start, stop) = ((page * PAGE).max(at), ((page + 1) * PAGE).min(end));
            match out.last_mut() {
                Some(last) if last.0 + last.1 == start => last.1 += stop - start,
                _ => out.push((start, stop - start)),
            }
        }
        out
    }

    /// Bytes of disk that the content takes.
    pub fn allocated(&self) -> u64 {
        match self.sparse {
            true => self.pages.len() as u64 * PAGE,
            false => self.size.next_multiple_of(4096),
        }
    }
}

fn pattern(seed: u64, at: u64) -> u8 {
    let word = (at / 8).wrapping_add(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (word ^ word >> 29).to_le_bytes()[(at % 8) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_rest_is_pattern_or_zeros() {
        let mut content = Content::patterned(200_000, 7);
        let before = content.bytes();
        content.write(65_530, b"0123456789");
        let mut expected = before.clone();
        expected[65_530..65_540].copy_from_slice(b"0123456789");
        assert_eq!(content.bytes(), expected);
        content.set_size(70_000);
        content.set_size(70_010);
        expected.truncate(70_000);
        expected.resize(70_010, 0);
        assert_eq!(content.bytes(), expected);
    }

    #[test]
    fn holes_are_told() {
        let content = Content::sparse(1 << 40, &[(0, 10), (65536, 65536), (1 << 30, 1)], 3);
        assert_eq!(content.ranges(0, u64::MAX), [(0, 131_072), (1 << 30, 65536)]);
        assert_eq!(content.ranges(10, 100), [(10, 100)]);
        assert_eq!(content.read((1 << 30) + 1, 3), [0, 0, 0]);
    }
}

//! Makes the plaintext of blobs smaller where that pays, and undoes it (`docs/format.md` 6). Pure; each thread keeps its own contexts and scratch memory, as a zstd context
//! is dear to make.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;

use keepwell_format::blob::{BlobKind, Compression, FrameInfo};
use keepwell_format::samples::{self, Phase};
use zstd::bulk::{Compressor, Decompressor};

/// Shorter blobs are not looked at for samples.
const LEAST_SAMPLES: usize = 16 << 10;
/// Stretches of a blob that are looked at, and the bytes of each.
const STRETCHES: usize = 4;
const STRETCH: usize = 4 << 10;
/// Differences of each that the first look takes.
const LOOKED_AT: usize = 512;
/// Of those that are not zero, so many in four are small where there are samples.
const SMALL_QUARTERS: usize = 3;
/// What a small difference is below, either way.
const SMALL: u16 = 1 << 10;
/// Parts hold noise and zeros: nothing in them repeats, so a level that looks for no repetition is as good as those up to this one that do.
const NO_BETTER: i32 = 3;
const QUICK: i32 = -1;

#[derive(Default)]
struct Tools {
    zstd: Zstd,
    /// What was made smaller last.
    small: Vec<u8>,
    /// The parts of samples.
    parts: Vec<u8>,
}

/// The contexts, each made when it is first needed.
#[derive(Default)]
struct Zstd {
    compressors: BTreeMap<i32, Compressor<'static>>,
    decompressor: Option<Decompressor<'static>>,
}

thread_local! {
    static TOOLS: RefCell<Tools> = RefCell::default();
}

/// Hands the smaller form to `then`: nothing where it is not worth keeping.
pub(crate) fn squeeze<T>(kind: BlobKind, plain: &[u8], level: i32, then: impl FnOnce(Option<(Compression, &[u8])>) -> T) -> T {
    TOOLS.with_borrow_mut(|tools| {
        let form = match tools.phase(kind, plain) {
            Some(phase) => tools.squeeze_samples(plain, phase, level),
            None => tools.zstd.compress(plain, level, &mut tools.small).map(|()| Compression::Zstd),
        };
        let pays = tools.small.len() + plain.len() / 64 < plain.len();
        then(form.ok().filter(|_| pays).map(|form| (form, tools.small.as_slice())))
    })
}

/// The plaintext of what was stored.
pub(crate) fn unsqueeze(info: &FrameInfo, stored: Vec<u8>) -> Result<Vec<u8>, String> {
    let len = info.plain_len as usize;
    let plain = TOOLS.with_borrow_mut(|tools| match info.compression {
        Compression::Raw => Ok(stored),
        Compression::Zstd => tools.zstd.decompressor().and_then(|zstd| zstd.decompress(&stored, len)).map_err(|e| e.to_string()),
        Compression::Samples => tools.join(&stored, len),
        Compression::ZstdDictionary => Err("the catalog dictionary is not supported by this release".to_owned()),
    })?;
    if plain.len() == len { Ok(plain) } else { Err("its length is not what it should be".to_owned()) }
}

impl Zstd {
    /// Replaces `small` by the smaller form of `plain`.
    fn compress(&mut self, plain: &[u8], level: i32, small: &mut Vec<u8>) -> io::Result<()> {
        let compressor = match self.compressors.entry(level) {
            Entry::Occupied(have) => have.into_mut(),
            Entry::Vacant(none) => none.insert(Compressor::new(level)?),
        };
        small.clear();
        small.reserve(zstd::zstd_safe::compress_bound(plain.len()) + 1);
        compressor.compress_to_buffer(plain, small).map(|_| ())
    }

    fn decompressor(&mut self) -> io::Result<&mut Decompressor<'static>> {
        if self.decompressor.is_none() {
            self.decompressor = Some(Decompressor::new()?);
        }
        Ok(self.decompressor.as_mut().expect("set above"))
    }
}

impl Tools {
    fn squeeze_samples(&mut self, plain: &[u8], phase: Phase, level: i32) -> io::Result<Compression> {
        samples::part(plain, phase, &mut self.parts);
        self.zstd.compress(&self.parts, for_parts(level), &mut self.small)?;
        self.small.push(phase as u8);
        Ok(Compression::Samples)
    }

    fn join(&mut self, stored: &[u8], len: usize) -> Result<Vec<u8>, String> {
        let (phase, stored) = stored.split_last().ok_or("it is empty")?;
        let phase = Phase::try_from(*phase).map_err(|e| e.to_string())?;
        self.parts.clear();
        self.parts.reserve(len);
        self.zstd.decompressor().and_then(|zstd| zstd.decompress_to_buffer(stored, &mut self.parts)).map_err(|e| e.to_string())?;
        let mut plain = Vec::new();
        samples::join(&self.parts, phase, &mut plain);
        Ok(plain)
    }

    /// Whether the blob is to be stored as samples, and where they begin: a look that costs little, and where that finds small differences, a trial on parts of it.
    fn phase(&mut self, kind: BlobKind, plain: &[u8]) -> Option<Phase> {
        if kind != BlobKind::Data || plain.len() < LEAST_SAMPLES {
            return None;
        }
        let apart = (plain.len() - STRETCH) / (STRETCHES - 1) / 2 * 2;
        let stretches = || (0..STRETCHES).map(move |n| &plain[n * apart..][..STRETCH]);
        let phase = [Phase::Even, Phase::Odd].into_iter().find(|phase| varies_little(stretches(), *phase))?;
        let some: Vec<u8> = stretches().flatten().copied().collect();
        self.zstd.compress(&some, 1, &mut self.small).ok()?;
        let as_it_is = self.small.len();
        self.squeeze_samples(&some, phase, 1).ok()?;
        (8 * self.small.len() < 7 * as_it_is).then_some(phase)
    }
}

/// Whether of samples beside each other most are nearly the same.
fn varies_little<'a>(stretches: impl Iterator<Item = &'a [u8]>, phase: Phase) -> bool {
    let (mut small, mut all) = (0, 0);
    for stretch in stretches {
        let samples = stretch[phase as usize..].as_chunks::<2>().0;
        for (one, next) in samples.iter().zip(&samples[1..]).take(LOOKED_AT) {
            let difference = u16::from_le_bytes(*next).wrapping_sub(u16::from_le_bytes(*one)).cast_signed().unsigned_abs();
            all += usize::from(difference != 0);
            small += usize::from(difference != 0 && difference < SMALL);
        }
    }
    all >= LOOKED_AT / 2 && 4 * small >= SMALL_QUARTERS * all
}

/// The level for the parts of samples where `level` is wanted.
fn for_parts(level: i32) -> i32 {
    if level <= NO_BETTER { QUICK } else { level }
}

#[cfg(test)]
mod tests {
    use keepwell_format::{BlobId, Epoch, WHOLE};

    use super::*;

    /// A slope with noise of a few bits on it, as 16-bit samples, behind `before` bytes of something else.
    fn picture(before: usize, samples: u32) -> Vec<u8> {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 27) as u16
        };
        let rows = (0..samples).flat_map(|n| (1_000 + (n / 37) as u16 % 2_000 + noise()).to_le_bytes());
        std::iter::repeat_n(7, before).chain(rows).collect()
    }

    fn stored(plain: &[u8], kind: BlobKind) -> (Compression, Vec<u8>) {
        squeeze(kind, plain, 3, |form| form.map_or((Compression::Raw, plain.to_vec()), |(how, bytes)| (how, bytes.to_vec())))
    }

    fn back(plain: &[u8], compression: Compression, stored: Vec<u8>) -> Result<Vec<u8>, String> {
        let plain_len = u32::try_from(plain.len()).unwrap();
        let info = FrameInfo { blob: BlobId([0; 32]), kind: BlobKind::Data, compression, epoch: Epoch(1), plain_len, keep_map: WHOLE };
        unsqueeze(&info, stored)
    }

    #[test]
    fn pictures_are_stored_as_samples_wherever_they_begin() {
        for before in [0, 1, 128, 511] {
            let plain = picture(before, 100_000);
            let (compression, bytes) = stored(&plain, BlobKind::Data);
            assert_eq!(compression, Compression::Samples, "{before}");
            let otherwise = zstd::bulk::compress(&plain, 3).unwrap();
            assert!(8 * bytes.len() < 7 * otherwise.len(), "{before}: {} and {} bytes", bytes.len(), otherwise.len());
            assert_eq!(bytes.last(), Some(&((before % 2) as u8)));
            assert_eq!(back(&plain, compression, bytes).unwrap(), plain);
        }
    }

    #[test]
    fn what_is_no_row_of_samples_is_stored_as_before() {
        let text: Vec<u8> = (0..40_000_u32).flat_map(|n| format!("OBX|{}|NM|sodium||{}\r", n, n * 7919 % 1000).into_bytes()).collect();
        let mut random = vec![0; 1 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut random);
        for (plain, wanted) in [(&text, Compression::Zstd), (&vec![0; 1 << 20], Compression::Zstd), (&random, Compression::Raw)] {
            let (compression, bytes) = stored(plain, BlobKind::Data);
            assert_eq!(compression, wanted);
            assert_eq!(back(plain, compression, bytes).unwrap(), *plain);
        }
        assert_eq!(stored(&picture(0, 100_000), BlobKind::Page).0, Compression::Zstd);
        assert_eq!(stored(&picture(0, 4_000), BlobKind::Data).0, Compression::Zstd);
    }

    #[test]
    fn damaged_samples_are_refused() {
        let plain = picture(0, 50_000);
        let (_, bytes) = stored(&plain, BlobKind::Data);
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = bytes.clone();
            change(&mut bytes);
            back(&plain, Compression::Samples, bytes)
        };
        assert!(with(&|_| {}).is_ok());
        for (why, got) in [
            ("empty", with(&|bytes| bytes.clear())),
            ("a third phase", with(&|bytes| *bytes.last_mut().unwrap() = 2)),
            ("no phase", with(&|bytes| bytes.truncate(bytes.len() - 1))),
            ("cut", with(&|bytes| bytes.truncate(100))),
            ("too long", back(&plain[2..], Compression::Samples, bytes.clone())),
            ("too short", back(&[&plain[..], &[0]].concat(), Compression::Samples, bytes.clone())),
        ] {
            assert!(got.is_err(), "{why}");
        }
    }
}

//! Cuts a file's bytes at content-defined boundaries and hashes them on the way (FastCDC, Xia et al. 2020, with a keyed gear table).
//! Reads through the source's port only; knows nothing of packs or of what is stored already.

use keepwell_format::blob::BlobKind;
use keepwell_format::port::{Piece, ReadFile, Source, Steady, Walked};
use keepwell_format::{BlobId, ContentHash, Gap, GapReason, Kind, Node};

use crate::keys::Keys;

/// How far a read may run ahead of the cut.
const READ_AHEAD: usize = 4 << 20;
/// Files above this are not read a second time when they changed under the first.
const RETRY_LIMIT: u64 = 1 << 30;
/// Length that an alternate stream is expected to have.
const STREAM: u64 = 64 << 10;
/// Attempts at a file that does not hold still.
const ATTEMPTS: u32 = 2;

/// What comes out of reading an entry: the chunks of a file and `Content`, then the chunks of each alternate stream and `Stream`, then `Done`.
#[derive(Debug)]
pub(crate) enum ReadEvent {
    /// A chunk.
    Chunk { at: u64, id: BlobId, plain: Vec<u8> },
    /// What came since the last end is void: it changed and is read again, or could not be read to its end.
    Restart,
    /// The end of the file's content.
    Content { size: u64, hash: ContentHash },
    /// The end of an alternate stream.
    Stream { name: Vec<u8>, size: u64, hash: ContentHash },
    /// The end of the entry. Without `Content` its node has a gap.
    Done { walked: Box<Walked> },
}

/// Nobody listens any more.
struct Unheard;

/// Reads all of `walked`, and tells `emit`, which answers whether anybody still listens.
pub(crate) fn read_file(keys: &Keys, source: &dyn Source, mut walked: Walked, emit: &mut dyn FnMut(ReadEvent) -> bool) {
    if read_all(keys, source, &mut walked, emit).is_ok() {
        emit(ReadEvent::Done { walked: Box::new(walked) });
    }
}

fn read_all(keys: &Keys, source: &dyn Source, walked: &mut Walked, emit: &mut dyn FnMut(ReadEvent) -> bool) -> Result<(), Unheard> {
    let streams = match walked.node.kind {
        Kind::File => read_content(keys, source, walked, emit)?,
        _ => std::mem::take(&mut walked.streams),
    };
    for name in streams {
        read_stream(keys, source, walked, name, emit)?;
    }
    Ok(())
}

/// Reads a file's own content. Answers the names of its streams; none if it could not be read.
fn read_content(
    keys: &Keys,
    source: &dyn Source,
    walked: &mut Walked,
    emit: &mut dyn FnMut(ReadEvent) -> bool,
) -> Result<Vec<Vec<u8>>, Unheard> {
    for attempt in 1..=ATTEMPTS {
        let last = attempt == ATTEMPTS || walked.size > RETRY_LIMIT;
        match read_once(keys, source, walked, emit) {
            Ok(None) => return Err(Unheard),
            Ok(Some(Once { steady: Steady::Changed, .. })) if !last => tell(emit, ReadEvent::Restart)?,
            Ok(Some(Once { size, hash, steady, streams })) => {
                walked.node.inconsistent = steady == Steady::Changed;
                tell(emit, ReadEvent::Content { size, hash })?;
                return Ok(streams);
            }
            Err(gap) => {
                walked.node.gap = Some(gap);
                tell(emit, ReadEvent::Restart)?;
                break;
            }
        }
    }
    Ok(Vec::new())
}

/// Reads an alternate stream. One that can't be had is a gap in what the entry holds beside its content.
fn read_stream(
    keys: &Keys,
    source: &dyn Source,
    walked: &mut Walked,
    name: Vec<u8>,
    emit: &mut dyn FnMut(ReadEvent) -> bool,
) -> Result<(), Unheard> {
    let read = source.stream(walked, &name).and_then(|mut stream| {
        let Some((size, hash)) = cut_all(keys, &mut *stream, STREAM, emit)? else { return Ok(None) };
        // What a stream's file says of times and descriptor is the file's affair.
        Ok(Some((size, hash, stream.finish(&mut Node::new(Kind::File))?)))
    });
    match read {
        Ok(None) => Err(Unheard),
        Ok(Some((size, hash, steady))) => {
            walked.node.inconsistent |= steady == Steady::Changed;
            tell(emit, ReadEvent::Stream { name, size, hash })
        }
        Err(gap) => {
            let text = format!("an alternate stream is missing: {}", gap.text);
            walked.node.gap.get_or_insert(Gap { reason: GapReason::Metadata, text });
            tell(emit, ReadEvent::Restart)
        }
    }
}

fn tell(emit: &mut dyn FnMut(ReadEvent) -> bool, event: ReadEvent) -> Result<(), Unheard> {
    if emit(event) { Ok(()) } else { Err(Unheard) }
}

/// One reading of a file.
struct Once {
    size: u64,
    hash: ContentHash,
    steady: Steady,
    streams: Vec<Vec<u8>>,
}

fn read_once(keys: &Keys, source: &dyn Source, walked: &mut Walked, emit: &mut dyn FnMut(ReadEvent) -> bool) -> Result<Option<Once>, Gap> {
    let mut file = source.open(walked)?;
    let Some((size, hash)) = cut_all(keys, &mut *file, walked.size, emit)? else { return Ok(None) };
    let steady = file.finish(&mut walked.node)?;
    let streams = file.streams();
    drop(file);
    if steady == Steady::Changed {
        walked.size = size;
    }
    Ok(Some(Once { size, hash, steady, streams }))
}

/// Cuts all that `file` gives. None when nobody listens any more.
fn cut_all(
    keys: &Keys,
    file: &mut dyn ReadFile,
    expected: u64,
    emit: &mut dyn FnMut(ReadEvent) -> bool,
) -> Result<Option<(u64, ContentHash)>, Gap> {
    let mut cutter = Cutter::new(keys, expected);
    loop {
        match cutter.fill(file)? {
            Piece::Data(0) | Piece::End => break,
            Piece::Data(_) => {
                if !cutter.cut(false, emit) {
                    return Ok(None);
                }
            }
            Piece::Hole(length) => {
                if !cutter.cut(true, emit) {
                    return Ok(None);
                }
                cutter.hash.hole(length);
            }
        }
    }
    Ok(cutter.cut(true, emit).then(|| cutter.hash.finish()))
}

/// Bytes read and not cut yet.
struct Cutter<'a> {
    keys: &'a Keys,
    masks: [u64; 4],
    buffer: Vec<u8>,
    /// Bytes of the buffer that hold data.
    filled: usize,
    hash: ContentHasher,
}

impl<'a> Cutter<'a> {
    fn new(keys: &'a Keys, expected: u64) -> Self {
        let (strict, loose) = fastcdc::v2020::select_masks(keys.chunk.avg as usize, fastcdc::v2020::Normalization::Level1);
        let most = keys.chunk.max as usize + READ_AHEAD;
        // One byte more than expected: the end is then seen without a second read.
        let size = usize::try_from(expected.saturating_add(1)).map_or(most, |n| n.min(most));
        Self { keys, masks: [strict, loose, strict << 1, loose << 1], buffer: vec![0; size], filled: 0, hash: ContentHasher::default() }
    }

    /// Reads the next piece behind what is there.
    fn fill(&mut self, file: &mut dyn ReadFile) -> Result<Piece, Gap> {
        if self.filled == self.buffer.len() {
            // The file is longer than it was said to be.
            self.buffer.resize(self.keys.chunk.max as usize + READ_AHEAD, 0);
        }
        let piece = file.next(&mut self.buffer[self.filled..])?;
        if let Piece::Data(count) = piece {
            self.hash.data(&self.buffer[self.filled..self.filled + count]);
            self.filled += count;
        }
        Ok(piece)
    }

    /// Emits the chunks whose end is certain; with `all`, everything.
    fn cut(&mut self, all: bool, emit: &mut dyn FnMut(ReadEvent) -> bool) -> bool {
        let mut at = self.hash.size - self.filled as u64;
        let mut from = 0;
        while let Some(length) = self.cut_length(from, all) {
            let whole = from == 0 && length == self.filled && all && length >= self.buffer.len() / 2;
            let plain = if whole { self.take_all() } else { self.buffer[from..from + length].to_vec() };
            let id = self.keys.blob_id(BlobKind::Data, &plain);
            if !emit(ReadEvent::Chunk { at, id, plain }) {
                return false;
            }
            if whole {
                return true;
            }
            at += length as u64;
            from += length;
        }
        self.buffer.copy_within(from..self.filled, 0);
        self.filled -= from;
        true
    }

    /// Length of the chunk that begins at `from`, unless more bytes could change it. A boundary found before the last byte can't move.
    fn cut_length(&self, from: usize, all: bool) -> Option<usize> {
        let chunk = &self.keys.chunk;
        let (min, avg, max) = (chunk.min as usize, chunk.avg as usize, chunk.max as usize);
        let window = &self.buffer[from..self.filled];
        if window.is_empty() || (!all && window.len() < 2 * avg) {
            return None;
        }
        let [strict, loose, strict_shifted, loose_shifted] = self.masks;
        let (gear, shifted) = (&self.keys.gear[..], &self.keys.gear_shifted[..]);
        let length = fastcdc::v2020::cut_gear(window, min, avg, max, strict, loose, strict_shifted, loose_shifted, gear, shifted).1;
        (all || length < window.len() || length == max).then_some(length)
    }

    /// Gives the buffer away: a small file is one chunk and is not copied. Only when it is mostly full, as a new one has to be zeroed.
    fn take_all(&mut self) -> Vec<u8> {
        let mut plain = std::mem::take(&mut self.buffer);
        plain.truncate(self.filled);
        self.filled = 0;
        plain
    }
}

/// The content hash of `docs/format.md` 8.1.
#[derive(Default)]
pub(crate) struct ContentHasher {
    hasher: blake3::Hasher,
    size: u64,
    run: u64,
    holes: bool,
}

impl ContentHasher {
    pub(crate) fn data(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.run += bytes.len() as u64;
    }

    pub(crate) fn hole(&mut self, length: u64) {
        if length > 0 {
            self.holes = true;
            self.end_run();
            self.size += length;
        }
    }

    fn end_run(&mut self) {
        if self.run > 0 {
            self.hasher.update(&(self.size - self.run).to_le_bytes());
            self.hasher.update(&self.run.to_le_bytes());
            self.run = 0;
        }
    }

    pub(crate) fn finish(mut self) -> (u64, ContentHash) {
        if self.holes {
            self.end_run();
            self.hasher.update(&self.size.to_le_bytes());
        }
        (self.size, ContentHash(*self.hasher.finalize().as_bytes()))
    }
}

#[cfg(test)]
mod tests;

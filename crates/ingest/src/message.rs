//! What short frames say, as bytes and back. Parses strictly: what is not as it must be is an error, never guessed.

mod entry;

use keepwell_format::codec::{Reader, Writer};
use keepwell_format::port::{Encoding, Placing, Present, SourceInfo, Steady, WriteError};
use keepwell_format::{FormatError, Gap, GapReason, Key, Kind, Node, Time};

pub(crate) use crate::order::read_flag;
use crate::{Refusal, Warned};
pub(crate) use entry::{entries, names_fit, read_entries, read_node, read_stream, weight, write_for_target, write_stream};
use entry::{is_of_source, write_node};

const MAGIC: &[u8; 8] = b"KWINGEST";
/// Longest text for a person.
pub(crate) const TEXT_MAX: usize = 4 << 10;
/// Longest location or identity.
const NAME_MAX: usize = 128 << 10;
/// Most reads or writes at a time.
const PARALLEL_MAX: usize = 64;
/// Most items of the lists of texts.
const LIST_MAX: usize = 128;
/// Most alternate streams of an entry.
const NAMES_MAX: usize = 16 << 10;
/// Bytes of a list of warnings, about.
const LISTED_MAX: usize = 256 << 10;
/// What targets say of differences: `Target::differences` answers words, not texts.
const DIFFERENCES: [&str; 11] =
    ["metadata", "kind", "owner", "mode", "times", "attributes", "dos attributes", "descriptor", "streams", "link target", "device"];

pub(crate) fn hello() -> Vec<u8> {
    let mut out = Writer::new();
    out.raw(MAGIC).u16(crate::VERSION);
    out.into_bytes()
}

pub(crate) fn read_hello(bytes: &[u8]) -> Result<(), FormatError> {
    let mut reader = Reader::new("greeting", bytes);
    if reader.array()? != *MAGIC {
        return Err(FormatError::Magic("greeting"));
    }
    match reader.u16()? {
        crate::VERSION => reader.finish(),
        found => Err(FormatError::Newer { what: "greeting", found, known: crate::VERSION }),
    }
}

/// Cuts a text for a person to what may be sent.
pub(crate) fn text(out: &mut Writer, text: &str) {
    out.text(&text[..text.floor_char_boundary(TEXT_MAX)]);
}

pub(crate) fn read_text(reader: &mut Reader<'_>) -> Result<String, FormatError> {
    let text = reader.text()?;
    reader.check(text.len() <= TEXT_MAX, "a text is too long")?;
    Ok(text)
}

pub(crate) fn read_texts(reader: &mut Reader<'_>) -> Result<Vec<String>, FormatError> {
    let count = reader.count(1)?;
    reader.check(count <= LIST_MAX, "a list is too long")?;
    (0..count).map(|_| read_text(reader)).collect()
}

pub(crate) fn write_texts(out: &mut Writer, texts: &[String]) {
    let texts = &texts[..texts.len().min(LIST_MAX)];
    out.count(texts.len());
    texts.iter().for_each(|each| text(out, each));
}

/// `text code ‖ text text ‖ texts causes`
pub(crate) fn refusal(refusal: &Refusal) -> Vec<u8> {
    let mut out = Writer::new();
    text(&mut out, &refusal.code);
    text(&mut out, &refusal.text);
    write_texts(&mut out, &refusal.causes);
    out.into_bytes()
}

pub(crate) fn read_refusal(bytes: &[u8]) -> Result<Refusal, FormatError> {
    let mut reader = Reader::new("refusal", bytes);
    let code = read_text(&mut reader)?;
    let kebab = !code.is_empty() && code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    reader.check(kebab, "a code is no code")?;
    let refusal = Refusal { code, text: read_text(&mut reader)?, causes: read_texts(&mut reader)? };
    reader.finish()?;
    Ok(refusal)
}

/// `text location ‖ text identity ‖ u8 encoding ‖ varint parallel`
pub(crate) fn info(info: &SourceInfo) -> Vec<u8> {
    let mut out = Writer::new();
    for name in [&info.location, &info.identity] {
        out.text(&name[..name.floor_char_boundary(NAME_MAX)]);
    }
    out.u8(info.encoding as u8).count(parallel(info.parallel_reads));
    out.into_bytes()
}

pub(crate) fn read_info(bytes: &[u8]) -> Result<SourceInfo, FormatError> {
    let mut reader = Reader::new("source", bytes);
    let (location, identity) = (reader.text()?, reader.text()?);
    reader.check(location.len() <= NAME_MAX && identity.len() <= NAME_MAX, "a location is too long")?;
    let encoding = match reader.u8()? {
        1 => Encoding::Bytes,
        2 => Encoding::Wtf8,
        _ => return Err(reader.invalid("unknown spelling of names")),
    };
    let info = SourceInfo { location, identity, encoding, parallel_reads: read_parallel(&mut reader)? };
    reader.finish()?;
    Ok(info)
}

/// How many reads or writes a server takes, as far as this protocol goes along.
pub(crate) fn parallel(count: usize) -> usize {
    count.clamp(1, PARALLEL_MAX)
}

fn read_parallel(reader: &mut Reader<'_>) -> Result<usize, FormatError> {
    let count = reader.varint()?;
    reader.check((1..=PARALLEL_MAX as u64).contains(&count), "too many reads or writes at a time, or none")?;
    Ok(count as usize)
}

/// `varint parallel ‖ texts lacking`
pub(crate) fn opened_target(parallel_writes: usize, lacking: &[String]) -> Vec<u8> {
    let mut out = Writer::new();
    out.count(parallel(parallel_writes));
    write_texts(&mut out, lacking);
    out.into_bytes()
}

pub(crate) fn read_opened_target(bytes: &[u8]) -> Result<(usize, Vec<String>), FormatError> {
    let mut reader = Reader::new("target", bytes);
    let opened = (read_parallel(&mut reader)?, read_texts(&mut reader)?);
    reader.finish()?;
    Ok(opened)
}

/// `u8 reason ‖ text`
pub(crate) fn write_gap(out: &mut Writer, gap: &Gap) {
    out.u8(gap.reason as u8);
    text(out, &gap.text);
}

pub(crate) fn read_gap(reader: &mut Reader<'_>) -> Result<Gap, FormatError> {
    use GapReason::{Listing, Locked, Metadata, Name, Permission, Read, Unsupported, Vanished};
    let reasons = [Permission, Locked, Read, Vanished, Unsupported, Name, Metadata, Listing];
    let reason = usize::from(reader.u8()?).checked_sub(1).and_then(|at| reasons.get(at));
    let reason = *reason.ok_or(reader.invalid("unknown reason of a gap"))?;
    Ok(Gap { reason, text: read_text(reader)? })
}

pub(crate) fn gap_frame(gap: &Gap) -> Vec<u8> {
    let mut out = Writer::new();
    write_gap(&mut out, gap);
    out.into_bytes()
}

pub(crate) fn read_gap_frame(bytes: &[u8]) -> Result<Gap, FormatError> {
    whole("gap", bytes, read_gap)
}

/// Reads all of a payload.
pub(crate) fn whole<'a, T>(
    what: &'static str,
    bytes: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, FormatError>,
) -> Result<T, FormatError> {
    let mut reader = Reader::new(what, bytes);
    let value = read(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

/// How a file ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ended {
    pub(crate) steady: Steady,
    /// What is known of it then, unless it changed.
    pub(crate) node: Option<Box<Node>>,
    pub(crate) streams: Vec<Vec<u8>>,
}

/// `u8 how`, then a gap (0), nothing (1) or a node (2), then the names of streams.
pub(crate) fn file_end(end: &Result<Ended, Gap>) -> Result<Vec<u8>, FormatError> {
    let mut out = Writer::new();
    match end {
        Err(gap) => write_gap(out.u8(0), gap),
        Ok(Ended { node, streams, .. }) => {
            out.u8(1 + u8::from(node.is_some()));
            if let Some(node) = node {
                write_node(&mut out, &Key::root(), node)?;
            }
            write_names(&mut out, streams);
        }
    }
    Ok(out.into_bytes())
}

pub(crate) fn read_file_end(bytes: &[u8]) -> Result<Result<Ended, Gap>, FormatError> {
    whole("end of a file", bytes, |reader| match reader.u8()? {
        0 => Ok(Err(read_gap(reader)?)),
        how @ 1..=2 => {
            let node = (how == 2).then(|| read_node(reader)).transpose()?.map(|(_, node)| Box::new(node));
            reader.check(node.as_ref().is_none_or(|node| is_of_source(node)), "a node that no source has")?;
            let steady = if how == 2 { Steady::Unchanged } else { Steady::Changed };
            Ok(Ok(Ended { steady, node, streams: read_names(reader)? }))
        }
        _ => Err(reader.invalid("unknown end of a file")),
    })
}

/// Names of streams.
pub(crate) fn write_names(out: &mut Writer, names: &[Vec<u8>]) {
    out.count(names.len());
    for name in names {
        out.bytes(name);
    }
}

pub(crate) fn read_names(reader: &mut Reader<'_>) -> Result<Vec<Vec<u8>>, FormatError> {
    let count = reader.count(1)?;
    reader.check(count <= NAMES_MAX, "too many streams")?;
    (0..count).map(|_| reader.bytes().map(<[u8]>::to_vec)).collect()
}

/// `u8 fatal ‖ text`
pub(crate) fn write_failure(out: &mut Writer, error: &WriteError) {
    out.u8(error.fatal.into());
    text(out, &error.text);
}

pub(crate) fn read_failure(reader: &mut Reader<'_>) -> Result<WriteError, FormatError> {
    Ok(WriteError { fatal: read_flag(reader)?, text: read_text(reader)? })
}

/// `u8 done`, then what came of it (1) or why nothing did (0).
pub(crate) fn done<T>(done: Result<T, WriteError>, write: impl FnOnce(&mut Writer, T)) -> Vec<u8> {
    let mut out = Writer::new();
    match done {
        Ok(value) => write(out.u8(1), value),
        Err(error) => write_failure(out.u8(0), &error),
    }
    out.into_bytes()
}

pub(crate) fn read_done<T>(
    reader: &mut Reader<'_>,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, FormatError>,
) -> Result<Result<T, WriteError>, FormatError> {
    if read_flag(reader)? { read(reader).map(Ok) } else { read_failure(reader).map(Err) }
}

/// `u8 done`, then words (1) or a gap (0).
pub(crate) fn compared(compared: &Result<Vec<&'static str>, Gap>) -> Vec<u8> {
    let mut out = Writer::new();
    match compared {
        Ok(words) => write_differences(out.u8(1), words),
        Err(gap) => write_gap(out.u8(0), gap),
    }
    out.into_bytes()
}

pub(crate) fn read_compared(reader: &mut Reader<'_>) -> Result<Result<Vec<&'static str>, Gap>, FormatError> {
    if read_flag(reader)? { read_differences(reader).map(Ok) } else { read_gap(reader).map(Err) }
}

/// `u8 there`, then kind, size and time.
pub(crate) fn write_present(out: &mut Writer, present: Option<Present>) {
    out.u8(present.is_some().into());
    if let Some(Present { kind, size, mtime }) = present {
        out.u8(kind as u8).varint(size).u8(mtime.is_some().into());
        if let Some(time) = mtime {
            out.time(time);
        }
    }
}

pub(crate) fn read_present(reader: &mut Reader<'_>) -> Result<Option<Present>, FormatError> {
    if !read_flag(reader)? {
        return Ok(None);
    }
    use Kind::{BlockDevice, CharDevice, Fifo, File, Folder, Reparse, Socket, Symlink, Unknown};
    let kinds = [File, Folder, Symlink, Fifo, Socket, CharDevice, BlockDevice, Reparse, Unknown];
    let kind = usize::from(reader.u8()?).checked_sub(1).and_then(|at| kinds.get(at));
    let kind = *kind.ok_or(reader.invalid("unknown kind of an entry"))?;
    let size = reader.varint()?;
    let mtime: Option<Time> = read_flag(reader)?.then(|| reader.time()).transpose()?;
    Ok(Some(Present { kind, size, mtime }))
}

pub(crate) fn read_placing(reader: &mut Reader<'_>) -> Result<Placing, FormatError> {
    Ok(if read_flag(reader)? { Placing::Replace } else { Placing::New })
}

/// `varint count ‖ list of (key, text)`
pub(crate) fn warned(warned: &Warned) -> Vec<u8> {
    let mut out = Writer::new();
    let mut room = LISTED_MAX;
    let fits = warned.first.iter().take(LIST_MAX).take_while(|(key, what)| {
        room = room.saturating_sub(key.as_bytes().len() + what.len());
        room > 0
    });
    let first: Vec<_> = fits.collect();
    out.varint(warned.count).count(first.len());
    for (key, what) in first {
        out.bytes(key.as_bytes());
        text(&mut out, what);
    }
    out.into_bytes()
}

pub(crate) fn read_warned(reader: &mut Reader<'_>) -> Result<Warned, FormatError> {
    let total = reader.varint()?;
    let count = reader.count(2)?;
    reader.check(count <= LIST_MAX, "a list is too long")?;
    let first = (0..count).map(|_| Ok((reader.key()?, read_text(reader)?))).collect::<Result<_, _>>()?;
    Ok(Warned { count: total, first })
}

/// Words of [`DIFFERENCES`], each as its place there. One that is not there is `metadata`.
pub(crate) fn write_differences(out: &mut Writer, words: &[&'static str]) {
    out.count(words.len());
    for word in words {
        let place = DIFFERENCES.iter().position(|known| known == word).unwrap_or(0);
        out.u8(place as u8);
    }
}

pub(crate) fn read_differences(reader: &mut Reader<'_>) -> Result<Vec<&'static str>, FormatError> {
    let count = reader.count(1)?;
    reader.check(count <= LIST_MAX, "a list is too long")?;
    let word = |place: u8| DIFFERENCES.get(usize::from(place)).copied();
    (0..count).map(|_| word(reader.u8()?).ok_or(reader.invalid("an unknown difference"))).collect()
}

//! Files and folders of a snapshot as a ZIP archive (APPNOTE 6.3.10) that is written without going back. Its last entry says what is missing from it.
//!
//! No name in it leads out of the folder it is unpacked in, and none is there twice. Never has a file that is not whole: what is small is read before its entry begins, and a large one that
//! turns out to be damaged ends the archive in its middle.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::ops::ControlFlow;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use keepwell_format::{Key, Kind, Node, Time};
use keepwell_vault::{Below, Snapshot, StoredFile, Vault, VaultError};
use zip::write::{FullFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::download::{Breaker, Sink};

/// Up to here, a file is read whole before its entry begins.
const SMALL: u64 = 8 << 20;
/// From here on, an entry has sizes of 64 bits: compression may make a file longer.
const LARGE: u64 = 0xf000_0000;
/// Longest name of an entry, bytes.
const NAME_MAX: usize = 32 << 10;
/// Lines of each list of the receipt.
const LINES_MAX: usize = 2_000;
/// Fast: most of what is large is compressed already.
const LEVEL: i64 = 1;
const RECEIPT: &str = "keepwell-receipt.txt";

/// Bytes of an entry in an archive.
pub(crate) fn size(vault: &Vault, snapshot: &Snapshot, node: &Node) -> u64 {
    match (&node.content, &node.link_to) {
        (Some(content), _) => content.size,
        (None, Some(_)) => vault.file_of(snapshot, node.clone()).map_or(0, |file| file.size()),
        _ => 0,
    }
}

/// An archive under way.
pub(crate) struct Archive<'a> {
    vault: &'a Vault,
    snapshot: &'a Snapshot,
    /// What all of it lies in.
    folder: &'a Key,
    zip: ZipWriter<StreamWriter<&'a mut Sink>>,
    /// Whatever the writer still does on its way out must not look like an end.
    breaker: Breaker,
    names: HashSet<String>,
    receipt: Receipt,
}

/// Why an archive ends.
enum Stop {
    Vault(VaultError),
    /// Nobody takes it.
    Hung,
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Self::Hung
    }
}

impl From<zip::result::ZipError> for Stop {
    fn from(_: zip::result::ZipError) -> Self {
        Self::Hung
    }
}

impl<'a> Archive<'a> {
    pub(crate) fn new(vault: &'a Vault, snapshot: &'a Snapshot, folder: &'a Key, sink: &'a mut Sink) -> Self {
        let names = HashSet::from([RECEIPT.to_owned()]);
        let breaker = sink.breaker();
        Self { breaker, vault, snapshot, folder, zip: ZipWriter::new_stream(sink), names, receipt: Receipt::default() }
    }

    /// Puts an entry in, with all below it. Breaks when nobody takes it any more.
    pub(crate) fn add(&mut self, key: &Key) -> Result<ControlFlow<()>, VaultError> {
        let (vault, snapshot) = (self.vault, self.snapshot);
        let mut stop = None;
        let walked = vault.walk_below(snapshot, key, &mut |below| {
            let put = match below {
                Below::Entry(key, node) => self.entry(&key, *node),
                Below::Lost(key) => {
                    self.receipt.missing.add(&key, "and what follows it: this part of the backup's catalog can't be read any more");
                    Ok(())
                }
            };
            stop = put.err();
            if stop.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let done = match stop {
            None => walked.map(|()| ControlFlow::Continue(())),
            Some(Stop::Hung) => Ok(ControlFlow::Break(())),
            Some(Stop::Vault(error)) => Err(error),
        };
        if !matches!(done, Ok(ControlFlow::Continue(()))) {
            self.breaker.give_up();
        }
        done
    }

    fn entry(&mut self, key: &Key, node: Node) -> Result<(), Stop> {
        match node.kind {
            Kind::Folder => self.folder_entry(key, &node),
            Kind::Symlink | Kind::Reparse => {
                self.receipt.links.add(key, "");
                Ok(())
            }
            Kind::File => self.file(key, node),
            _ => {
                self.receipt.missing.add(key, "it is no file");
                Ok(())
            }
        }
    }

    fn folder_entry(&mut self, key: &Key, node: &Node) -> Result<(), Stop> {
        if let Some(gap) = &node.gap {
            self.receipt.missing.add(key, &gap.text);
        }
        let Some(name) = self.name(key) else { return Ok(()) };
        if self.names.insert(format!("{name}/")) {
            self.zip.add_directory(name, options(node, 0))?;
        }
        Ok(())
    }

    fn file(&mut self, key: &Key, node: Node) -> Result<(), Stop> {
        let file = match self.vault.file_of(self.snapshot, node) {
            Ok(file) => file,
            Err(error) => return self.without(key, error),
        };
        if file.node.inconsistent {
            self.receipt.changed.add(key, "");
        }
        let mut whole = Vec::new();
        if file.size() <= SMALL {
            let read = self.vault.read_file(&file, &mut |bytes| {
                whole.extend_from_slice(bytes);
                ControlFlow::Continue(())
            });
            if let Err(error) = read {
                return self.without(key, error);
            }
        }
        let Some(name) = self.name(key).map(|name| self.unlike_others(name)) else { return Ok(()) };
        self.zip.start_file(name, options(&file.node, file.size()))?;
        if file.size() <= SMALL {
            self.zip.write_all(&whole)?
        } else {
            self.large(&file)?
        }
        self.receipt.files += 1;
        self.receipt.bytes += file.size();
        Ok(())
    }

    fn large(&mut self, file: &StoredFile) -> Result<(), Stop> {
        let zip = &mut self.zip;
        let read = self.vault.read_file(file, &mut |bytes| match zip.write_all(bytes) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        });
        match read {
            Ok(ControlFlow::Continue(())) => Ok(()),
            Ok(ControlFlow::Break(())) => Err(Stop::Hung),
            Err(error) => Err(Stop::Vault(error)),
        }
    }

    /// What can't be read is left out and named; anything else ends it.
    fn without(&mut self, key: &Key, error: VaultError) -> Result<(), Stop> {
        match error {
            VaultError::BlobLost { .. } | VaultError::Format { .. } | VaultError::NoPath(_) => {
                self.receipt.missing.add(key, "it can't be read from the vault any more");
            }
            VaultError::NotRead(_) | VaultError::NoFile => self.receipt.missing.add(key, &error.to_string()),
            other => return Err(Stop::Vault(other)),
        }
        Ok(())
    }

    /// What an entry is called in the archive; none for the folder that all lies in.
    fn name(&mut self, key: &Key) -> Option<String> {
        let below = key.below(self.folder).filter(|below| !below.is_root())?;
        let name = below.components().map(plain).collect::<Vec<_>>().join("/");
        if name.len() > NAME_MAX {
            self.receipt.missing.add(key, "its path is too long for an archive");
            return None;
        }
        if name.as_bytes() != below.to_path() {
            self.receipt.renamed.add(key, &format!("is {name}"));
        }
        Some(name)
    }

    fn unlike_others(&mut self, name: String) -> String {
        let (stem, end) = match name.rfind('.').filter(|dot| *dot > name.rfind('/').map_or(0, |slash| slash + 1)) {
            Some(dot) => name.split_at(dot),
            None => (name.as_str(), ""),
        };
        let others = (2..).map(|n| format!("{stem} ({n}){end}"));
        let free = std::iter::once(name.clone())
            .chain(others)
            .find(|name| !self.names.contains(name) && !self.names.contains(&format!("{name}/")));
        let free = free.unwrap_or_else(|| name.clone());
        self.names.insert(free.clone());
        free
    }

    /// Writes the receipt and the directory.
    pub(crate) fn finish(mut self) -> Result<(), zip::result::ZipError> {
        let receipt = self.receipt.text(self.snapshot);
        let mut node = Node::new(Kind::File);
        node.mtime = Some(self.snapshot.body.started);
        self.zip.start_file(RECEIPT, options(&node, 0))?;
        self.zip.write_all(receipt.as_bytes())?;
        self.zip.finish().map(drop)
    }
}

/// A part of a path as nobody's unpacking takes it for anything else: no separators, no drives, no control characters.
fn plain(name: &[u8]) -> String {
    let name: String =
        String::from_utf8_lossy(name).chars().map(|c| if c.is_control() || matches!(c, '/' | '\\' | ':') { '_' } else { c }).collect();
    if name.chars().all(|c| c == '.') { "_".repeat(name.len().max(1)) } else { name }
}

fn options(node: &Node, size: u64) -> FullFileOptions<'static, 'static> {
    let options =
        FullFileOptions::default().compression_method(CompressionMethod::Deflated).compression_level(Some(LEVEL)).large_file(size >= LARGE);
    let Some(time) = node.mtime else { return options };
    let options = match dos(time) {
        Some(at) => options.last_modified_time(at),
        None => options,
    };
    // To the second and in UTC, for those who read it.
    match u32::try_from(time.seconds).ok().filter(|at| *at <= i32::MAX.unsigned_abs()) {
        Some(at) => options.clone().with_extended_timestamp(Some(at), None, None).unwrap_or(options),
        None => options,
    }
}

/// The time in UTC, as far as the format goes: from 1980 to 2107, in steps of two seconds.
fn dos(time: Time) -> Option<DateTime> {
    let at = TimeZone::UTC.to_datetime(Timestamp::from_second(time.seconds).ok()?);
    let small = |value: i8| u8::try_from(value).ok();
    let (month, day) = (small(at.month())?, small(at.day())?);
    DateTime::from_date_and_time(u16::try_from(at.year()).ok()?, month, day, small(at.hour())?, small(at.minute())?, small(at.second())?)
        .ok()
}

/// What the archive's last entry says.
#[derive(Default)]
struct Receipt {
    files: u64,
    bytes: u64,
    missing: Lines,
    links: Lines,
    renamed: Lines,
    changed: Lines,
}

/// The first ones, and how many there are.
#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    count: u64,
}

impl Lines {
    fn add(&mut self, key: &Key, why: &str) {
        self.count += 1;
        if self.lines.len() < LINES_MAX {
            self.lines.push(if why.is_empty() { key.to_string() } else { format!("{key}: {why}") });
        }
    }

    fn write(&self, heading: &str, text: &mut String) {
        if self.count == 0 {
            return;
        }
        let _ = writeln!(text, "\n{heading}: {}", self.count);
        for line in &self.lines {
            let _ = writeln!(text, "  {line}");
        }
        if self.count > self.lines.len() as u64 {
            let _ = writeln!(text, "  and {} more", self.count - self.lines.len() as u64);
        }
    }
}

impl Receipt {
    fn text(&self, snapshot: &Snapshot) -> String {
        let taken =
            Timestamp::from_second(snapshot.body.started.seconds).map_or_else(|_| "an unknown time".to_owned(), |at| at.to_string());
        let mut text =
            format!("Files of the share '{}' as they were at {taken}\nSnapshot {}\n", snapshot.body.name.escape_debug(), snapshot.id);
        let _ = writeln!(text, "{} files, {} bytes", self.files, self.bytes);
        let _ = writeln!(text, "An archive has no rights, owners, alternate streams and links: a restore to a share brings them back.");
        self.missing.write("Missing from this archive", &mut text);
        self.links.write("Links, left out", &mut text);
        self.renamed.write("Under another name here, as not every system can have theirs", &mut text);
        self.changed.write("Changed while they were backed up, so their parts may not fit each other", &mut text);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out() {
        for (name, expected) in [
            (&b"Befund.pdf"[..], "Befund.pdf"),
            (b"C:\\Windows", "C__Windows"),
            (b"..\\..\\x", ".._.._x"),
            (b"...", "___"),
            (b"a\nb\x7f", "a_b_"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            ("Größe".as_bytes(), "Größe"),
        ] {
            assert_eq!(plain(name), expected);
        }
    }

    #[test]
    fn times_are_kept_as_far_as_the_format_goes() {
        let at = |seconds| dos(Time { seconds, nanos: 0 }).map(|at| (at.year(), at.month(), at.day(), at.hour(), at.minute()));
        assert_eq!(at(1_700_000_000), Some((2023, 11, 14, 22, 13)));
        assert_eq!(at(0), None);
        assert_eq!(at(i64::MAX), None);
    }
}

//! A folder of a share as a source, as it is or as of one of the server's snapshots. Never writes to the share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use keepwell_format::port::{Encoding, Piece, ReadFile, Source, SourceInfo, Walk, Walked};
use keepwell_format::{Gap, GapReason, Key, Kind, Node, Time};
use keepwell_smb::{BadName, Facts, FileTime, Share, SmbError, Volume, Want, WidePath, attribute, wide};

use super::expected::Expected;
use super::folder::EVERYTHING;
use super::metadata::{complete, streams};
use super::read::{SmbFile, Wanted, is_held};
use super::session::{Session, SmbOptions};
use super::walk::SmbWalk;
use super::{gap, time};
use crate::{AsOf, SmbUrl, SourceError, utc};

/// Files read at the same time. Small ones are asked for ahead, so few threads do.
const PARALLEL_READS: usize = 4;

/// Files that are known to be held closed; further ones may have streams of another time than their content.
const HELD_MAX: usize = 10_000;

/// A folder of an SMB share.
#[derive(Debug)]
pub struct SmbSource {
    info: SourceInfo,
    session: Arc<Session>,
    as_of: Option<FileTime>,
    expected: Expected,
    /// Newest first; asked for once.
    snapshots: OnceLock<Vec<FileTime>>,
    /// Files whose content came from a snapshot: their streams come from there too.
    held: Mutex<HashMap<Key, FileTime>>,
}

impl SmbSource {
    /// Signs in and opens the share.
    ///
    /// # Errors
    /// [`SourceError`]: unreachable, refused, not protected, no such share, folder or snapshot.
    pub fn connect(url: &SmbUrl, password: &str, as_of: AsOf) -> Result<Self, SourceError> {
        Self::connect_with(url, password, as_of, &SmbOptions::default())
    }

    /// The same, with the client's options.
    ///
    /// # Errors
    /// As [`SmbSource::connect`].
    pub fn connect_with(url: &SmbUrl, password: &str, as_of: AsOf, options: &SmbOptions) -> Result<Self, SourceError> {
        let session = Session::connect(url, password, options)?;
        let as_of = snapshot(&session, url, as_of)?;
        let failed = |error: SmbError| SourceError::Share { location: url.to_string(), source: Box::new(error) };
        let root = session.share.begin_stat(&session.root, Want::default(), as_of).and_then(|stat| stat.wait()).map_err(failed)?;
        if !root.info.is_directory {
            return Err(SourceError::NotFolder(url.to_string().into()));
        }
        let info = SourceInfo {
            location: location(url, as_of),
            identity: identity(&session, url),
            encoding: Encoding::Wtf8,
            parallel_reads: PARALLEL_READS,
        };
        Ok(Self {
            info,
            session: Arc::new(session),
            as_of,
            expected: Expected::default(),
            snapshots: OnceLock::new(),
            held: Mutex::default(),
        })
    }

    /// What was agreed with the server.
    pub fn facts(&self) -> &Facts {
        &self.session.facts
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// The file system behind the share.
    pub fn volume(&self) -> &Volume {
        &self.session.volume
    }

    /// Times of the server's snapshots, newest first.
    ///
    /// # Errors
    /// A gap if the server can't be asked.
    pub fn snapshots(&self) -> Result<Vec<Time>, Gap> {
        let times = self.session.again(Share::snapshots).map_err(|error| gap(&error))?;
        Ok(times.into_iter().filter_map(time).collect())
    }

    /// What the account may do with the root: access bits (MS-SMB2 2.2.13.1.2). None if the server does not say.
    ///
    /// # Errors
    /// A gap if the server can't be asked.
    pub fn rights(&self) -> Result<Option<u32>, Gap> {
        let want = Want { maximal_access: true, ..Want::default() };
        let stat = self.session.again(|share| share.begin_stat(&self.session.root, want, None)?.wait());
        stat.map(|stat| stat.maximal_access).map_err(|error| gap(&error))
    }

    /// Whether audit lists (SACLs) are read with the descriptors, as far as it has been tried.
    pub fn reads_audit_lists(&self) -> bool {
        !self.session.share.sacl_refused()
    }

    /// Opens a file for reading without reading more than a byte. Answers the number of its streams, and what of it can't be kept.
    pub(crate) fn probe(&self, entry: &Walked) -> Result<(u64, Option<Gap>), Gap> {
        let path = self.path(&entry.key)?;
        let fetch = || self.session.again_content(|share| share.begin_fetch(&path, 1, EVERYTHING, self.as_of)?.wait());
        match self.session.pace.small(fetch) {
            Ok(fetched) => {
                let mut node = Node::new(Kind::File);
                complete(&mut node, &fetched.stat);
                Ok((streams(&fetched.stat).len() as u64, node.gap))
            }
            // A backup would look for it in a snapshot.
            Err(error) if is_held(&error) => {
                let mut file = self.open(entry)?;
                while !matches!(file.next(&mut [0; 65_536])?, Piece::End) {}
                let mut node = entry.node.clone();
                file.finish(&mut node)?;
                Ok((file.streams().len() as u64, node.gap))
            }
            Err(error) => Err(gap(&error)),
        }
    }

    /// The entries of one folder, without what is below them.
    pub(crate) fn list(&self, folder: &Key) -> Result<Vec<Walked>, Gap> {
        let root = self.path(folder)?;
        SmbWalk::list(&self.session, self.as_of, folder, root)
    }

    fn wanted(&self, entry: &Walked) -> Result<Wanted, Gap> {
        let is_sparse = entry.node.dos.is_some_and(|dos| dos & attribute::SPARSE_FILE != 0);
        Ok(Wanted::file(self.path(&entry.key)?, entry.size, is_sparse, self.as_of))
    }

    fn path(&self, key: &Key) -> Result<WidePath, Gap> {
        path(&self.session.root, key).map_err(|bad| Gap { reason: GapReason::Name, text: bad.to_string() })
    }

    fn read(&self, key: &Key, wanted: &Wanted) -> Result<Box<dyn ReadFile + '_>, Gap> {
        self.read_as(key, wanted, SmbFile::open(&self.session, wanted))
    }

    /// Hands out what was opened, or what a snapshot has of it.
    fn read_as<'s>(&'s self, key: &Key, wanted: &Wanted, opened: Result<SmbFile<'s>, SmbError>) -> Result<Box<dyn ReadFile + 's>, Gap> {
        let error = match opened {
            Ok(file) => return Ok(Box::new(file)),
            Err(error) => error,
        };
        if self.as_of.is_some() || !is_held(&error) {
            return Err(gap(&error));
        }
        let stand_in = SmbFile::stand_in(&self.session, wanted, self.snapshots_once()).ok_or_else(|| gap(&error))?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(snapshot), true) = (stand_in.stands_in(), held.len() < HELD_MAX) {
            held.insert(key.clone(), snapshot);
        }
        Ok(Box::new(stand_in))
    }

    fn snapshots_once(&self) -> &[FileTime] {
        self.snapshots.get_or_init(|| self.session.again(Share::snapshots).unwrap_or_default())
    }
}

impl Source for SmbSource {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn walk(&self) -> Result<Walk<'_>, Gap> {
        Ok(Box::new(SmbWalk::new(Arc::clone(&self.session), self.as_of)))
    }

    fn expect(&self, entry: &Walked) {
        if let Ok(wanted) = self.wanted(entry)
            && wanted.is_small(&self.session)
        {
            self.expected.add(&self.session, &entry.key, wanted);
        }
    }

    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        let wanted = self.wanted(entry)?;
        match self.expected.take(&self.session, &entry.key) {
            Some(Ok(fetched)) => match SmbFile::whole(fetched) {
                Some(file) => Ok(Box::new(file)),
                None => self.read(&entry.key, &wanted),
            },
            Some(Err(error)) => self.read_as(&entry.key, &wanted, Err(error)),
            None => self.read(&entry.key, &wanted),
        }
    }

    fn stream(&self, entry: &Walked, name: &[u8]) -> Result<Box<dyn ReadFile + '_>, Gap> {
        let bad = |bad: BadName| Gap { reason: GapReason::Name, text: bad.to_string() };
        let path = self.path(&entry.key)?.stream(&wide(name).ok_or_else(|| bad(BadName::NotWtf8))?).map_err(bad)?;
        let as_of = self.as_of.or_else(|| self.held.lock().unwrap_or_else(PoisonError::into_inner).get(&entry.key).copied());
        self.read(&entry.key, &Wanted::stream(path, as_of))
    }

    fn gone(&self) -> Option<Gap> {
        self.session.given_up().map(|why| Gap { reason: GapReason::Read, text: why.to_owned() })
    }
}

/// The path of an entry below the root.
pub(super) fn path(root: &WidePath, key: &Key) -> Result<WidePath, BadName> {
    key.components().try_fold(root.clone(), |path, name| path.join(&wide(name).ok_or(BadName::NotWtf8)?))
}

fn snapshot(session: &Session, url: &SmbUrl, as_of: AsOf) -> Result<Option<FileTime>, SourceError> {
    if as_of == AsOf::Live {
        return Ok(None);
    }
    let location = || url.to_string();
    let times = session.again(Share::snapshots).map_err(|error| SourceError::Share { location: location(), source: Box::new(error) })?;
    let newest = times.first().copied().ok_or_else(|| SourceError::NoSnapshots { location: location() })?;
    let AsOf::Time(wanted) = as_of else { return Ok(Some(newest)) };
    let found = times.iter().copied().find(|snapshot| time(*snapshot).is_some_and(|time| time.seconds == wanted.seconds));
    let newest = || time(newest).map_or_else(String::new, utc);
    found.map(Some).ok_or_else(|| SourceError::NoSuchSnapshot { location: location(), wanted: utc(wanted), newest: newest() })
}

fn location(url: &SmbUrl, as_of: Option<FileTime>) -> String {
    as_of.and_then(time).map_or_else(|| url.to_string(), |time| format!("{url}?as-of={}", utc(time)))
}

/// Stays the same while it is the same tree, whatever name or account the server is reached by.
fn identity(session: &Session, url: &SmbUrl) -> String {
    let guid: String = session.facts.server_guid.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("smb:{guid}:{}:{:08x}/{}", url.share.to_lowercase(), session.volume.serial, url.path.join("/"))
}

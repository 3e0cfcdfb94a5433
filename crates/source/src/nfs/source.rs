//! An NFS export as a source.

use std::time::{Duration, Instant};

use keepwell_format::port::{Encoding, ReadFile, Source, SourceInfo, Walk, Walked};
use keepwell_format::{Gap, GapReason};
use keepwell_nfs::Options;

use super::gaps::gap;
use super::read::NfsFile;
use super::rights;
use super::tree::{Absent, Tree};
use super::v41::Tree41;
use super::walk::NfsWalk;
use super::{TIMEOUT, until_error};
use crate::check::rights::Sample;
use crate::{NfsUrl, NfsVersion, SourceError};

/// Reads in flight that keep a server busy, without drowning it.
const PARALLEL_READS: usize = 16;

/// Time for each call that asks over another version than the one that is read by.
const OTHER_VERSION: Duration = Duration::from_secs(5);

/// A folder of an NFS export.
#[derive(Debug)]
pub struct NfsSource {
    info: SourceInfo,
    tree: Version,
}

#[derive(Debug)]
enum Version {
    V3(Box<Tree>),
    V41(Box<Tree41>, NfsUrl),
}

impl NfsSource {
    /// Mounts the export of the URL, as the user that it names or that this process has.
    ///
    /// # Errors
    /// [`SourceError::Unreachable`] and [`SourceError::Share`].
    pub fn connect(url: &NfsUrl) -> Result<Self, SourceError> {
        Self::connect_with(url, TIMEOUT)
    }

    /// Likewise, with another limit for the time that one call may take.
    ///
    /// # Errors
    /// Likewise.
    pub fn connect_with(url: &NfsUrl, timeout: Duration) -> Result<Self, SourceError> {
        let (tree, fsid) = match url.version {
            NfsVersion::V3 => {
                let tree = Tree::connect(url, Options { timeout, ..Options::default() }, Absent::Refuse)?;
                let fsid = tree.root.fsid;
                (Version::V3(Box::new(tree)), fsid)
            }
            NfsVersion::V41 => {
                let tree = Tree41::connect(url, timeout)?;
                let fsid = tree.fsid();
                (Version::V41(Box::new(tree), url.clone()), fsid)
            }
        };
        let info = SourceInfo {
            location: url.to_string(),
            identity: identity(url, fsid),
            encoding: Encoding::Bytes,
            parallel_reads: PARALLEL_READS,
        };
        Ok(Self { info, tree })
    }

    /// A walk on which each file was asked whether it may be read (ACCESS), so that it has its gap without being opened. None over version 4.1.
    pub(crate) fn probing_walk(&self) -> Option<Walk<'_>> {
        match &self.tree {
            Version::V3(tree) => Some(walk(tree, true)),
            Version::V41(..) => None,
        }
    }

    /// What this machine may do with the root and a sample of what is below it. No folder is looked into after `until`.
    pub(crate) fn sample(&self, until: Instant) -> Result<Sample, Gap> {
        match &self.tree {
            Version::V3(tree) => rights::sample(tree, until),
            Version::V41(tree, url) => Ok(as_anyone(url, tree.sample(until)?, until)),
        }
    }
}

fn walk(tree: &Tree, probing: bool) -> Walk<'_> {
    let mut walk = NfsWalk::new(tree, probing);
    until_error(move || walk.step(), |error| gap(error, GapReason::Read))
}

/// Over version 4.1 one user alone is asked for, and this machine may claim to be any. Where that one may change nothing, the same export is asked over version 3, for all of
/// them; a server that does not speak it has said nothing.
fn as_anyone(url: &NfsUrl, mut sample: Sample, until: Instant) -> Sample {
    if sample.changeable > 0 {
        return sample;
    }
    let url = NfsUrl { version: NfsVersion::V3, ..url.clone() };
    let options = Options { timeout: OTHER_VERSION, ..Options::default() };
    let asked = Tree::connect(&url, options, Absent::Refuse).ok().and_then(|tree| rights::sample(&tree, until).ok());
    asked.unwrap_or_else(|| {
        sample.told = false;
        sample
    })
}

/// `nfs:HOST:EXPORT[/PATH]:FSID`, with what is no UTF-8 escaped.
fn identity(url: &NfsUrl, fsid: u64) -> String {
    let below: Vec<u8> = url.path.iter().flat_map(|name| [b"/", &name[..]].concat()).collect();
    format!("nfs:{}:{}{}:{fsid:x}", url.host, url.export.escape_ascii(), below.escape_ascii())
}

impl Source for NfsSource {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn walk(&self) -> Result<Walk<'_>, Gap> {
        Ok(match &self.tree {
            Version::V3(tree) => walk(tree, false),
            Version::V41(tree, _) => tree.walk(),
        })
    }

    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        match &self.tree {
            Version::V3(tree) => Ok(Box::new(NfsFile::open(tree, entry)?)),
            Version::V41(tree, _) => tree.open(entry),
        }
    }

    fn gone(&self) -> Option<Gap> {
        let lost = matches!(&self.tree, Version::V3(tree) if tree.link.is_lost());
        lost.then(|| Gap { reason: GapReason::Read, text: "the connection to the server is lost and did not come back".to_owned() })
    }
}

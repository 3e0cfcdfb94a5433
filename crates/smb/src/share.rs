//! A share of a server. Owns what is known of the whole of it; what belongs to one file is in the modules beside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::connection::Answer;
use crate::handle::is_success;
use crate::link::Link;
use crate::wire::create::FileId;
use crate::wire::fscc::{decode_fs_attribute, decode_fs_full_size, decode_fs_volume};
use crate::wire::info::{Class, encode_query};
use crate::wire::payload::output;
use crate::{Credentials, Facts, NtStatus, Open, Options, SmbError, Volume, Want, WidePath};

/// A share of a server, over a connection of its own. Clones share it.
#[derive(Clone, Debug)]
pub struct Share {
    link: Link,
    /// The server has refused the right to SACLs.
    sacl_refused: Arc<AtomicBool>,
}

impl Share {
    /// Connects, signs in, opens the share. One attempt.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn connect(host: &str, port: u16, share: &str, credentials: Credentials, options: Options) -> Result<Self, SmbError> {
        Ok(Self { link: Link::connect(host, port, share, credentials, options)?, sacl_refused: Arc::default() })
    }

    /// What was agreed with the server.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.link.facts()
    }

    /// Counts the connections made. What was opened over an earlier one is stale.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.link.generation()
    }

    /// Whether the connection of this generation has ended, as far as is known. Asks nobody.
    #[must_use]
    pub fn is_lost(&self, generation: u64) -> bool {
        self.link.is_lost(generation)
    }

    /// A new connection, if `since` is still the generation; callers at the same time share one attempt. One attempt.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn reconnect(&self, since: u64) -> Result<(), SmbError> {
        self.link.reconnect(since)
    }

    /// Asks the server whether it is still there. One round trip.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn echo(&self) -> Result<(), SmbError> {
        self.link.echo()
    }

    /// Whether the account may not read SACLs here, as far as it has been tried.
    #[must_use]
    pub fn sacl_refused(&self) -> bool {
        self.sacl_refused.load(Ordering::Relaxed)
    }

    /// What the file system behind the share is. One round trip.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn volume(&self) -> Result<Volume, SmbError> {
        const ASKED: u32 = 4096;
        let classes = [Class::FS_VOLUME, Class::FS_ATTRIBUTE, Class::FS_FULL_SIZE];
        let questions = classes.map(|class| encode_query(FileId::RELATED, class, ASKED)).into();
        let mut answers = self.ask(&WidePath::root(), &Open::looking(Want::default(), None), questions)?.into_iter();
        let mut next = || {
            let answer = answers.next().ok_or(SmbError::Malformed { what: "no answer to QUERY_INFO" })?;
            // A name that was cut does no harm, but can't be told from one that lies.
            if is_success(answer.status) { Ok(Ok(buffer(&answer, ASKED)?)) } else { Ok(Err(answer.status)) }
        };
        let needed = |given: Result<bytes::Bytes, NtStatus>| given.map_err(|status| SmbError::Status { status, during: "query volume" });
        let (created, serial, label) = decode_fs_volume(&needed(next()?)?)?;
        let (attributes, name) = decode_fs_attribute(&needed(next()?)?)?;
        let size = next()?.ok().map(|buffer| decode_fs_full_size(&buffer)).transpose()?;
        Ok(Volume {
            serial,
            created,
            label,
            file_system: String::from_utf16_lossy(&name),
            attributes,
            total: size.map(|(total, _)| total),
            free: size.map(|(_, free)| free),
        })
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) fn refuse_sacl(&self) {
        self.sacl_refused.store(true, Ordering::Relaxed);
    }

    pub(crate) fn max_read(&self) -> u32 {
        self.link.facts().max_read
    }

    pub(crate) fn max_write(&self) -> u32 {
        self.link.facts().max_write
    }

    pub(crate) fn max_transact(&self) -> u32 {
        self.link.facts().max_transact
    }
}

fn buffer(answer: &Answer, asked: u32) -> Result<bytes::Bytes, SmbError> {
    output(&answer.body, asked, "QUERY_INFO answer")
}

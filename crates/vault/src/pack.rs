//! Fills packs with frames, and reads their directories (`docs/format.md` 7). Pure: packs go out as bytes, come in as bytes.

use keepwell_crypt::OVERHEAD;
use keepwell_format::blob::{BlobKind, Compression, FrameInfo, WHOLE};
use keepwell_format::pack::{Directory, DirectoryEntry, MAX_PACK, PackContent, PackHeader, TRAILER_SEALED_LEN, Trailer, padding_for};
use keepwell_format::{BlobId, FormatError, PackSeq};

use crate::VaultError;
use crate::keys::Keys;
use crate::squeeze::{squeeze, unsqueeze};

/// A sealed blob on its way to a pack.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) info: FrameInfo,
    pub(crate) sealed: Vec<u8>,
}

/// Makes a blob smaller and seals it. Runs on workers.
pub(crate) fn seal_blob(keys: &Keys, kind: BlobKind, id: BlobId, plain: Vec<u8>, level: i32) -> Frame {
    let plain_len = u32::try_from(plain.len()).expect("a blob has at most 16 MiB");
    let sealer = keys.frame(keys.epoch).expect("the newest epoch is in the keyring");
    let info = |compression| FrameInfo { blob: id, kind, compression, epoch: keys.epoch, plain_len, keep_map: WHOLE };
    let smaller = squeeze(kind, &plain, level, |smaller| {
        smaller.map(|(compression, stored)| {
            let info = info(compression);
            Frame { info, sealed: sealer.seal(&info.aad(keys.vault), stored) }
        })
    });
    smaller.unwrap_or_else(|| {
        let info = info(Compression::Raw);
        Frame { info, sealed: sealer.seal_in_place(&info.aad(keys.vault), plain) }
    })
}

/// Opens a frame: the whole plaintext, authenticated as the blob that was asked for.
pub(crate) fn open_frame(keys: &Keys, info: &FrameInfo, sealed: &[u8]) -> Result<Vec<u8>, String> {
    if info.keep_map != WHOLE {
        return Err("a shrunken blob is not supported by this release".to_owned());
    }
    let sealer = keys.frame(info.epoch).map_err(|e| e.to_string())?;
    unsqueeze(info, sealer.open(&info.aad(keys.vault), sealed).map_err(|e| e.to_string())?)
}

/// A pack that is being filled.
#[derive(Debug)]
pub(crate) struct Filling {
    header: PackHeader,
    bytes: Vec<u8>,
    directory: Directory,
    target: usize,
}

impl Filling {
    pub(crate) fn new(keys: &Keys, content: PackContent, seq: PackSeq, target: usize) -> Self {
        let header = PackHeader { content, epoch: keys.epoch, vault: keys.vault, seq };
        // Room for directory and padding too, so that a full pack is never copied to grow.
        let mut bytes = Vec::with_capacity(target + (2 << 20));
        bytes.extend_from_slice(&header.encode());
        Self { header, bytes, directory: Directory { entries: Vec::new() }, target }
    }

    /// Takes a frame, unless the pack would grow beyond what it is filled to.
    pub(crate) fn push(&mut self, frame: Frame) -> Result<(), Frame> {
        let room = self.target.min(MAX_PACK as usize - (8 << 20));
        if !self.directory.entries.is_empty() && self.bytes.len() + frame.sealed.len() > room {
            return Err(frame);
        }
        let stored_len = u32::try_from(frame.sealed.len()).expect("a frame is at most 16 MiB and a little");
        self.bytes.extend_from_slice(&frame.sealed);
        self.directory.entries.push(DirectoryEntry { frame: frame.info, stored_len, members: Vec::new() });
        Ok(())
    }

    pub(crate) fn seq(&self) -> PackSeq {
        self.header.seq
    }

    /// Seals directory and trailer. Runs on workers.
    pub(crate) fn finish(mut self, keys: &Keys) -> Finished {
        let head = self.header.encode();
        let offset = self.bytes.len() as u64;
        let plain_len = self.directory.encode(0).len();
        let unpadded = offset + (plain_len + OVERHEAD + TRAILER_SEALED_LEN) as u64;
        let padding = usize::try_from(padding_for(unpadded)).expect("at most 1 MiB");
        let epoch = self.header.epoch;
        let sealer = keys.directory(epoch).expect("the newest epoch is in the keyring");
        sealer.seal_into(&head, &self.directory.encode(padding), &mut self.bytes);
        let length = u32::try_from(self.bytes.len() as u64 - offset).expect("a directory is far below 4 GiB");
        let trailer = Trailer { offset, length }.encode();
        keys.trailer(epoch).expect("the newest epoch is in the keyring").seal_into(&head, &trailer, &mut self.bytes);
        Finished { header: self.header, directory: self.directory, bytes: self.bytes }
    }
}

/// A pack ready for the pool.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) header: PackHeader,
    pub(crate) directory: Directory,
    pub(crate) bytes: Vec<u8>,
}

/// Reads the directory of a pack of `len` bytes through `read(offset, length)`.
pub(crate) fn read_directory(
    keys: &Keys,
    len: u64,
    read: &mut dyn FnMut(u64, usize) -> Result<Vec<u8>, VaultError>,
) -> Result<(PackHeader, Directory), VaultError> {
    let damaged = |source| VaultError::Format { what: "a pack", source };
    let crypt = |source| VaultError::Crypt { what: "a pack's directory can't be opened", source };
    let short = || damaged(FormatError::Truncated("pack"));
    let head = read(0, PackHeader::LEN)?;
    let header = PackHeader::decode(&head).map_err(damaged)?;
    let at = len.checked_sub(TRAILER_SEALED_LEN as u64).ok_or_else(short)?;
    let sealed = read(at, TRAILER_SEALED_LEN)?;
    let plain = keys.trailer(header.epoch).and_then(|s| s.open(&head, &sealed)).map_err(crypt)?;
    let trailer = Trailer::decode(&plain).map_err(damaged)?;
    if trailer.offset + u64::from(trailer.length) != at {
        return Err(short());
    }
    let sealed = read(trailer.offset, trailer.length as usize)?;
    let plain = keys.directory(header.epoch).and_then(|s| s.open(&head, &sealed)).map_err(crypt)?;
    let directory = Directory::decode(&plain).map_err(damaged)?;
    let end = directory.entries.iter().fold(PackHeader::LEN as u64, |at, entry| at + u64::from(entry.stored_len));
    if end == trailer.offset && header.vault == keys.vault { Ok((header, directory)) } else { Err(short()) }
}

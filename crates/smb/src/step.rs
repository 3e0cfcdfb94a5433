//! The questions of a visit and what their answers hold. Owns how much is asked for, and which refusals mean that there is nothing.

use bytes::Bytes;

use crate::connection::{Answer, Request};
use crate::handle::is_success;
use crate::stat::Attribute;
use crate::wire::create::FileId;
use crate::wire::fscc::{decode_all, decode_attributes, decode_streams};
use crate::wire::info::{Class, encode_query};
use crate::wire::payload::output;
use crate::wire::{ioctl, transfer};
use crate::{FileInfo, NtStatus, SmbError, StreamInfo, Want, part};

/// A question, with the bytes that its answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Info(u32),
    /// With these parts.
    Descriptor(u32),
    Streams(u32),
    Attributes(u32),
    Reparse,
    Read(u32),
}

/// What an answer holds.
#[derive(Debug)]
pub(crate) enum Part {
    /// None: the server does not say.
    Info(Option<FileInfo>),
    Descriptor(Result<Vec<u8>, NtStatus>),
    Streams(Result<Vec<StreamInfo>, NtStatus>),
    Attributes(Result<Vec<Attribute>, NtStatus>),
    Reparse(Option<Result<Vec<u8>, NtStatus>>),
    Data(Result<Bytes, NtStatus>),
}

/// What costs one credit (MS-SMB2 3.1.5.2), and the most a descriptor takes.
const ONE_CREDIT: u32 = 64 << 10;

/// The most that streams or attributes of one file may take.
const LARGEST: u32 = 1 << 20;

/// MS-FSCC 2.1.2: MAXIMUM_REPARSE_DATA_BUFFER_SIZE.
const REPARSE: u32 = 16 << 10;

impl Step {
    /// The questions about a file whose path has so many units. Those that are refused most often come last, because some servers stop
    /// there.
    pub(crate) fn of(want: Want, read: u32, path_units: usize) -> Vec<Self> {
        let mut steps = Vec::with_capacity(6);
        // The fixed part, and the path with room to spare.
        steps.push(Self::Info((100 + path_units as u32 * 2 + 1024).min(ONE_CREDIT)));
        if want.descriptor || want.sacl {
            let sacl = if want.sacl { part::SACL } else { 0 };
            steps.push(Self::Descriptor(part::OWNER | part::GROUP | part::DACL | sacl));
        }
        if want.streams {
            steps.push(Self::Streams(ONE_CREDIT));
        }
        if want.reparse {
            steps.push(Self::Reparse);
        }
        if read > 0 {
            steps.push(Self::Read(read));
        }
        if want.attributes {
            steps.push(Self::Attributes(ONE_CREDIT));
        }
        steps
    }

    pub(crate) fn request(self, file: FileId) -> Request {
        match self {
            Self::Info(asked) => encode_query(file, Class::ALL, asked),
            Self::Descriptor(parts) => encode_query(file, Class::Security(parts), ONE_CREDIT),
            Self::Streams(asked) => encode_query(file, Class::STREAM, asked),
            Self::Attributes(asked) => encode_query(file, Class::FULL_EA, asked),
            Self::Reparse => ioctl::encode(file, ioctl::GET_REPARSE_POINT, &[], REPARSE),
            Self::Read(length) => transfer::encode_read(file, 0, length),
        }
    }

    /// The same question with more room, if the answer did not fit and may take more.
    pub(crate) fn larger(self, status: NtStatus, max_transact: u32) -> Option<Self> {
        if !matches!(status, NtStatus::BUFFER_OVERFLOW | NtStatus::BUFFER_TOO_SMALL | NtStatus::INFO_LENGTH_MISMATCH) {
            return None;
        }
        let larger = LARGEST.min(max_transact);
        match self {
            Self::Streams(asked) if asked < larger => Some(Self::Streams(larger)),
            Self::Attributes(asked) if asked < larger => Some(Self::Attributes(larger)),
            _ => None,
        }
    }

    pub(crate) fn decode(self, answer: &Answer) -> Result<Part, SmbError> {
        let status = answer.status;
        let given = |asked| if is_success(status) { output(&answer.body, asked, "QUERY_INFO answer").map(Ok) } else { Ok(Err(status)) };
        Ok(match self {
            // The path at its end may be cut.
            Self::Info(asked) if status == NtStatus::BUFFER_OVERFLOW => {
                Part::Info(Some(decode_all(&output(&answer.body, asked, "FileAllInformation")?)?))
            }
            Self::Info(asked) => Part::Info(given(asked)?.ok().map(|buffer| decode_all(&buffer)).transpose()?),
            Self::Descriptor(_) => Part::Descriptor(given(ONE_CREDIT)?.map(|buffer| buffer.to_vec())),
            Self::Streams(asked) => Part::Streams(list(given(asked)?, decode_streams)?),
            Self::Attributes(asked) => Part::Attributes(list(given(asked)?, decode_attributes)?),
            Self::Reparse if status == NtStatus::NOT_A_REPARSE_POINT => Part::Reparse(None),
            Self::Reparse if !is_success(status) => Part::Reparse(Some(Err(status))),
            Self::Reparse => Part::Reparse(Some(Ok(ioctl::decode(&answer.body, REPARSE)?.to_vec()))),
            Self::Read(_) if status == NtStatus::END_OF_FILE => Part::Data(Ok(Bytes::new())),
            Self::Read(_) if !is_success(status) => Part::Data(Err(status)),
            Self::Read(length) => Part::Data(Ok(transfer::decode_read(&answer.body, length)?)),
        })
    }
}

/// Streams or attributes, of which there may be none.
fn list<T>(
    given: Result<Bytes, NtStatus>,
    decode: impl FnOnce(&[u8]) -> Result<Vec<T>, SmbError>,
) -> Result<Result<Vec<T>, NtStatus>, SmbError> {
    match given {
        Ok(buffer) => decode(&buffer).map(Ok),
        Err(status) if means_none(status) => Ok(Ok(Vec::new())),
        Err(status) => Ok(Err(status)),
    }
}

/// Refusals that say: there is none here, or there can't be any.
fn means_none(status: NtStatus) -> bool {
    matches!(
        status,
        NtStatus::NO_EAS_ON_FILE
            | NtStatus::EAS_NOT_SUPPORTED
            | NtStatus::NOT_FOUND
            | NtStatus::NONEXISTENT_EA_ENTRY
            | NtStatus::NOT_SUPPORTED
            | NtStatus::NOT_IMPLEMENTED
            | NtStatus::INVALID_INFO_CLASS
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: NtStatus, body: &'static [u8]) -> Answer {
        Answer { status, body: Bytes::from_static(body) }
    }

    #[test]
    fn a_refused_part_is_none_or_says_why() {
        let none = answer(NtStatus::NO_EAS_ON_FILE, &[]);
        assert!(matches!(Step::Attributes(9).decode(&none), Ok(Part::Attributes(Ok(all))) if all.is_empty()));
        let denied = answer(NtStatus::ACCESS_DENIED, &[]);
        assert!(matches!(Step::Streams(9).decode(&denied), Ok(Part::Streams(Err(NtStatus::ACCESS_DENIED)))));
        assert!(matches!(Step::Descriptor(7).decode(&denied), Ok(Part::Descriptor(Err(NtStatus::ACCESS_DENIED)))));
        assert!(matches!(Step::Reparse.decode(&answer(NtStatus::NOT_A_REPARSE_POINT, &[])), Ok(Part::Reparse(None))));
        assert!(matches!(Step::Read(9).decode(&answer(NtStatus::END_OF_FILE, &[])), Ok(Part::Data(Ok(data))) if data.is_empty()));
        assert!(matches!(Step::Read(9).decode(&answer(NtStatus::FILE_LOCK_CONFLICT, &[])), Ok(Part::Data(Err(_)))));
        assert!(matches!(Step::Info(9).decode(&answer(NtStatus::INVALID_INFO_CLASS, &[])), Ok(Part::Info(None))));
        assert!(Step::Info(9).decode(&answer(NtStatus::SUCCESS, &[9, 0, 72, 0, 1, 0, 0, 0, 5])).is_err());
    }

    #[test]
    fn more_room_is_asked_for_once() {
        let larger = Step::Streams(ONE_CREDIT).larger(NtStatus::BUFFER_OVERFLOW, 8 << 20).unwrap();
        assert_eq!(larger, Step::Streams(LARGEST));
        assert_eq!(larger.larger(NtStatus::BUFFER_OVERFLOW, 8 << 20), None);
        assert_eq!(Step::Streams(ONE_CREDIT).larger(NtStatus::BUFFER_OVERFLOW, ONE_CREDIT), None);
        assert_eq!(Step::Streams(ONE_CREDIT).larger(NtStatus::ACCESS_DENIED, 8 << 20), None);
        assert_eq!(Step::Descriptor(7).larger(NtStatus::BUFFER_TOO_SMALL, 8 << 20), None);
    }
}

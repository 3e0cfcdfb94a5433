//! The requests that say nothing: ECHO and LOGOFF (MS-SMB2 2.2.28, 2.2.7). Owns their one layout.

/// StructureSize 4 and two bytes reserved: the body of both, and of their answers.
pub(crate) fn request() -> Vec<u8> {
    vec![4, 0, 0, 0]
}

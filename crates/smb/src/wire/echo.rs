//! The requests that say nothing: ECHO, LOGOFF, TREE_DISCONNECT (MS-SMB2 2.2.28, 2.2.7, 2.2.11). Owns their one layout.

/// StructureSize 4 and two bytes reserved: the body of all three, and of their answers.
pub(crate) fn request() -> Vec<u8> {
    vec![4, 0, 0, 0]
}

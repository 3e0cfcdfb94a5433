//! POSIX access lists in the kernel's own form (`system.posix_acl_*`, linux/posix_acl_xattr.h).

/// `(tag, permissions, id)`; tags: 1 owner, 2 user, 4 group, 8 named group, 16 mask, 32 others.
pub fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut value = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        value.extend(tag.to_le_bytes());
        value.extend(permissions.to_le_bytes());
        value.extend(id.to_le_bytes());
    }
    value
}

/// A list that lets user 4711 and group 815 in.
pub fn usual() -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    acl(&[(1, 7, NOBODY), (2, 4, 4711), (4, 4, NOBODY), (8, 6, 815), (16, 6, NOBODY), (32, 0, NOBODY)])
}

//! POSIX access lists between NFSACL's form and that of Linux' extended attributes (linux/posix_acl_xattr.h: version 2, then tag, permissions, id).

use keepwell_format::node::Attribute;
use keepwell_nfs::{AccessEntry, AccessLists};

const ACCESS: &[u8] = b"system.posix_acl_access";
const DEFAULT: &[u8] = b"system.posix_acl_default";
const VERSION: u32 = 2;
/// Id of entries that name nobody.
const NOBODY: u32 = u32::MAX;

const USER: u16 = 2;
const OWNING_GROUP: u16 = 4;
const GROUP: u16 = 8;
const MASK: u16 = 16;

/// The attributes that stand for the lists. A list that says no more than the mode makes none, as on Linux.
pub(super) fn attributes(lists: &AccessLists) -> Vec<Attribute> {
    let access = (!says_only_the_mode(&lists.access)).then(|| Attribute { name: ACCESS.to_vec(), value: value(&lists.access) });
    let default = (!lists.default.is_empty()).then(|| Attribute { name: DEFAULT.to_vec(), value: value(&lists.default) });
    access.into_iter().chain(default).collect()
}

/// The lists that attributes stand for; what is no access list is left out.
pub(super) fn lists(attributes: &[Attribute]) -> AccessLists {
    let of = |name| attributes.iter().find(|attribute| attribute.name == name).and_then(|attribute| entries(&attribute.value));
    AccessLists { access: of(ACCESS).unwrap_or_default(), default: of(DEFAULT).unwrap_or_default() }
}

/// Whether an attribute is an access list that can be read.
pub(super) fn is_list(attribute: &Attribute) -> bool {
    (attribute.name == ACCESS || attribute.name == DEFAULT) && entries(&attribute.value).is_some()
}

/// The list of owner, group and others that a mode is; servers want all three, and a mask too.
pub(super) fn of_mode(mode: u16) -> Vec<AccessEntry> {
    let entry = |tag, shift: u16| AccessEntry { tag, id: NOBODY, permissions: mode >> shift & 7 };
    vec![entry(1, 6), entry(OWNING_GROUP, 3), entry(MASK, 3), entry(32, 0)]
}

/// Servers make a mask up where a list has none: one that takes nothing away.
fn says_only_the_mode(list: &[AccessEntry]) -> bool {
    let permissions = |tag| list.iter().find(|entry| entry.tag == tag).map(|entry| entry.permissions);
    let named = list.iter().any(|entry| matches!(entry.tag, USER | GROUP));
    !named && (permissions(MASK).is_none() || permissions(MASK) == permissions(OWNING_GROUP))
}

fn value(list: &[AccessEntry]) -> Vec<u8> {
    let mut list = list.to_vec();
    list.sort_by_key(|entry| (entry.tag, if matches!(entry.tag, USER | GROUP) { entry.id } else { 0 }));
    let mut value = VERSION.to_le_bytes().to_vec();
    for entry in list {
        let id = if matches!(entry.tag, USER | GROUP) { entry.id } else { NOBODY };
        value.extend(entry.tag.to_le_bytes());
        value.extend(entry.permissions.to_le_bytes());
        value.extend(id.to_le_bytes());
    }
    value
}

fn entries(value: &[u8]) -> Option<Vec<AccessEntry>> {
    let (version, rest) = value.split_first_chunk()?;
    let (entries, rest) = rest.as_chunks::<8>();
    if u32::from_le_bytes(*version) != VERSION || !rest.is_empty() {
        return None;
    }
    let entry = |[t0, t1, p0, p1, id @ ..]: &[u8; 8]| AccessEntry {
        tag: u16::from_le_bytes([*t0, *t1]),
        id: u32::from_le_bytes(*id),
        permissions: u16::from_le_bytes([*p0, *p1]),
    };
    let entries: Vec<AccessEntry> = entries.iter().map(entry).collect();
    entries.iter().all(|entry| matches!(entry.tag, 1 | 2 | 4 | 8 | 16 | 32) && entry.permissions <= 7).then_some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(tag: u16, id: u32, permissions: u16) -> AccessEntry {
        AccessEntry { tag, id, permissions }
    }

    #[test]
    fn lists_become_attributes_and_lists_again() {
        let access =
            vec![entry(1, NOBODY, 7), entry(2, 4711, 4), entry(4, NOBODY, 4), entry(8, 815, 6), entry(16, NOBODY, 6), entry(32, NOBODY, 0)];
        let shuffled = AccessLists {
            access: access.iter().rev().map(|e| AccessEntry { id: if e.id == NOBODY { 0 } else { e.id }, ..*e }).collect(),
            default: access[..1].to_vec(),
        };
        let made = attributes(&shuffled);
        assert_eq!(made[0].value[..12], [2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255]);
        assert_eq!(lists(&made), AccessLists { access: access.clone(), default: access[..1].to_vec() });
        assert!(made.iter().all(is_list));
    }

    #[test]
    fn a_list_that_is_only_the_mode_is_none() {
        let none = |access| attributes(&AccessLists { access, default: Vec::new() }).is_empty();
        assert!(none(of_mode(0o754)));
        assert!(none(Vec::new()));
        let mut narrow = of_mode(0o754);
        narrow[2].permissions = 1;
        assert!(!none(narrow));
    }

    #[test]
    fn what_is_no_list_is_left_out() {
        for value in [
            &b""[..],
            &[2, 0, 0],
            &[3, 0, 0, 0],
            &[2, 0, 0, 0, 1],
            &[2, 0, 0, 0, 3, 0, 7, 0, 0, 0, 0, 0],
            &[2, 0, 0, 0, 1, 0, 8, 0, 0, 0, 0, 0],
        ] {
            assert!(!is_list(&Attribute { name: ACCESS.to_vec(), value: value.to_vec() }), "{value:?}");
        }
        assert!(!is_list(&Attribute { name: b"user.x".to_vec(), value: vec![2, 0, 0, 0] }));
    }
}

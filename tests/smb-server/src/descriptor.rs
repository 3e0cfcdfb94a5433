//! Owns self-relative security descriptors (MS-DTYP 2.4.6) as runs of bytes: which parts are shown or replaced. Never interprets an entry.

use crate::wire::{Fields, Out, Short, slice};

pub(crate) const OWNER: u32 = 1;
pub(crate) const GROUP: u32 = 2;
pub(crate) const DACL: u32 = 4;
pub(crate) const SACL: u32 = 8;

const SACL_CONTROL: u16 = 0x0010 | 0x0020 | 0x0200 | 0x0800 | 0x2000;
const DACL_CONTROL: u16 = 0x0004 | 0x0008 | 0x0100 | 0x0400 | 0x1000;

#[derive(Debug, Default)]
struct Parts<'a> {
    control: u16,
    owner: &'a [u8],
    group: &'a [u8],
    sacl: &'a [u8],
    dacl: &'a [u8],
}

/// The descriptor with only the parts that are wanted: the very bytes when nothing has to go.
pub(crate) fn select(bytes: &[u8], wanted: u32) -> Result<Vec<u8>, Short> {
    let mut parts = parse(bytes)?;
    let hidden = !wanted;
    let has = |part: &[u8], bit| !part.is_empty() && hidden & bit != 0;
    if !(has(parts.owner, OWNER) || has(parts.group, GROUP) || has(parts.sacl, SACL) || has(parts.dacl, DACL)) {
        return Ok(bytes.to_vec());
    }
    parts.keep(wanted);
    Ok(parts.build())
}

/// The old descriptor with the named parts of the new one: the new one's very bytes when nothing of the old one stays.
pub(crate) fn replace(old: &[u8], new: &[u8], named: u32) -> Result<Vec<u8>, Short> {
    let (mut old, mut fresh) = (parse(old)?, parse(new)?);
    old.keep(!named);
    if [old.owner, old.group, old.sacl, old.dacl].iter().all(|part| part.is_empty()) {
        return Ok(new.to_vec());
    }
    fresh.keep(named);
    let merged = Parts {
        control: old.control | fresh.control,
        owner: if named & OWNER != 0 { fresh.owner } else { old.owner },
        group: if named & GROUP != 0 { fresh.group } else { old.group },
        sacl: if named & SACL != 0 { fresh.sacl } else { old.sacl },
        dacl: if named & DACL != 0 { fresh.dacl } else { old.dacl },
    };
    Ok(merged.build())
}

/// A descriptor as most files have: an owner, a group, full access for everyone.
pub(crate) fn ordinary() -> Vec<u8> {
    let user = [1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0xF4, 1, 0, 0];
    let users = [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x21, 2, 0, 0];
    let everyone = [2, 0, 28, 0, 1, 0, 0, 0, 0, 0, 20, 0, 0xFF, 1, 31, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    Parts { control: 0x8004, owner: &user, group: &users, sacl: &[], dacl: &everyone }.build()
}

impl Parts<'_> {
    fn keep(&mut self, named: u32) {
        if named & OWNER == 0 {
            self.owner = &[];
        }
        if named & GROUP == 0 {
            self.group = &[];
        }
        if named & SACL == 0 {
            self.sacl = &[];
            self.control &= !SACL_CONTROL;
        }
        if named & DACL == 0 {
            self.dacl = &[];
            self.control &= !DACL_CONTROL;
        }
    }

    fn build(&self) -> Vec<u8> {
        let mut out = Out::new();
        out.u8(1).u8(0).u16(self.control | 0x8000).zeros(16);
        for (field, part) in [(4, self.owner), (8, self.group), (12, self.sacl), (16, self.dacl)] {
            if !part.is_empty() {
                let at = crate::wire::len32(out.len());
                out.put_u32(field, at);
                out.bytes(part);
            }
        }
        out.0
    }
}

fn parse(bytes: &[u8]) -> Result<Parts<'_>, Short> {
    let mut fields = Fields::new(bytes, 2);
    let control = fields.u16()?;
    let [owner, group, sacl, dacl] = [fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?];
    Ok(Parts { control, owner: sid(bytes, owner)?, group: sid(bytes, group)?, sacl: acl(bytes, sacl)?, dacl: acl(bytes, dacl)? })
}

fn sid(bytes: &[u8], at: u32) -> Result<&[u8], Short> {
    if at == 0 {
        return Ok(&[]);
    }
    let count = Fields::new(bytes, at as usize).skip(1)?.u8()?;
    slice(bytes, at as usize, 8 + 4 * usize::from(count))
}

fn acl(bytes: &[u8], at: u32) -> Result<&[u8], Short> {
    if at == 0 {
        return Ok(&[]);
    }
    let length = Fields::new(bytes, at as usize).skip(2)?.u16()?;
    slice(bytes, at as usize, usize::from(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_shown_and_replaced_alone() {
        let whole = ordinary();
        assert_eq!(select(&whole, OWNER | GROUP | DACL).unwrap(), whole);
        let owner = select(&whole, OWNER).unwrap();
        assert!(owner.len() < whole.len() && select(&owner, DACL).unwrap().len() == 20);
        assert_eq!(replace(&whole, &owner, OWNER).unwrap(), whole, "the same owner again");
        assert_eq!(replace(&whole, &owner, OWNER | GROUP | DACL).unwrap(), owner);
    }
}

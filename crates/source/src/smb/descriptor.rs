//! Security descriptors as bytes (MS-DTYP 2.4.6): which parts one has, and whether two say the same. Never builds one; all offsets and
//! lengths in them are distrusted.

use keepwell_smb::part;

/// Control bits (MS-DTYP 2.4.6).
const DACL_PRESENT: u16 = 0x0004;
const SACL_PRESENT: u16 = 0x0010;
const DACL_AUTO_INHERIT_REQ: u16 = 0x0100;
const SACL_AUTO_INHERIT_REQ: u16 = 0x0200;
const DACL_AUTO_INHERITED: u16 = 0x0400;
const SACL_AUTO_INHERITED: u16 = 0x0800;
const DACL_PROTECTED: u16 = 0x1000;
const SACL_PROTECTED: u16 = 0x2000;

/// Revision, control, and four offsets.
const HEADER: usize = 20;

/// The parts of a self-relative descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Descriptor<'b> {
    control: u16,
    pub(super) owner: Option<&'b [u8]>,
    group: Option<&'b [u8]>,
    /// None: there is a DACL and it is empty-handed ("null"): everybody may do anything.
    dacl: Option<&'b [u8]>,
    sacl: Option<&'b [u8]>,
}

impl<'b> Descriptor<'b> {
    /// None if it is none.
    pub(super) fn parse(bytes: &'b [u8]) -> Option<Self> {
        let header = bytes.get(..HEADER)?;
        if header[0] != 1 {
            return None;
        }
        let control = u16::from_le_bytes([header[2], header[3]]);
        let offset = |at: usize| header.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let part = |at: usize, length: fn(&[u8]) -> Option<usize>| match offset(at)? as usize {
            0 => Some(None),
            start if start < HEADER => None,
            start => bytes.get(start..).and_then(|rest| rest.get(..length(rest)?)).map(Some),
        };
        let (owner, group) = (part(4, sid_length)?, part(8, sid_length)?);
        let sacl = if control & SACL_PRESENT != 0 { part(12, acl_length)? } else { None };
        let dacl = if control & DACL_PRESENT != 0 { part(16, acl_length)? } else { None };
        Some(Self { control, owner, group, dacl, sacl })
    }

    /// What of it can be set: [`keepwell_smb::part`].
    pub(super) fn parts(&self) -> u32 {
        let has = |has: bool, part: u32| if has { part } else { 0 };
        has(self.owner.is_some(), part::OWNER)
            | has(self.group.is_some(), part::GROUP)
            | has(self.control & DACL_PRESENT != 0, part::DACL)
            | has(self.sacl.is_some(), part::SACL)
    }

    /// Parts of this one that the other does not say as well. An audit list that the other one was read without is not compared.
    pub(super) fn differs(&self, other: &Self) -> u32 {
        let dacl_bits = DACL_PRESENT | DACL_PROTECTED | DACL_AUTO_INHERITED;
        let sacl_bits = SACL_PROTECTED | SACL_AUTO_INHERITED;
        let has = |differs: bool, part: u32| if differs { part } else { 0 };
        let dacl = (self.dacl, self.control & dacl_bits) != (other.dacl, other.control & dacl_bits);
        let sacl = other.sacl.is_some() && (self.sacl, self.control & sacl_bits) != (other.sacl, other.control & sacl_bits);
        self.parts()
            & (has(self.owner != other.owner, part::OWNER)
                | has(self.group != other.group, part::GROUP)
                | has(dacl, part::DACL)
                | has(sacl, part::SACL))
    }
}

/// The same descriptor, asking that its lists count as inherited where they did: else a server takes these bits away (MS-DTYP 2.5.3.4).
pub(super) fn to_be_set(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some([low, high]) = bytes.get(2..4) {
        let mut control = u16::from_le_bytes([*low, *high]);
        for (inherited, asked) in [(DACL_AUTO_INHERITED, DACL_AUTO_INHERIT_REQ), (SACL_AUTO_INHERITED, SACL_AUTO_INHERIT_REQ)] {
            if control & inherited != 0 {
                control |= asked;
            }
        }
        bytes[2..4].copy_from_slice(&control.to_le_bytes());
    }
    bytes
}

/// MS-DTYP 2.4.2.2.
fn sid_length(bytes: &[u8]) -> Option<usize> {
    bytes.get(1).map(|count| 8 + 4 * usize::from(*count))
}

/// MS-DTYP 2.4.5.
fn acl_length(bytes: &[u8]) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes([*bytes.get(2)?, *bytes.get(3)?]))).filter(|length| *length >= 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SID: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];

    /// Owner, group and a DACL with one entry that grants `mask`, in the given order of places.
    fn descriptor(control: u16, mask: u8, group_first: bool) -> Vec<u8> {
        let mut acl = vec![2, 0, 28, 0, 1, 0, 0, 0, 0, 0, 20, 0, mask, 0, 0, 0];
        acl.extend_from_slice(&SID);
        let (owner, group) = if group_first { (32_u32, 20_u32) } else { (20, 32) };
        let mut bytes = vec![1, 0];
        bytes.extend_from_slice(&(control | DACL_PRESENT | 0x8000).to_le_bytes());
        for offset in [owner, group, 0, 44] {
            bytes.extend_from_slice(&offset.to_le_bytes());
        }
        [bytes.as_slice(), &SID, &SID, &acl].concat()
    }

    #[test]
    fn the_same_in_another_order_is_the_same() {
        let (a, b) = (descriptor(0, 1, false), descriptor(0, 1, true));
        assert_ne!(a, b);
        let (a, b) = (Descriptor::parse(&a).unwrap(), Descriptor::parse(&b).unwrap());
        assert_eq!(a.parts(), part::OWNER | part::GROUP | part::DACL);
        assert_eq!(a.differs(&b), 0);
        let other = descriptor(0, 2, false);
        assert_eq!(a.differs(&Descriptor::parse(&other).unwrap()), part::DACL);
        let protected = descriptor(DACL_PROTECTED, 1, false);
        assert_eq!(a.differs(&Descriptor::parse(&protected).unwrap()), part::DACL);
    }

    #[test]
    fn inherited_lists_are_asked_to_stay_inherited() {
        let set = to_be_set(&descriptor(DACL_AUTO_INHERITED, 1, false));
        assert_eq!(u16::from_le_bytes([set[2], set[3]]), 0x8000 | DACL_PRESENT | DACL_AUTO_INHERITED | DACL_AUTO_INHERIT_REQ);
        assert_eq!(to_be_set(&descriptor(0, 1, false)), descriptor(0, 1, false));
        assert_eq!(to_be_set(&[1]), [1]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80), cut in 0..72_usize) {
            let _ = Descriptor::parse(&bytes).map(|descriptor| descriptor.parts());
            let good = descriptor(0, 1, false);
            prop_assert!(cut == good.len() || Descriptor::parse(&good[..cut.min(good.len() - 1)]).is_none());
        }
    }
}

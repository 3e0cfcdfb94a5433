//! The disk label (`docs/format.md` 3): which vault a disk belongs to, and with which others.
//!
//! Bytes to a structure and back; strict, never does I/O.

use crate::layout::Layout;

/// The label's file.
pub const LABEL_FILE: &str = "keepwell-disk";
/// Longer than any label.
pub(crate) const LABEL_MAX: u64 = 8 << 10;

const MAGIC: &[u8; 8] = b"KWDISK\0\0";
const VERSION: u16 = 1;
const MAX_PLACES: usize = 255;
const PLACE: usize = 17;
const FIXED: usize = 8 + 2 + 16 + 16 + 1 + 1 + 8;

/// What a disk is meant to be to its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Role {
    /// Takes shards.
    Active = 0,
    /// Is read, takes no new shards; what it holds does not count for full redundancy. It leaves when nothing on it is needed.
    Draining = 1,
    /// Has left: no member any more. Its place is kept until another disk takes it.
    Retired = 2,
}

/// A place of the pool, and the disk that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The disk.
    pub disk: [u8; 16],
    /// What it is meant to be.
    pub role: Role,
}

impl Member {
    /// A disk that takes shards.
    pub fn active(disk: [u8; 16]) -> Self {
        Self { disk, role: Role::Active }
    }
}

/// A disk's label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The vault.
    pub vault: [u8; 16],
    /// This disk.
    pub disk: [u8; 16],
    /// The pool's layout.
    pub layout: Layout,
    /// Rises with each change of the members, their roles or the layout.
    pub generation: u64,
    /// The pool's places in slot order, without repetition; this disk is among those that are not retired.
    pub members: Vec<Member>,
}

/// Why bytes are no label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Not a label at all.
    #[error("not a label of a vault's disk")]
    Magic,
    /// Written by a later release; `intact` when its last 32 bytes are the hash of the others.
    #[error("label of format version {found}")]
    Newer {
        /// Version found.
        found: u16,
        /// Whether the checksum fits.
        intact: bool,
    },
    /// Cut short, bytes left over, or the checksum is wrong.
    #[error("the label is damaged")]
    Damaged,
    /// The checksum fits, but a field is out of its bounds.
    #[error("the label is invalid: {0}")]
    Invalid(&'static str),
}

impl Label {
    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED + 2 + PLACE * self.members.len() + 32);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.vault);
        out.extend_from_slice(&self.disk);
        out.extend_from_slice(&[self.layout.k, self.layout.m]);
        out.extend_from_slice(&self.generation.to_le_bytes());
        put_count(&mut out, self.members.len());
        for member in &self.members {
            out.extend_from_slice(&member.disk);
            out.push(member.role as u8);
        }
        let hash = blake3::hash(&out);
        out.extend_from_slice(hash.as_bytes());
        out
    }

    /// Parses the bytes of the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, LabelError> {
        let (body, hash) = bytes.split_last_chunk::<32>().ok_or(LabelError::Damaged)?;
        let intact = blake3::hash(body) == *hash;
        let mut rest = body.strip_prefix(MAGIC).ok_or(LabelError::Magic)?;
        let found = u16::from_le_bytes(take(&mut rest)?);
        if found != VERSION {
            return Err(if found == 0 { LabelError::Damaged } else { LabelError::Newer { found, intact } });
        }
        if !intact {
            return Err(LabelError::Damaged);
        }
        let (vault, disk) = (take(&mut rest)?, take(&mut rest)?);
        let [k, m] = take(&mut rest)?;
        let layout = Layout::new(k, m).ok_or(LabelError::Invalid("layout out of bounds"))?;
        let generation = u64::from_le_bytes(take(&mut rest)?);
        let count = take_count(&mut rest)?;
        let (places, []) = rest.as_chunks::<PLACE>() else { return Err(LabelError::Damaged) };
        if places.len() != count {
            return Err(LabelError::Damaged);
        }
        let members = places.iter().map(parse_place).collect::<Result<_, _>>()?;
        let label = Self { vault, disk, layout, generation, members };
        label.check()?;
        Ok(label)
    }

    fn check(&self) -> Result<(), LabelError> {
        let mut ids: Vec<[u8; 16]> = self.members.iter().map(|member| member.disk).collect();
        ids.sort_unstable();
        ids.dedup();
        let own = self.members.iter().any(|member| member.disk == self.disk && member.role != Role::Retired);
        let active = self.members.iter().filter(|member| member.role == Role::Active).count();
        match () {
            () if self.generation == 0 => Err(LabelError::Invalid("generation 0")),
            () if ids.len() != self.members.len() => Err(LabelError::Invalid("a member is listed twice")),
            () if !own => Err(LabelError::Invalid("the disk is no member of its own pool")),
            () if active < usize::from(self.layout.width()) => Err(LabelError::Invalid("fewer members than the layout needs")),
            () => Ok(()),
        }
    }
}

fn parse_place(bytes: &[u8; PLACE]) -> Result<Member, LabelError> {
    let Some((disk, [role])) = bytes.split_first_chunk::<16>() else { return Err(LabelError::Damaged) };
    let role = [Role::Active, Role::Draining, Role::Retired].into_iter().find(|known| *known as u8 == *role);
    Ok(Member { disk: *disk, role: role.ok_or(LabelError::Invalid("role of a member"))? })
}

/// Places are at most 255, so a count has at most two groups.
fn put_count(out: &mut Vec<u8>, count: usize) {
    let low = (count & 0x7f) as u8;
    match count >> 7 {
        0 => out.push(low),
        high => out.extend_from_slice(&[low | 0x80, high as u8]),
    }
}

fn take_count(rest: &mut &[u8]) -> Result<usize, LabelError> {
    let [low] = take(rest)?;
    if low < 0x80 {
        return Ok(low.into());
    }
    let [high] = take(rest)?;
    let count = usize::from(low & 0x7f) | usize::from(high) << 7;
    let minimal = (1..0x80).contains(&high);
    if minimal && count <= MAX_PLACES { Ok(count) } else { Err(LabelError::Invalid("member count")) }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], LabelError> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(LabelError::Damaged)?;
    *rest = tail;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(members: usize) -> Label {
        let members: Vec<Member> = (0..members).map(|i| Member::active([i as u8; 16])).collect();
        Label { vault: [9; 16], disk: members[1].disk, layout: Layout::new(2, 1).unwrap(), generation: 1, members }
    }

    #[test]
    fn round_trips() {
        for members in [3, 127, 128, 239, 255] {
            let mut label = label(members);
            assert_eq!(Label::parse(&label.encode()), Ok(label.clone()));
            label.members.extend([Role::Draining, Role::Retired].map(|role| Member { disk: [0xf0 + role as u8; 16], role }));
            let expected = if members < 240 { Ok(label.clone()) } else { Err(LabelError::Invalid("member count")) };
            assert_eq!(Label::parse(&label.encode()), expected);
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let good = label(3).encode();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Label::parse(&bad).is_err(), "bit {bit}");
        }
        for len in 0..good.len() {
            assert!(Label::parse(&good[..len]).is_err(), "length {len}");
        }
        assert!(Label::parse(&[good, vec![0]].concat()).is_err());
    }

    #[test]
    fn fields_out_of_bounds_are_refused_with_a_good_checksum() {
        let invalid = |change: fn(&mut Label)| {
            let mut label = label(3);
            change(&mut label);
            assert!(matches!(Label::parse(&label.encode()), Err(LabelError::Invalid(_))));
        };
        invalid(|l| l.generation = 0);
        invalid(|l| l.layout.k = 0);
        invalid(|l| l.layout.k = 3);
        invalid(|l| l.disk = [77; 16]);
        invalid(|l| l.members[2] = l.members[0]);
        invalid(|l| l.members[0].role = Role::Draining);
        invalid(|l| (l.members[1].role, l.layout.k) = (Role::Retired, 1));
        let mut bytes = label(3).encode();
        let (role, body) = (bytes.len() - 33, bytes.len() - 32);
        bytes[role] = 3;
        let hash = blake3::hash(&bytes[..body]);
        bytes[body..].copy_from_slice(hash.as_bytes());
        assert_eq!(Label::parse(&bytes), Err(LabelError::Invalid("role of a member")));
    }

    #[test]
    fn a_newer_label_is_told_from_a_damaged_one() {
        let mut bytes = label(3).encode();
        bytes[8] = 2;
        assert_eq!(Label::parse(&bytes), Err(LabelError::Newer { found: 2, intact: false }));
        let body = bytes.len() - 32;
        let hash = blake3::hash(&bytes[..body]);
        bytes[body..].copy_from_slice(hash.as_bytes());
        assert_eq!(Label::parse(&bytes), Err(LabelError::Newer { found: 2, intact: true }));
    }
}

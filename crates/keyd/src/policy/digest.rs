//! The digests of policies as a TPM computes them (TPM 2.0 Library, part 3, 23.7 PolicyPCR and 23.16 PolicyAuthorize; part 1, 19.7).
//!
//! Pure. All are SHA-256, over the SHA-256 bank of PCRs.

use crate::hex::Digest;

const CC_POLICY_AUTHORIZE: [u8; 4] = 0x0000_016a_u32.to_be_bytes();
const CC_POLICY_PCR: [u8; 4] = 0x0000_017f_u32.to_be_bytes();

/// PolicyPCR over PCR 11 alone, from an empty policy: what the authority signs.
pub fn pcr_policy(pcr11: &Digest) -> Digest {
    and_pcrs(&Digest::ZERO, &[11], &[*pcr11])
}

/// PolicyAuthorize by the key with this name: forgets the approved policy and remembers who approved it, and for what.
pub fn authorized(authority_name: &[u8], policy_ref: &Digest) -> Digest {
    let policy = Digest::of(&[&Digest::ZERO.0, &CC_POLICY_AUTHORIZE, authority_name]);
    Digest::of(&[&policy.0, &policy_ref.0])
}

/// The policy of what keyd seals: authorized, then PCR 7 as given, then PCR 12 and 13 zero.
pub fn authorized_then_pcrs(authority_name: &[u8], policy_ref: &Digest, pcr7: &Digest) -> Digest {
    and_pcrs(&authorized(authority_name, policy_ref), &[7, 12, 13], &[*pcr7, Digest::ZERO, Digest::ZERO])
}

/// `pcrs` ascend and are below 24; `values` are theirs.
fn and_pcrs(policy: &Digest, pcrs: &[u8], values: &[Digest]) -> Digest {
    // TPML_PCR_SELECTION with one TPMS_PCR_SELECTION: SHA-256 (0x000b), three bytes of bits.
    let mut selection = [0, 0, 0, 1, 0, 0x0b, 3, 0, 0, 0];
    for pcr in pcrs {
        selection[7 + usize::from(pcr / 8)] |= 1 << (pcr % 8);
    }
    let values: Vec<&[u8]> = values.iter().map(|value| &value.0[..]).collect();
    Digest::of(&[&policy.0, &CC_POLICY_PCR, &selection, &Digest::of(&values).0])
}

//! Random bytes for keys, from two sources that would both have to fail: the system's and the TPM's.

use keepwell_crypt::{Secret, kdf};
use zeroize::Zeroizing;

/// No key can be made.
#[derive(Debug, thiserror::Error)]
pub enum NoEntropy {
    /// The system gave none.
    #[error("the system gives no random numbers, so no key can be made; nothing was changed")]
    None(#[source] getrandom::Error),
    /// It gave the same twice.
    #[error("the system gives the same random numbers twice, so no key can be made: have the box looked at; nothing was changed")]
    Stuck,
}

/// One task's random bytes.
#[expect(missing_debug_implementations, reason = "what it gives is secret")]
pub struct Entropy {
    seed: Secret,
    blocks: u64,
}

impl Entropy {
    /// From the system, and from the TPM if there is one.
    pub fn gather(tpm: Option<&[u8; 32]>) -> Result<Self, NoEntropy> {
        Self::gather_from(&mut |out| getrandom::fill(out).map_err(NoEntropy::None), tpm)
    }

    /// As [`Self::gather`], with another source in the system's place. What age draws by itself for a kit's slot comes from the system alone, so a
    /// system that repeats itself is refused, whatever the TPM gives.
    pub fn gather_from(system: &mut dyn FnMut(&mut [u8]) -> Result<(), NoEntropy>, tpm: Option<&[u8; 32]>) -> Result<Self, NoEntropy> {
        let mut draws = Zeroizing::new([[0; 32]; 2]);
        system(&mut draws[0])?;
        system(&mut draws[1])?;
        if draws[0] == draws[1] {
            return Err(NoEntropy::Stuck);
        }
        Ok(Self::mix(&draws[1], tpm))
    }

    /// From what the sources gave.
    pub fn mix(system: &[u8; 32], tpm: Option<&[u8; 32]>) -> Self {
        let mut both = Zeroizing::new([0; 64]);
        both[..32].copy_from_slice(system);
        both[32..].copy_from_slice(tpm.unwrap_or(&[0; 32]));
        Self { seed: kdf("keepwell v1 entropy", &both[..]), blocks: 0 }
    }

    /// Fills a buffer. No two calls give the same bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let mut input = Zeroizing::new([0; 40]);
            input[..32].copy_from_slice(self.seed.expose());
            input[32..].copy_from_slice(&self.blocks.to_le_bytes());
            self.blocks += 1;
            chunk.copy_from_slice(&kdf("keepwell v1 entropy block", &input[..]).expose()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_that_repeats_itself_is_refused() {
        let refused = Entropy::gather_from(
            &mut |out| {
                out.fill(7);
                Ok(())
            },
            Some(&[1; 32]),
        );
        assert!(matches!(refused, Err(NoEntropy::Stuck)));
        let mut next = 0;
        assert!(
            Entropy::gather_from(
                &mut |out| {
                    next += 1;
                    out.fill(next);
                    Ok(())
                },
                None
            )
            .is_ok()
        );
    }

    /// Attack 10, keyd's part: one stuck source is not enough to repeat a key, and nothing repeats within a task.
    #[test]
    fn a_stuck_source_repeats_no_key() {
        let stuck = [7; 32];
        let draws = [(stuck, Some([1; 32])), (stuck, Some([2; 32])), (stuck, None), ([8; 32], Some([1; 32]))].map(|(system, tpm)| {
            let mut entropy = Entropy::mix(&system, tpm.as_ref());
            let mut out = [0; 96];
            entropy.fill(&mut out[..64]);
            entropy.fill(&mut out[64..]);
            out
        });
        let mut blocks: Vec<&[u8]> = draws.iter().flat_map(|draw| draw.chunks(32)).collect();
        blocks.sort();
        blocks.dedup();
        assert_eq!(blocks.len(), 12);
    }
}

//! Random bytes of the operating system, for ids and keys. Keeps none.

use crate::exit::CliError;

/// A source of random bytes that has been seen to work.
pub(crate) struct Random(());

impl Random {
    /// Tries the operating system's generator once, so that nothing begins without it.
    pub(crate) fn new() -> Result<Self, CliError> {
        getrandom::fill(&mut [0; 16]).map_err(CliError::Random)?;
        Ok(Self(()))
    }

    /// Fills `bytes`.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the kernel's generator, once it has given bytes, does not fail");
    }

    /// A fresh id.
    pub(crate) fn id(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        self.fill(&mut id);
        id
    }
}

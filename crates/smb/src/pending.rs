//! Answers that are under way. Owns what happens when nobody waits for one; never blocks before it is asked to.

use std::fmt;

use crate::SmbError;
use crate::connection::{Answer, Exchange};

/// Makes of the answers what was asked for. The number is the generation of the connection that they came over.
type Finish<T> = Box<dyn FnOnce(u64, Vec<Answer>) -> Result<T, SmbError> + Send + Sync>;

/// An answer that is under way.
pub struct Pending<T> {
    under_way: Option<(Exchange, Finish<T>)>,
    /// A file that was opened and is nobody's would stay open.
    must_finish: bool,
}

impl<T> Pending<T> {
    pub(crate) fn new(exchange: Exchange, finish: impl FnOnce(u64, Vec<Answer>) -> Result<T, SmbError> + Send + Sync + 'static) -> Self {
        Self { under_way: Some((exchange, Box::new(finish))), must_finish: false }
    }

    /// What comes is waited for even if nobody asks for it, so that it can be dropped.
    pub(crate) fn must_finish(mut self) -> Self {
        self.must_finish = true;
        self
    }

    /// Blocks until the answer is there or its deadline has passed. May ask again for parts that were refused or too large.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn wait(mut self) -> Result<T, SmbError> {
        let (exchange, finish) = self.under_way.take().expect("taken only here and when dropped");
        let generation = exchange.generation();
        finish(generation, exchange.wait()?)
    }

    /// Whether the first answer is there. [`Pending::wait`] still blocks if it has to ask again.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.under_way.as_ref().is_some_and(|(exchange, _)| exchange.is_ready())
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if !self.must_finish {
            return;
        }
        if let Some((exchange, finish)) = self.under_way.take() {
            let generation = exchange.generation();
            // Nobody is there to hear of an error.
            let _ = exchange.wait().and_then(|answers| finish(generation, answers));
        }
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("is_ready", &self.is_ready()).finish_non_exhaustive()
    }
}

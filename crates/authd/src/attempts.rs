//! How many wrong codes are taken within an hour, whoever tries: for codes that belong to the box and to nobody in particular. In memory, on the clock that never goes back.

/// Wrong codes within [`WINDOW_S`].
pub const WRONG_MAX: usize = 10;
/// So long a wrong one counts, seconds.
pub const WINDOW_S: u64 = 3600;

/// What came of a code that was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It is the one.
    Right,
    /// It is not, or there is none now.
    Wrong,
    /// It was not looked at: there were too many wrong ones. Again in so many seconds.
    Wait(u64),
}

/// When there were wrong ones.
#[derive(Debug, Default)]
pub struct Attempts(Vec<u64>);

impl Attempts {
    /// Looks at a code, unless there were too many wrong ones. A wrong one counts.
    pub fn take(&mut self, steady: u64, fits: impl FnOnce() -> bool) -> Tried {
        self.0.retain(|at| steady < at + WINDOW_S);
        if let Some(first) = self.0.first().filter(|_| self.0.len() >= WRONG_MAX) {
            return Tried::Wait(first + WINDOW_S - steady);
        }
        if fits() {
            return Tried::Right;
        }
        self.0.push(steady);
        Tried::Wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_ten_wrong_ones_none_is_looked_at_until_the_first_is_an_hour_old() {
        let mut attempts = Attempts::default();
        assert!((0..10).all(|n| attempts.take(n * 60, || false) == Tried::Wrong));
        assert_eq!(attempts.take(600, || unreachable!("it is not looked at")), Tried::Wait(3000));
        assert_eq!(attempts.take(3600, || true), Tried::Right);
        assert_eq!(attempts.take(3600, || false), Tried::Wrong);
        assert_eq!(attempts.take(3600, || true), Tried::Wait(60));
    }
}

//! How much of a length of time is left, whatever clocks say and however often the program starts. Reads no clock: the moment is given.

use serde::{Deserialize, Serialize};

/// A moment, as the box can tell it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment<'a> {
    /// The start of the machine.
    pub(crate) boot: &'a str,
    /// Seconds since then, sleep included.
    pub(crate) steady_s: i64,
    /// Unix seconds that the box believes.
    pub(crate) believed: i64,
}

/// Time that runs out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hourglass {
    lasts_s: i64,
    /// Passed by the last look, which was at the moment that follows.
    passed_s: i64,
    boot: String,
    steady_s: i64,
    believed: i64,
}

impl Hourglass {
    /// Turned now.
    pub(crate) fn turn(lasts_s: i64, now: Moment<'_>) -> Self {
        Self { lasts_s, passed_s: 0, boot: now.boot.to_owned(), steady_s: now.steady_s, believed: now.believed }
    }

    /// Seconds that are left; none below zero. By the running clock; over a restart of the machine, where that begins anew, by the one that the box believes.
    pub(crate) fn left_s(&self, now: Moment<'_>) -> i64 {
        let since =
            if now.boot == self.boot { now.steady_s.saturating_sub(self.steady_s) } else { now.believed.saturating_sub(self.believed) };
        self.lasts_s.saturating_sub(self.passed_s.saturating_add(since.max(0))).max(0)
    }

    /// The same seen from now. Kept once a minute, a clock that is set back gains nobody more than that.
    pub(crate) fn looked_at(&self, now: Moment<'_>) -> Self {
        Self { passed_s: self.lasts_s - self.left_s(now), ..Self::turn(self.lasts_s, now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(boot: &str, steady_s: i64, believed: i64) -> Moment<'_> {
        Moment { boot, steady_s, believed }
    }

    #[test]
    fn it_runs_out_whatever_the_clocks_are_set_to() {
        let glass = Hourglass::turn(3_600, at("a", 100, 1_000_000));
        assert_eq!(glass.left_s(at("a", 100, 1_000_000)), 3_600);
        // The clock on the wall says nothing while the machine runs.
        assert_eq!(glass.left_s(at("a", 700, 0)), 3_000);
        assert_eq!(glass.left_s(at("a", 700, 9_000_000)), 3_000);
        assert_eq!(glass.left_s(at("a", 3_700, 1_000_000)), 0);
        // After a restart it is all there is; back gains what was not kept, and no more.
        let kept = glass.looked_at(at("a", 3_100, 1_003_000));
        assert_eq!(kept.left_s(at("b", 5, 1_003_100)), 500);
        assert_eq!(kept.left_s(at("b", 5, 0)), 600);
        let later = kept.looked_at(at("b", 5, 0));
        assert_eq!((later.left_s(at("b", 605, 0)), later.left_s(at("c", 0, i64::MAX))), (0, 0));
    }
}

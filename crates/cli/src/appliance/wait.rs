//! Looks on until something at the box is over, and shows how far it is. Ends with the box's answer, or when the box does not answer.

use std::io::{self, IsTerminal, Write};
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use crate::exit::CliError;
use crate::progress::CLEAR;
use crate::text;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(500);

/// How far something is.
pub(crate) struct Moment {
    /// What it does: `backup` or `restore`.
    pub(crate) step: &'static str,
    /// Entries or files so far.
    pub(crate) items: u64,
    /// Bytes so far.
    pub(crate) bytes: u64,
}

/// Asks again and again until it is over. `look` gives what is known and, while it goes on, how far it is.
pub(crate) fn until_over<T>(json: bool, mut look: impl FnMut() -> Result<(T, Option<Moment>), CliError>) -> Result<T, CliError> {
    let shown = !json && io::stderr().is_terminal();
    loop {
        let (known, moment) = look()?;
        let Some(moment) = moment else {
            if shown {
                tell(CLEAR);
            }
            return Ok(known);
        };
        if json {
            let line = json!({ "event": "progress", "step": moment.step, "items": moment.items, "bytes": moment.bytes });
            tell(&format!("{line}\n"));
        } else if shown {
            tell(&format!("{CLEAR}{}: {}, {}", moment.step, moment.items, text::size(moment.bytes)));
        }
        sleep(EVERY);
    }
}

fn tell(text: &str) {
    // Progress that can't be shown harms nothing.
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_with_what_was_known_when_it_was_over() {
        let mut looks = 0;
        let known = until_over(false, || {
            looks += 1;
            Ok((looks, (looks < 2).then_some(Moment { step: "backup", items: 0, bytes: 0 })))
        });
        assert_eq!(known.unwrap(), 2);
        assert!(until_over::<()>(false, || Err(CliError::Refused("gone".into()))).is_err());
    }
}

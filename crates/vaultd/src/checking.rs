//! What the account of a share may do at its server: asked through ingestd whenever a share is taken or gets another address or password. An account that can write is
//! taken only with a reason; nothing is ever tried out there, and no password is kept.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use keepwell_api::grants::Grant;
use keepwell_api::vault::{CheckShare, May, REASON_MAX, REASON_MIN, Rights, ServerFacts, ShareChecked};
use keepwell_audit::Value;
use keepwell_ingest::{Call, CheckOrder, Checked, IngestError};
use zeroize::Zeroizing;

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::verbs;

/// A server that has not answered all questions by then counts as one that can't be reached.
const PATIENCE: Duration = Duration::from_secs(45);

/// `POST /v1/shares/check`.
pub(crate) fn check(appliance: &Arc<Appliance>, _grant: &Grant, order: CheckShare) -> Result<ShareChecked, VaultdError> {
    verbs::check_location(&order.location)?;
    let password = order.password.map(|password| text(password.as_ref())).transpose()?;
    ask(appliance, order.location, password)
}

/// Lets an account be used that can only read, or that there is a reason for. Answers that reason, where it takes one.
pub(crate) fn admit(
    appliance: &Appliance,
    location: &str,
    password: Option<&[u8]>,
    why: Option<&str>,
) -> Result<Option<String>, VaultdError> {
    let why = why.map(reason).transpose()?;
    let checked = ask(appliance, location.to_owned(), password.map(text).transpose()?)?;
    match (checked.rights, why) {
        (Rights::ReadOnly, _) => Ok(None),
        (_, Some(why)) => Ok(Some(why)),
        (Rights::Unknown, None) => Err(VaultdError::RightsUnknown),
        (Rights::CanWrite, None) => Err(VaultdError::CanWrite { may: list(&checked.may) }),
    }
}

/// What the ledger gets of a reason.
pub(crate) fn told(why: Option<&str>) -> Vec<(String, Value)> {
    why.map(|why| ("may-write".to_owned(), Value::Text(why.to_owned()))).into_iter().collect()
}

fn reason(why: &str) -> Result<String, VaultdError> {
    let why = why.trim();
    let good = (REASON_MIN..=REASON_MAX).contains(&why.chars().count()) && !why.chars().any(char::is_control);
    let short = || {
        VaultdError::Invalid(format!(
            "the reason why an account that can write is used takes {REASON_MIN} to {REASON_MAX} characters, on one line"
        ))
    };
    if good { Ok(why.to_owned()) } else { Err(short()) }
}

fn ask(appliance: &Appliance, location: String, password: Option<Zeroizing<String>>) -> Result<ShareChecked, VaultdError> {
    let _place = appliance.doors.check()?;
    let stream = UnixStream::connect(&appliance.config.ingest).map_err(VaultdError::NoIngest)?;
    let call = Call::begin(stream).map_err(VaultdError::Share)?;
    let canceller = call.canceller();
    let (done, over) = channel::<()>();
    let timer = std::thread::Builder::new().name("check".to_owned()).spawn(move || {
        if over.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            canceller.cancel("its server did not answer in time");
        }
    });
    let timer = timer.map_err(VaultdError::Thread)?;
    let checked = call.check(&CheckOrder { location, password });
    drop(done);
    if timer.join().is_err() {
        tracing::error!("the thread that limits a check had failed");
    }
    checked.map(answer).map_err(VaultdError::Share)
}

fn answer(checked: Checked) -> ShareChecked {
    let rights = match (checked.changeable, checked.told) {
        (0, true) => Rights::ReadOnly,
        (0, false) => Rights::Unknown,
        _ => Rights::CanWrite,
    };
    let word = |may: &keepwell_ingest::May| match may {
        keepwell_ingest::May::Add => May::Add,
        keepwell_ingest::May::Write => May::Write,
        keepwell_ingest::May::Delete => May::Delete,
        keepwell_ingest::May::ChangeRights => May::ChangeRights,
    };
    let Checked { may, changeable, asked, entries, protocol, protection, server, file_system, findings, .. } = checked;
    let may = may.iter().map(word).collect();
    ShareChecked {
        rights,
        may,
        changeable,
        asked,
        entries,
        server: ServerFacts { protocol, protection, id: server, file_system, findings },
    }
}

/// Such as `add files, delete and change files`.
fn list(may: &[May]) -> String {
    match may {
        [] => String::new(),
        [one] => one.to_string(),
        [first @ .., last] => format!("{} and {last}", first.iter().map(May::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// A password is text, as it was typed.
fn text(password: &[u8]) -> Result<Zeroizing<String>, VaultdError> {
    let text = std::str::from_utf8(password).map_err(|_| VaultdError::Invalid("a password is text in UTF-8".into()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// What a program can go by.
pub(crate) fn code(error: &IngestError) -> &str {
    match error {
        IngestError::Refused(refusal) => &refusal.code,
        IngestError::Cancelled(_) | IngestError::Silent => "unreachable",
        _ => "ingest",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_line_that_says_something() {
        for bad in ["", "because", "   because   ", "two\nlines of it, both long", &"x".repeat(501)] {
            assert!(reason(bad).is_err(), "{bad}");
        }
        assert_eq!(reason("  the vendor allows no other account ").unwrap(), "the vendor allows no other account");
    }

    #[test]
    fn silence_of_a_server_is_no_proof() {
        let rights = |told, changeable| answer(Checked { told, changeable, ..Checked::default() }).rights;
        assert_eq!(
            [rights(true, 0), rights(false, 0), rights(true, 1), rights(false, 1)],
            [Rights::ReadOnly, Rights::Unknown, Rights::CanWrite, Rights::CanWrite]
        );
        assert_eq!(list(&[May::Add, May::Write, May::Delete]), "add files, change files and delete");
    }
}

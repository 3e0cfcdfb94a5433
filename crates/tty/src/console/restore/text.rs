//! Copies, restores and their receipts in words, and addresses with another account.

use jiff::tz::TimeZone;
use keepwell_api::disks::{Disk, Standing};
use keepwell_api::vault::{Outcome, RestoreState, Share, Snapshot};

use crate::screen::{Line, Look};
use crate::words::{count, plain, size, time};

/// A share in one line.
pub(crate) fn share(share: &Share, zone: &TimeZone) -> String {
    let copy = share.newest_copy_at.map_or_else(|| "no copy yet".into(), |at| format!("newest copy {}", time(at, zone)));
    format!("{:<28} {copy}", plain(&share.name, 28))
}

/// A copy in one line.
pub(crate) fn snapshot(snapshot: &Snapshot, zone: &TimeZone) -> String {
    let outcome = outcome(snapshot.outcome);
    format!(
        "{}  {outcome:<9} {}, {}",
        time(snapshot.taken_at, zone),
        count(snapshot.counts.files, "file"),
        size(snapshot.counts.content_bytes)
    )
}

/// A restore in one line.
pub(crate) fn restore(restore: &RestoreState, zone: &TimeZone) -> String {
    let what = if restore.snapshot.is_empty() {
        "test"
    } else if restore.dry_run {
        "check"
    } else {
        "restore"
    };
    let state = restore.outcome.map_or("under way", outcome);
    format!("{}  {what:<8} {state:<10} {}", time(restore.started_at, zone), count(restore.files, "file"))
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Complete => "complete",
        Outcome::Partial => "partial",
        Outcome::Held => "held",
        Outcome::Failed => "failed",
        Outcome::Cancelled => "cancelled",
        Outcome::Cut => "cut off",
    }
}

/// Whether it is worth going on after this check.
pub(crate) fn is_good(restore: &RestoreState) -> bool {
    matches!(restore.outcome, Some(Outcome::Complete | Outcome::Partial))
}

/// How far it is, without any file's name.
pub(crate) fn progress(restore: &RestoreState) -> Vec<Line> {
    let what = if restore.dry_run { "would be written" } else { "written" };
    let mut lines = vec![Line::of(format!("{}, {} {what} so far.", count(restore.files, "file"), size(restore.written_bytes)))];
    lines.extend(restore.why.iter().map(|why| Line::looking(Look::Warn, why.clone())));
    if !restore.dry_run {
        lines.push(Line::of("It goes on when you leave this page, sign out, or are signed out."));
    }
    lines
}

/// What a check found, or what was restored.
pub(crate) fn receipt(restore: &RestoreState, zone: &TimeZone) -> Vec<Line> {
    let state = restore.outcome.unwrap_or(Outcome::Cut);
    let look = match state {
        Outcome::Complete => Look::Good,
        Outcome::Partial => Look::Warn,
        _ => Look::Bad,
    };
    let what = if restore.dry_run { "The check is" } else { "The restore is" };
    let mut lines = vec![Line::looking(look, format!("{what} {}.", outcome(state)))];
    lines.extend(restore.why.iter().map(|why| Line::of(why.clone())));
    let ended = restore.finished_at.map_or_else(String::new, |at| format!(", ended {}", time(at, zone)));
    lines.push(Line::looking(
        Look::Muted,
        format!("Number {}, begun {} by {}{ended}", restore.id, time(restore.started_at, zone), plain(&restore.by, 64)),
    ));
    if !restore.to.is_empty() {
        lines.push(Line::of(format!("To {}", restore.to)));
    }
    let written = if restore.dry_run { "would be written; nothing was" } else { "written" };
    lines.push(Line::of(format!("{}, {} {written}.", count(restore.files, "file"), size(restore.written_bytes))));
    if restore.skipped > 0 {
        lines.push(Line::of(format!("Left as they are, because something is there: {}.", restore.skipped)));
    }
    if restore.compared > 0 {
        lines.push(match restore.differing {
            0 => Line::looking(Look::Good, format!("Read back: {}. All are as in the backup.", restore.compared)),
            differing => Line::looking(Look::Bad, format!("Read back: {}. NOT as in the backup: {differing}.", restore.compared)),
        });
    }
    if restore.missing > 0 {
        lines.push(Line::looking(Look::Warn, format!("Not there, or not whole: {}. The console has the list.", restore.missing)));
    }
    lines
}

/// Whether a disk may be made one to take away: nothing that the box or its pool needs.
pub(crate) fn can_leave(disk: &Disk) -> bool {
    matches!(disk.standing, Standing::Blank | Standing::Foreign { .. } | Standing::Spoilt { .. })
}

/// `smb://server/share` of `smb://user@server/share`.
pub(crate) fn without_account(location: &str) -> String {
    let Some((scheme, rest)) = location.split_once("://") else { return location.to_owned() };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let server = authority.rsplit_once('@').map_or(authority, |(_, server)| server);
    format!("{scheme}://{server}/{path}")
}

/// The same place with this account, `user` or `DOMAIN\user`, escaped as RFC 3986 has it.
pub(crate) fn with_account(location: &str, account: &str) -> String {
    let (domain, user) = account.split_once('\\').map_or((None, account), |(domain, user)| (Some(domain), user));
    let domain = domain.map_or_else(String::new, |domain| format!("{};", escaped(domain)));
    without_account(location).replacen("://", &format!("://{domain}{}@", escaped(user)), 1)
}

fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_replaces_the_one_that_can_only_read() {
        let at = "smb://reader@10.0.0.7:4450/Daten/R%C3%B6ntgen";
        assert_eq!(with_account(at, "writer"), "smb://writer@10.0.0.7:4450/Daten/R%C3%B6ntgen");
        assert_eq!(with_account(at, "PRAXIS\\Dr. M@x/y"), "smb://PRAXIS;Dr.%20M%40x%2Fy@10.0.0.7:4450/Daten/R%C3%B6ntgen");
        assert_eq!(without_account("nfs://h/e"), "nfs://h/e");
    }

    #[test]
    fn a_receipt_says_what_is_not_as_it_was() {
        let state =
            RestoreState { outcome: Some(Outcome::Partial), files: 3, compared: 3, differing: 1, missing: 2, ..RestoreState::default() };
        let lines = receipt(&state, &TimeZone::UTC);
        let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert!(
            text.iter().any(|line| line.contains("NOT as in the backup: 1")) && text.iter().any(|line| line.contains("not whole: 2")),
            "{text:?}"
        );
        assert!(!is_good(&RestoreState { outcome: Some(Outcome::Failed), ..state }));
    }
}

//! Which kind of share an order leads to, and what a share that can't be opened is called. Keeps nothing but what it opens.

use std::error::Error;
use std::ffi::OsStr;

use keepwell_format::port::{Source, Target};
use keepwell_ingest::{CheckOrder, Checked, Doors, May, Opening, Refusal, SourceOrder, TargetOrder, Warned, WarnedTarget};
use keepwell_source::{AccountRights, Address, AsOf, RestoreTarget, SourceError, Verdict};

/// Folders, SMB shares and NFS exports, as their addresses say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shares;

impl Doors for Shares {
    fn source(&self, order: &SourceOrder) -> Result<Box<dyn Source>, Refusal> {
        let open = || {
            let as_of = order.as_of.as_deref().map_or(Ok(AsOf::Live), AsOf::parse)?;
            Address::parse(OsStr::new(&order.location))?.open_source(order.password.as_ref().map(|word| word.as_str()), as_of)
        };
        open().map_err(|error| refusal(&error))
    }

    fn target(&self, order: &TargetOrder) -> Result<Box<dyn WarnedTarget>, Refusal> {
        let opening = match order.opening {
            Opening::Empty => keepwell_source::Opening::Empty,
            Opening::Merge => keepwell_source::Opening::Merge,
            Opening::Preview { empty } => keepwell_source::Opening::Preview { empty },
        };
        let open = || Address::parse(OsStr::new(&order.location))?.open_target(order.password.as_ref().map(|word| word.as_str()), opening);
        open().map(|target| Box::new(Share(target)) as Box<dyn WarnedTarget>).map_err(|error| refusal(&error))
    }

    fn check(&self, order: &CheckOrder) -> Result<Checked, Refusal> {
        let ask =
            || keepwell_source::rights(&Address::parse(OsStr::new(&order.location))?, order.password.as_ref().map(|word| word.as_str()));
        ask().map(checked).map_err(|error| refusal(&error))
    }
}

/// As the protocol says it.
fn checked(rights: AccountRights) -> Checked {
    let AccountRights { verdict, may, changeable, asked, entries, report } = rights;
    let words = [(may.add, May::Add), (may.write, May::Write), (may.delete, May::Delete), (may.change_rights, May::ChangeRights)];
    Checked {
        told: verdict != Verdict::Unknown,
        may: words.into_iter().filter_map(|(may, word)| may.then_some(word)).collect(),
        changeable,
        asked,
        entries,
        protocol: report.protocol,
        protection: report.protection,
        server: report.server,
        file_system: report.file_system,
        findings: report.findings,
    }
}

struct Share(Box<dyn RestoreTarget>);

impl WarnedTarget for Share {
    fn target(&self) -> &dyn Target {
        &*self.0
    }

    fn warned(&self) -> Warned {
        let warnings = self.0.warnings();
        Warned { count: warnings.count, first: warnings.first }
    }
}

/// What a program can go by, and what a person can.
fn refusal(error: &SourceError) -> Refusal {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(below) = cause {
        causes.push(below.to_string());
        cause = below.source();
    }
    Refusal { code: code(error).to_owned(), text: error.to_string(), causes }
}

fn code(error: &SourceError) -> &'static str {
    match error {
        SourceError::Missing(_) => "not-found",
        SourceError::NotFolder(_) => "no-folder",
        SourceError::Denied { .. } => "denied",
        SourceError::NotEmpty(_) => "not-empty",
        SourceError::NoProc | SourceError::Threads(_) => "system",
        SourceError::Io { .. } => "failed",
        SourceError::Url { .. } => "address",
        SourceError::AsOf => "as-of",
        SourceError::NoSnapshots { .. } => "no-snapshots",
        SourceError::NoSuchSnapshot { .. } => "no-such-snapshot",
        SourceError::Listing { .. } => "listing",
        SourceError::NoPassword { .. } => "no-password",
        SourceError::Unreachable { .. } => "unreachable",
        SourceError::OnlySmb1 { .. } => "only-smb1",
        SourceError::SignIn { .. } => "password",
        SourceError::Unprotected { .. } => "unprotected",
        SourceError::Share { .. } => "share",
        SourceError::NotYet { .. } => "not-yet",
    }
}

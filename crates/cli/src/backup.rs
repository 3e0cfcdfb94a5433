//! `keepwell vault backup`: a source in, a snapshot out.

use std::ffi::OsStr;
use std::path::Path;

use keepwell_format::manifest::{Outcome, Statistics};
use keepwell_format::port::Source;
use keepwell_source::{LocalSource, SmbSource, SmbUrl};
use keepwell_storage::Access;
use keepwell_vault::{BackupOptions, BackupReport};
use serde_json::{Value, json};

use crate::args::BackupArgs;
use crate::exit::{CliError, Exit};
use crate::opening;
use crate::output::Answer;
use crate::progress::Meter;
use crate::{text, unlock};

/// Runs it. The vault is opened before the source, so that a wrong key costs nobody a walk.
pub(crate) fn run(args: &BackupArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let address = address(&args.source, args.password_file.as_deref())?;
    let vault = opening::unlocked(&args.keyed, Access::Write, answer)?;
    let source = address.open()?;
    let name = args.name.clone().unwrap_or_else(|| address.name());
    let options = BackupOptions { name: name.clone(), level: args.level, reread: args.reread };
    let report = vault.backup(source.as_ref(), &options, &Meter::start(answer.is_json()))?;
    show(answer, &name, &report);
    Ok(Exit::of(report.outcome == Outcome::Complete))
}

/// Where the source is.
enum Address<'a> {
    Folder(&'a Path),
    Share(SmbUrl, &'a Path),
}

fn address<'a>(source: &'a OsStr, password_file: Option<&'a Path>) -> Result<Address<'a>, CliError> {
    match (source.to_str().filter(|text| text.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("smb:"))), password_file) {
        (None, None) => Ok(Address::Folder(Path::new(source))),
        (None, Some(_)) => Err(CliError::Usage("--password-file is only for smb://user@host/share".into())),
        (Some(_), None) => Err(CliError::Usage("an SMB share needs --password-file with the password of its account".into())),
        (Some(url), Some(file)) => SmbUrl::parse(url).map(|url| Address::Share(url, file)).map_err(|why| CliError::Usage(why.to_string())),
    }
}

impl Address<'_> {
    fn open(&self) -> Result<Box<dyn Source>, CliError> {
        match self {
            Self::Folder(path) => Ok(Box::new(LocalSource::open(path)?)),
            Self::Share(url, file) => {
                let password = unlock::secret_line(file, "password")?;
                let password = std::str::from_utf8(&password)
                    .map_err(|_| CliError::Refused(format!("the password in {} is no UTF-8 text", file.display())))?;
                Ok(Box::new(SmbSource::connect(url, password)?))
            }
        }
    }

    /// The last part of the path, or of the share's name.
    fn name(&self) -> String {
        let name = match self {
            Self::Folder(path) => {
                let whole = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
                whole.file_name().map(|name| text::shown(name.as_encoded_bytes()))
            }
            Self::Share(url, _) => Some(url.share.clone()),
        };
        name.unwrap_or_else(|| "root".into())
    }
}

fn show(answer: &mut Answer, name: &str, report: &BackupReport) {
    let s = &report.statistics;
    answer.field("snapshot", report.snapshot.to_string());
    answer.field("name", name);
    answer.field("statistics", statistics(s));
    answer.field("degraded_objects", report.degraded_objects);
    let partial = if report.outcome == Outcome::Complete { "" } else { " (partial)" };
    answer.line(format_args!("Snapshot {} of '{name}' was made{partial}.", report.snapshot.short()));
    answer.line(format_args!(
        "  {} in {}, {}; {} unchanged since the last time.",
        text::count(s.files, "file"),
        text::count(s.folders, "folder"),
        text::size(s.content_bytes),
        text::count(s.unchanged_files, "file"),
    ));
    answer.line(format_args!(
        "  Read {}, stored {} that the vault did not have.",
        text::size(s.read_bytes),
        text::size(s.new_stored_bytes)
    ));
    if report.degraded_objects > 0 {
        answer.line(format_args!(
            "  {} written with less redundancy than the layout asks for, because a disk is missing. When it is back: 'keepwell vault repair'.",
            text::count(report.degraded_objects, "object")
        ));
    }
    show_gaps(answer, report);
}

fn show_gaps(answer: &mut Answer, report: &BackupReport) {
    let (gaps, inconsistent) = (report.statistics.gaps, report.statistics.inconsistent);
    if gaps + inconsistent > 0 {
        let are = if report.gaps.len() as u64 == gaps + inconsistent { "" } else { "; the first are" };
        answer.line(format_args!(
            "Not whole: {} could not be read, {} changed while being read{are}:",
            text::count(gaps, "entry"),
            text::count(inconsistent, "file")
        ));
    }
    answer.list("gaps", &report.gaps, |(key, gap)| format!("{key}: {}", gap.text), |(key, gap)| text::gap(key, gap));
}

/// Counts by their names in the format.
pub(crate) fn statistics(s: &Statistics) -> Value {
    json!({
        "entries": s.entries,
        "files": s.files,
        "folders": s.folders,
        "content_bytes": s.content_bytes,
        "unchanged_files": s.unchanged_files,
        "read_bytes": s.read_bytes,
        "new_blobs": s.new_blobs,
        "new_stored_bytes": s.new_stored_bytes,
        "gaps": s.gaps,
        "inconsistent": s.inconsistent,
    })
}

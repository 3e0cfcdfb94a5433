//! `keepwell files versions`, `keepwell files search` and `keepwell snapshots compare`: which snapshot holds what is looked for. Names are shown to who asked, and kept nowhere.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use keepwell_api::Base64;
use keepwell_api::grants::Verb;
use keepwell_api::vault::{
    Change, Changed, Changes, CompareSnapshots, Found, FoundFiles, ListVersions, SearchFiles, Share, Version, Versions,
};
use serde_json::{Value, json};

use super::args::CompareArgs;
use super::files::{file_line, file_value};
use super::place::Place;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::text;

/// So many differences at a time.
const PAGE: u32 = 1_000;

/// `files versions`. The snapshots of a share that is not backed up any more go by its name.
pub(crate) fn versions(named: &str, path: &OsStr, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    // Who may not list shares calls them by name.
    let shares: Vec<Share> = place.vaultd().get("/v1/shares").unwrap_or_default();
    let share = shares.into_iter().find(|share| share.id == named).map_or_else(|| named.to_owned(), |share| share.name);
    let found: Versions = place.granted(Verb::FilesList, "/v1/files/versions", &ListVersions { share, path: bytes(path) })?;
    if found.versions.is_empty() && !found.more {
        answer.line("No snapshot of this share has anything there.");
    }
    answer.list("versions", &found.versions, version_line, version_value);
    answer.field("more", found.more);
    if found.more {
        answer.line("There may be other versions: not all snapshots could be looked at.");
    }
    Ok(Exit::Complete)
}

fn version_line(version: &Version) -> String {
    let what = match &version.file {
        None => "not there".into(),
        Some(file) => {
            let size = file.size.map_or_else(|| file.kind.clone(), text::size);
            let changed = file.changed_at.map(|at| format!(", changed {} UTC", text::time(at))).unwrap_or_default();
            format!("{size}{changed}")
        }
    };
    let snapshots = match version.snapshots {
        1 => "1 snapshot".to_owned(),
        many => format!("{many} snapshots since {} UTC", text::time(version.first_taken_at)),
    };
    format!("{}  {} UTC  {what}  ({snapshots})", version.snapshot, text::time(version.taken_at))
}

fn version_value(version: &Version) -> Value {
    json!({
        "snapshot": version.snapshot,
        "taken_at": version.taken_at,
        "first_taken_at": version.first_taken_at,
        "snapshots": version.snapshots,
        "file": version.file.as_ref().map(file_value),
    })
}

/// `files search`.
pub(crate) fn search(
    snapshot: &str,
    wanted: &str,
    path: Option<&OsStr>,
    limit: u32,
    place: &Place,
    answer: &mut Answer,
) -> Result<Exit, CliError> {
    let wanted = Base64::from(wanted.as_bytes().to_vec());
    let path = path.map(bytes).unwrap_or_default();
    let request = SearchFiles { snapshot: snapshot.to_owned(), path, text: wanted, limit };
    let found: FoundFiles = place.granted(Verb::FilesList, "/v1/files/search", &request)?;
    if found.found.is_empty() {
        answer.line("Nothing in this snapshot is called so.");
    }
    answer.list("found", &found.found, found_line, found_value);
    answer.field("more", found.more);
    if found.more {
        answer.line("There are more, or may be: give more of the name, or --path.");
    }
    answer.field("damaged", found.damaged);
    if found.damaged {
        answer.line(
            "A part of the snapshot's list of files can't be read any more, and what was in it is not found: look at 'keepwell status'.",
        );
    }
    Ok(Exit::of(!found.damaged))
}

fn whole_path(found: &Found) -> Vec<u8> {
    let mut path = found.folder.as_ref().to_vec();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(found.file.name.as_ref());
    path
}

fn found_line(found: &Found) -> String {
    let mut shown = found.file.clone();
    shown.name = whole_path(found).into();
    file_line(&shown)
}

fn found_value(found: &Found) -> Value {
    let mut fields = text::bytes_fields("path", &whole_path(found));
    if let Value::Object(file) = file_value(&found.file) {
        fields.extend(file);
    }
    fields.into()
}

/// `snapshots compare`: page by page, so that a big difference never lies in memory.
pub(crate) fn compare(args: &CompareArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let path = args.path.as_deref().map(bytes).unwrap_or_default();
    let mut request = CompareSnapshots { older: args.older.clone(), newer: args.newer.clone(), path, after: None, limit: PAGE };
    let mut counts = [Change::Added, Change::Removed, Change::Content, Change::Metadata].map(|change| (change, 0u64));
    answer.begin_list("changes");
    loop {
        let page: Changes = place.granted(Verb::FilesList, "/v1/snapshots/compare", &request)?;
        for changed in &page.changes {
            counts.iter_mut().filter(|(change, _)| *change == changed.change).for_each(|(_, count)| *count += 1);
            answer.item(|| changed_line(changed), || changed_value(changed));
        }
        // A page without a difference has none after it.
        let Some(last) = page.changes.last().filter(|_| page.more) else { break };
        request.after = Some(last.path.clone());
    }
    answer.end_list();
    answer.field("counts", counts.iter().map(|(change, count)| (super::word(change), json!(count))).collect::<serde_json::Map<_, _>>());
    let [added, removed, content, metadata] = counts.map(|(_, count)| count);
    answer.line(format_args!(
        "{added} added, {removed} removed, {content} with other content, {metadata} with other times, owner, rights or attributes alone."
    ));
    Ok(Exit::Complete)
}

fn changed_line(changed: &Changed) -> String {
    let sign = match changed.change {
        Change::Added => '+',
        Change::Removed => '-',
        Change::Content => 'C',
        Change::Metadata => 'm',
    };
    format!("{sign} {}", text::shown(changed.path.as_ref()))
}

fn changed_value(changed: &Changed) -> Value {
    let mut fields = text::bytes_fields("path", changed.path.as_ref());
    fields.insert("change".into(), super::json(&changed.change));
    fields.into()
}

pub(super) fn bytes(path: &OsStr) -> Base64 {
    path.as_bytes().to_vec().into()
}

#[cfg(test)]
mod tests {
    use keepwell_api::vault::File;

    use super::*;

    fn file(name: &[u8]) -> File {
        File { name: name.to_vec().into(), kind: "file".into(), size: Some(2_048), changed_at: Some(0), inconsistent: false, gap: None }
    }

    #[test]
    fn versions_say_when_and_how_often() {
        let version = |snapshots, file| Version { snapshot: "3fa2".into(), taken_at: 86_400, first_taken_at: 3_600, snapshots, file };
        let lines = [version_line(&version(1, Some(file(b"a")))), version_line(&version(2, None))];
        assert_eq!(
            lines,
            [
                "3fa2  1970-01-02 00:00:00 UTC  2.0 KiB, changed 1970-01-01 00:00:00 UTC  (1 snapshot)",
                "3fa2  1970-01-02 00:00:00 UTC  not there  (2 snapshots since 1970-01-01 01:00:00 UTC)",
            ]
        );
        assert_eq!(version_value(&version(2, None))["file"], Value::Null);
    }

    #[test]
    fn what_was_found_has_its_whole_path() {
        let found = |folder: &[u8]| Found { folder: folder.to_vec().into(), file: file(b"x\xff") };
        assert_eq!(found_value(&found(b"a/b"))["path_hex"], "612f622f78ff");
        assert_eq!(found_value(&found(b"a/b"))["name_hex"], "78ff");
        assert!(found_line(&found(b"")).ends_with("  x\\xff") && found_line(&found(b"a")).ends_with("  a/x\\xff"));
    }
}

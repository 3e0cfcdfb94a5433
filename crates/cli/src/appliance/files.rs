//! `keepwell snapshots` and `keepwell files`: what could be restored. Names are shown to who asked, and kept nowhere.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use keepwell_api::grants::Verb;
use keepwell_api::vault::{File, Files, ListFiles, ListSnapshots, Snapshot};
use serde_json::{Value, json};

use super::place::Place;
use super::word;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::text;

/// So many at a time.
const PAGE: u32 = 1_000;

/// `snapshots`.
pub(crate) fn snapshots(share: Option<&str>, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let request = ListSnapshots { share: share.map(str::to_owned) };
    let snapshots: Vec<Snapshot> = place.granted(Verb::SnapshotsList, "/v1/snapshots", &request)?;
    if snapshots.is_empty() {
        answer.line("There is no snapshot yet.");
    }
    answer.list("snapshots", &snapshots, line, super::json);
    Ok(Exit::Complete)
}

fn line(snapshot: &Snapshot) -> String {
    format!(
        "{}  {} UTC  {}  {}  ({}, {})",
        snapshot.id,
        text::time(snapshot.taken_at),
        text::shown(snapshot.share.as_bytes()),
        word(&snapshot.outcome),
        text::count(snapshot.counts.files, "file"),
        text::size(snapshot.counts.content_bytes)
    )
}

/// `files`: page by page, so that a big folder never lies in memory.
pub(crate) fn list(snapshot: &str, path: Option<&OsStr>, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let path = path.map(|path| path.as_bytes().to_vec()).unwrap_or_default();
    let mut request = ListFiles { snapshot: snapshot.to_owned(), path: path.into(), after: None, limit: PAGE };
    answer.begin_list("files");
    loop {
        let page: Files = place.granted(Verb::FilesList, "/v1/files", &request)?;
        page.files.iter().for_each(|file| answer.item(|| file_line(file), || file_value(file)));
        // A page without a file has none after it.
        let Some(last) = page.files.last().filter(|_| page.more) else { break };
        request.after = Some(last.name.clone());
    }
    answer.end_list();
    Ok(Exit::Complete)
}

pub(super) fn file_line(file: &File) -> String {
    let size = file.size.map_or_else(|| "-".into(), |size| size.to_string());
    let changed = file.changed_at.map_or_else(|| "-".into(), text::time);
    let slash = if file.kind == "folder" { "/" } else { "" };
    let mut line = format!("{size:>14}  {changed:>19}  {}{slash}", text::shown(file.name.as_ref()));
    if file.inconsistent {
        line.push_str("  [changed while it was read]");
    }
    if let Some(gap) = &file.gap {
        line.push_str(&format!("  [not whole: {}]", text::shown(gap.as_bytes())));
    }
    line
}

pub(super) fn file_value(file: &File) -> Value {
    let mut fields = text::bytes_fields("name", file.name.as_ref());
    fields.insert("kind".into(), json!(file.kind));
    fields.insert("size".into(), json!(file.size));
    fields.insert("changed_at".into(), json!(file.changed_at));
    fields.insert("inconsistent".into(), json!(file.inconsistent));
    fields.insert("gap".into(), json!(file.gap));
    fields.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_for_programs_and_harmless_on_a_terminal() {
        let file = File {
            name: b"a\xff\x1b".to_vec().into(),
            kind: "folder".into(),
            size: None,
            changed_at: Some(0),
            inconsistent: true,
            gap: Some("locked\x07".into()),
        };
        let line = file_line(&file);
        assert_eq!(line.trim_start(), "-  1970-01-01 00:00:00  a\\xff\\u{1b}/  [changed while it was read]  [not whole: locked\\u{7}]");
        assert_eq!(file_value(&file)["name_hex"], "61ff1b");
    }
}

//! `keepwell vault ls`: one folder of a snapshot.

use std::os::unix::ffi::OsStrExt;

use keepwell_format::{Key, Kind, Node};
use keepwell_storage::Access;
use serde_json::{Value, json};

use crate::args::LsArgs;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::{opening, text};

/// Runs it.
pub(crate) fn run(args: &LsArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let folder = key(args.path.as_deref().unwrap_or_default())?;
    let vault = opening::unlocked(&args.keyed, Access::Read, answer)?;
    let snapshot = vault.resolve(&args.snapshot)?;
    answer.field("snapshot", snapshot.id.to_string());
    answer.begin_list("entries");
    vault.list(&snapshot, &folder, &mut |key, node| {
        answer.item(|| line(key, node), || value(key, node));
        Ok(())
    })?;
    answer.end_list();
    Ok(Exit::Complete)
}

/// A path that the user typed, as it is spelled in the catalog.
pub(crate) fn key(path: &std::ffi::OsStr) -> Result<Key, CliError> {
    Key::from_path(path.as_bytes()).map_err(|_| {
        let path = text::shown(path.as_bytes());
        CliError::Usage(format!("'{path}' is no path in a snapshot: it begins at the source's root and has no '.' or '..' in it"))
    })
}

fn line(key: &Key, node: &Node) -> String {
    let size = match (&node.content, node.device) {
        (Some(content), _) => content.size.to_string(),
        (None, Some((major, minor))) => format!("{major}, {minor}"),
        (None, None) => "-".into(),
    };
    let time = node.mtime.map_or_else(|| "-".into(), |time| text::time(time.seconds));
    let mut line = format!("{} {size:>14}  {time:>19}  {}", text::mode(node.kind, node.owner), text::shown(key.name()));
    if node.kind == Kind::Folder {
        line.push('/');
    }
    if let Some(target) = &node.target {
        line.push_str(&format!(" -> {}", text::shown(target)));
    }
    if let Some(first) = &node.link_to {
        line.push_str(&format!(" = {first}"));
    }
    if node.inconsistent {
        line.push_str("  [changed while it was read]");
    }
    if let Some(gap) = &node.gap {
        line.push_str(&format!("  [not whole: {}]", text::shown(gap.text.as_bytes())));
    }
    line
}

fn value(key: &Key, node: &Node) -> Value {
    let mut fields = text::path_fields(key);
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            fields.insert(name.into(), value);
        }
    };
    put("kind", json!(text::kind(node.kind)));
    put("size", json!(node.content.as_ref().map(|content| content.size)));
    put("hash", json!(node.content.as_ref().map(|content| content.hash.to_string())));
    put("mode", json!(node.owner.map(|owner| format!("{:04o}", owner.mode))));
    put("uid", json!(node.owner.map(|owner| owner.uid)));
    put("gid", json!(node.owner.map(|owner| owner.gid)));
    put("mtime", json!(node.mtime.map(text::rfc3339)));
    put("ctime", json!(node.ctime.map(text::rfc3339)));
    put("btime", json!(node.btime.map(text::rfc3339)));
    put("device", json!(node.device));
    put("inconsistent", json!(node.inconsistent.then_some(true)));
    put("gap", json!(node.gap.as_ref().map(|gap| json!({ "reason": text::gap_reason(gap.reason), "text": gap.text }))));
    fields.extend(node.target.iter().flat_map(|target| text::bytes_fields("target", target)));
    fields.extend(node.link_to.iter().flat_map(|first| text::bytes_fields("link_to", &first.to_path())));
    fields.into()
}

//! `keepwell vault diff`: what changed from one snapshot to another.

use keepwell_storage::Access;
use keepwell_vault::{Change, Difference};
use serde_json::{Value, json};

use crate::args::DiffArgs;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::{opening, text};

/// Added, removed, content, metadata.
const KINDS: [(Change, char, &str); 4] = [
    (Change::Added, '+', "added"),
    (Change::Removed, '-', "removed"),
    (Change::Content, 'M', "content"),
    (Change::Metadata, 'U', "metadata"),
];

/// Runs it.
pub(crate) fn run(args: &DiffArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let vault = opening::unlocked(&args.keyed, Access::Read, answer)?;
    let (from, to) = (vault.resolve(&args.from)?, vault.resolve(&args.to)?);
    answer.field("from", from.id.to_string());
    answer.field("to", to.id.to_string());
    answer.begin_list("differences");
    let mut counts = [0u64; KINDS.len()];
    vault.diff(&from, &to, &mut |difference| {
        let kind = kind(difference);
        counts[kind] += 1;
        answer.item(|| format!("{} {}", KINDS[kind].1, difference.key), || value(difference, KINDS[kind].2));
    })?;
    answer.end_list();
    let [added, removed, content, metadata] = counts;
    answer.field("counts", json!({ "added": added, "removed": removed, "content": content, "metadata": metadata }));
    answer.line(format_args!(
        "{added} added (+), {removed} removed (-), {content} with other content (M), {metadata} with other metadata only (U)"
    ));
    Ok(Exit::Complete)
}

fn kind(difference: &Difference) -> usize {
    KINDS.iter().position(|(change, ..)| *change == difference.change).expect("the table has every change")
}

fn value(difference: &Difference, change: &str) -> Value {
    let mut fields = text::path_fields(&difference.key);
    fields.insert("change".into(), json!(change));
    fields.into()
}

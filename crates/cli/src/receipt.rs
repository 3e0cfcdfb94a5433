//! The receipt of a restore: one JSON object in a file, written as the run goes (`docs/operators-guide.md`). Holds one entry at a time.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use keepwell_crypt::ObjectHasher;
use keepwell_vault::{Action, RestoreReport, Restored, Snapshot, Trouble};
use serde_json::{Map, Value, json};

use crate::exit::CliError;
use crate::{opening, text};

/// A receipt that is being written. What goes wrong on the way is told at the end: it must not end the restore.
pub(crate) struct Receipt {
    out: BufWriter<File>,
    digest: ObjectHasher,
    entries: u64,
    failed: Option<io::Error>,
}

impl Receipt {
    /// Makes the file, which must not be there, and writes what is known before the run: `head` and the snapshot.
    pub(crate) fn begin(file: &Path, snapshot: &Snapshot, head: Map<String, Value>) -> Result<Self, CliError> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
        let out = BufWriter::new(made.map_err(CliError::file("make the receipt", file))?);
        let mut receipt = Self { out, digest: ObjectHasher::new(), entries: 0, failed: None };
        let body = &snapshot.body;
        let mut fields = head;
        fields.insert("receipt".into(), json!(1));
        fields.insert("program".into(), json!(concat!("keepwell ", env!("CARGO_PKG_VERSION"))));
        fields.insert("begun".into(), json!(text::rfc3339(opening::now())));
        fields.insert(
            "snapshot".into(),
            json!({
                "id": snapshot.id.to_string(),
                "name": body.name,
                "source": body.source,
                "started": text::rfc3339(body.started),
                "finished": text::rfc3339(body.finished),
            }),
        );
        let line = Value::from(fields).to_string();
        receipt.write(format_args!("{},\n\"files\":[", line.strip_suffix('}').unwrap_or(&line)));
        Ok(receipt)
    }

    /// One entry, in one line.
    pub(crate) fn entry(&mut self, restored: &Restored<'_>) {
        let line = entry(restored).to_string();
        self.digest.update(line.as_bytes()).update(b"\n");
        self.write(format_args!("{}\n{line}", if self.entries > 0 { "," } else { "" }));
        self.entries += 1;
    }

    /// Writes what is known after the run, and makes the receipt durable.
    pub(crate) fn finish(mut self, outcome: &str, rest: Map<String, Value>) -> io::Result<()> {
        let mut fields = rest;
        fields.insert("digest".into(), json!(keepwell_api::hex::encode(&self.digest.finish())));
        fields.insert("entries".into(), json!(self.entries));
        fields.insert("finished".into(), json!(text::rfc3339(opening::now())));
        fields.insert("outcome".into(), json!(outcome));
        let line = Value::from(fields).to_string();
        self.write(format_args!("\n],\n{}\n", line.strip_prefix('{').unwrap_or(&line)));
        self.failed.take().map_or(Ok(()), Err)?;
        self.out.flush()?;
        self.out.get_ref().sync_all()
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        if self.failed.is_none() {
            self.failed = self.out.write_fmt(text).err();
        }
    }
}

/// Counts and lists of a report.
pub(crate) fn summary(report: &RestoreReport) -> Map<String, Value> {
    let troubles = |list: &[Trouble]| -> Vec<Value> { list.iter().map(|trouble| text::told(&trouble.key, &trouble.text)).collect() };
    let mut fields = Map::new();
    let counts = json!({
        "files": report.files,
        "folders": report.folders,
        "others": report.others,
        "written_bytes": report.written_bytes,
        "replaced": report.replaced,
        "renamed": report.renamed,
        "skipped": report.skipped,
        "compared": report.compared,
        "differing": report.differing,
        "healed_reads": report.healed_reads,
    });
    fields.insert("counts".into(), counts);
    fields.insert("differences".into(), troubles(&report.differences).into());
    fields.insert("missing".into(), troubles(&report.missing).into());
    fields.insert("lacking".into(), json!(report.lacking));
    fields
}

fn entry(restored: &Restored<'_>) -> Value {
    let mut fields = text::path_fields(restored.key);
    fields.insert("kind".into(), json!(text::kind(restored.kind)));
    fields.insert("action".into(), json!(action(restored.action)));
    if let Some(renamed) = restored.renamed {
        fields.extend(text::bytes_fields("renamed", &renamed.to_path()));
    }
    if let Some(content) = restored.content {
        fields.insert("size".into(), json!(content.size));
        fields.insert("blake3".into(), json!(content.hash.to_string()));
    }
    let read_back = match restored.same {
        None => "not checked",
        Some(true) => "same",
        Some(false) => "differs",
    };
    fields.insert("read_back".into(), json!(read_back));
    fields.into()
}

/// The word for it in JSON and for people.
pub(crate) fn action(action: Action) -> &'static str {
    match action {
        Action::Created => "created",
        Action::Replaced => "replaced",
        Action::Renamed => "renamed",
        Action::Skipped => "skipped",
        Action::Linked => "linked",
    }
}

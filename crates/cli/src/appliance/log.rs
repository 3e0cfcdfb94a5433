//! `keepwell log`: the box's ledger, read and checked. What is sealed in it stays so.

use keepwell_api::grants::Verb;
use keepwell_api::vault::{LogRecord, LogVerdict, ReadLog};

use super::args::{LogArgs, LogVerb};
use super::json;
use super::place::Place;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::text;

/// Runs it.
pub(crate) fn run(args: &LogArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    if matches!(args.verb, Some(LogVerb::Verify)) {
        return verify(place, answer);
    }
    let request = ReadLog { from: args.from, limit: args.limit, newest: false };
    let records: Vec<LogRecord> = place.granted(Verb::LogRead, "/v1/log", &request)?;
    answer.list("records", &records, line, json);
    Ok(Exit::Complete)
}

fn line(record: &LogRecord) -> String {
    let fields =
        record.fields.iter().map(|(name, value)| format!("  {name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    let fields = fields.collect::<String>();
    let [actor, event, fields] = [&record.actor, &record.event, &fields].map(|text| text::shown(text.as_bytes()));
    format!("{}  {} UTC  {actor}  {event}{fields}", record.seq, text::time(record.at))
}

fn verify(place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let verdict: LogVerdict = place.patient_vaultd().get("/v1/log/verify")?;
    answer.field("records", verdict.records);
    answer.field("head", json(&verdict.head));
    answer.field("faults", json(&verdict.faults));
    match &verdict.head {
        Some((seq, hash)) => {
            answer.line(format_args!("{} read; the newest is {seq}, with the hash {hash}.", text::count(verdict.records, "record")))
        }
        None => answer.line("The log is empty."),
    }
    if verdict.faults.is_empty() {
        answer.line("Nothing in it was changed or taken out.");
    } else {
        answer.line("The log is not whole. Call whoever is responsible for security, and change nothing:");
        verdict.faults.iter().for_each(|fault| answer.line(format_args!("  {}", text::shown(fault.as_bytes()))));
    }
    Ok(Exit::of(verdict.faults.is_empty()))
}

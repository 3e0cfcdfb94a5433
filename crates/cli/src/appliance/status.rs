//! `keepwell status` and `keepwell incidents`: the box's own status on one screen. Says what vaultd says, and judges nothing.

use keepwell_api::grants::Verb;
use keepwell_api::vault::{Acknowledge, Done};
use keepwell_duties::status::{Answer as Said, DiskFacts, PoolFacts, Question, ShareStatus, ToDo};
use keepwell_duties::{Headline, Status};

use super::args::IncidentsCommand;
use super::place::Place;
use super::{json, word};
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::text;

/// `status`.
pub(crate) fn run(place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let status: Status = place.vaultd().get("/v1/status").inspect_err(|_| {
        answer.line("NOT PROVEN. The box does not answer, so nothing can be said about its copies now. See whether keepwell-vaultd runs.");
    })?;
    answer.field("status", json(&status));
    if !answer.is_json() {
        screen(&status).iter().for_each(|line| answer.line(line));
    }
    Ok(Exit::of(status.headline == Headline::Yes))
}

/// `incidents`.
pub(crate) fn incidents(command: &IncidentsCommand, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    match command {
        IncidentsCommand::List => {
            let status: Status = place.vaultd().get("/v1/status")?;
            answer.field("incidents", json(&status.incidents));
            answer.field("todo", json(&status.todo));
            if status.todo.is_empty() {
                answer.line("Nothing needs you.");
            }
            status.todo.iter().flat_map(to_do).for_each(|line| answer.line(line));
            Ok(Exit::of(status.todo.is_empty()))
        }
        IncidentsCommand::Take { incident } => {
            let _: Done = place.granted(Verb::IncidentsAcknowledge, "/v1/incidents/acknowledge", &Acknowledge { id: *incident })?;
            answer.field("incident", *incident);
            answer.line(format_args!("Incident {incident} is yours. It closes by itself when it is proven to be over."));
            Ok(Exit::Complete)
        }
    }
}

fn screen(status: &Status) -> Vec<String> {
    let mut lines = vec![format!("CAN I RESTORE TODAY?   {} UTC", text::time(status.at.0))];
    lines.push(format!("{}. {}", word(&status.headline).to_uppercase(), plain(&status.words)));
    lines.push(String::new());
    lines.extend(status.answers.iter().map(said));
    if !status.shares.is_empty() {
        let names = status.shares.iter().map(|share| plain(&share.label).chars().count()).max().unwrap_or(0);
        lines.extend([String::new(), "SHARES (worst first)".into()]);
        lines.extend(status.shares.iter().map(|found| share(found, names.min(32))));
    }
    lines.extend([String::new(), pool(status.pool.as_ref())]);
    lines.extend(status.disks.iter().filter(|disk| disk.state != "healthy").map(disk));
    if !status.todo.is_empty() {
        lines.extend([String::new(), "WHAT TO DO".into()]);
        lines.extend(status.todo.iter().flat_map(to_do));
    }
    lines
}

fn said(said: &Said) -> String {
    let question = match said.question {
        Question::Here => "HERE",
        Question::Offsite => "OFFSITE",
        Question::Keys => "KEYS",
        Question::People => "PEOPLE",
    };
    format!("{question:8} {:11} {}", word(&said.mark), plain(&said.words))
}

fn share(share: &ShareStatus, names: usize) -> String {
    format!("  {:names$}  tier {}  {:11}  {}", plain(&share.label), share.tier.number(), word(&share.state), plain(&share.words))
}

fn pool(pool: Option<&PoolFacts>) -> String {
    match pool {
        None => "DISKS    unknown: the vault is not open".into(),
        Some(pool) => format!(
            "DISKS    {} of {} free; {}",
            text::size(pool.free_bytes),
            text::size(pool.total_bytes),
            if pool.redundant { "another disk may be lost" } else { "if a disk is lost now, data is lost" }
        ),
    }
}

fn disk(disk: &DiskFacts) -> String {
    format!("  {}: {}", plain(&disk.name), plain(&disk.state))
}

fn to_do(todo: &ToDo) -> Vec<String> {
    let taken = todo.taken_by.as_ref().map(|by| format!(" (taken by {})", plain(by))).unwrap_or_default();
    vec![
        format!("  {} {}: {}.{taken}", todo.incident, word(&todo.severity), plain(&todo.text.happened)),
        format!("      {}. {}.", plain(&todo.text.for_your_data), plain(&todo.text.to_do)),
    ]
}

fn plain(text: &str) -> String {
    text::shown(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use keepwell_duties::status::Mark;
    use keepwell_duties::{At, Book, Facts, Incidents, status};

    use super::*;

    #[test]
    fn a_box_that_nobody_set_up_says_so() {
        let facts = Facts {
            gathered: At(0),
            shares: Vec::new(),
            book: Book::default(),
            incidents: Incidents::default(),
            pool: None,
            disks: vec![DiskFacts { name: "disk-2\x1b".into(), state: "missing".into() }],
            keys: None,
            people: None,
            offsite: None,
            doubt: None,
        };
        let lines = screen(&status(&facts, At(0)));
        assert_eq!(lines[..2], ["CAN I RESTORE TODAY?   1970-01-01 00:00:00 UTC", "NO. Nothing is protected yet. Add a share."]);
        assert!(lines.iter().any(|line| line.starts_with("OFFSITE  not set up  There is no second site")), "{lines:?}");
        assert!(lines.iter().any(|line| line == "  disk-2\\u{1b}: missing"), "{lines:?}");
        assert_eq!(said(&Said { question: Question::Keys, mark: Mark::Failed, words: "x".into() }), "KEYS     failed      x");
    }
}

//! `keepwell status, shares, runs, restore, users` and so on: what a person asks of a box, or tells it, through the sockets of its programs. Holds no
//! key, opens no disk, decides nothing: whether somebody may do something, authd and vaultd say.

mod archive;
pub(crate) mod args;
mod authenticator;
mod clock;
pub(crate) mod disks;
mod download;
mod events;
pub(crate) mod far;
mod files;
mod finding;
mod log;
pub(crate) mod new_file;
mod offsite;
pub(crate) mod place;
mod restore;
mod runs;
pub(crate) mod session;
mod settings;
mod shares;
mod status;
mod tokens;
mod trial;
mod users;
mod wait;

use keepwell_api::vault::Outcome;
use serde::Serialize;
use serde_json::Value;

use crate::exit::{CliError, Exit};
use crate::output::Answer;
use args::{ApplianceCommand, BoxCommand, ClockCommand, FilesArgs, FilesVerb, SnapshotsArgs, SnapshotsVerb};
use place::Place;

/// Runs it.
pub(crate) fn run(command: &ApplianceCommand, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    match command {
        ApplianceCommand::Status => status::run(place, answer),
        ApplianceCommand::Shares(command) => shares::run(command, place, answer),
        ApplianceCommand::Runs(command) => runs::run(command, place, answer),
        ApplianceCommand::Snapshots(SnapshotsArgs { verb: Some(SnapshotsVerb::Compare(args)), .. }) => {
            finding::compare(args, place, answer)
        }
        ApplianceCommand::Snapshots(args) => files::snapshots(args.share.as_deref(), place, answer),
        ApplianceCommand::Files(args) => look(args, place, answer),
        ApplianceCommand::Download(args) => download::run(args, place, answer),
        ApplianceCommand::Restore(args) => restore::run(args, place, answer),
        ApplianceCommand::Restores(command) => restore::all(command, place, answer),
        ApplianceCommand::Incidents(command) => status::incidents(command, place, answer),
        ApplianceCommand::Events(args) => events::run(args.follow, place, answer),
        ApplianceCommand::Log(args) => log::run(args, place, answer),
        ApplianceCommand::Channels(command) => settings::channels(command, place, answer),
        ApplianceCommand::Offsite(command) => offsite::run(command, place, answer),
        ApplianceCommand::Policies(command) => settings::policies(command, place, answer),
        ApplianceCommand::TestRestore(args) => trial::run(args, place, answer),
        ApplianceCommand::Clock(ClockCommand::Confirm { yes }) => clock::confirm(*yes, place, answer),
        ApplianceCommand::SupportBundle(args) => download::bundle(args, place, answer),
        ApplianceCommand::SignIn(args) => session::sign_in(place, args, answer),
        ApplianceCommand::SignOut => session::sign_out(place, answer),
        ApplianceCommand::Users(command) => users::run(command, place, answer),
        ApplianceCommand::Tokens(command) => tokens::run(command, place, answer),
        ApplianceCommand::Box(BoxCommand::Claim(args)) => session::claim(place, args, answer),
    }
}

fn look(args: &FilesArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    match (&args.verb, &args.snapshot) {
        (Some(FilesVerb::Versions { share, path }), _) => finding::versions(share, path, place, answer),
        (Some(FilesVerb::Search { snapshot, text, path, limit }), _) => {
            finding::search(snapshot, text, path.as_deref(), *limit, place, answer)
        }
        (None, Some(snapshot)) => files::list(snapshot, args.path.as_deref(), place, answer),
        (None, None) => Err(CliError::Usage("which snapshot? 'keepwell snapshots' lists them".into())),
    }
}

/// What is plain data, as JSON.
fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("what came as JSON becomes JSON")
}

/// The word of an enum, as people read it.
fn word(value: &impl Serialize) -> String {
    json(value).as_str().unwrap_or_default().replace('-', " ")
}

/// How the command ends that waited for this.
fn exit_of(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Complete => Exit::Complete,
        Outcome::Partial => Exit::Partial,
        Outcome::Held => Exit::Held,
        Outcome::Failed | Outcome::Cancelled | Outcome::Cut => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use keepwell_duties::status::Mark;

    use super::*;

    #[test]
    fn words_and_exits() {
        assert_eq!([word(&Mark::NotSetUp), word(&Outcome::Cut)], ["not set up", "cut"]);
        let codes =
            [Outcome::Complete, Outcome::Partial, Outcome::Held, Outcome::Failed, Outcome::Cut].map(|outcome| exit_of(outcome).code());
        assert_eq!(codes, [0, 3, 3, 1, 1]);
    }
}

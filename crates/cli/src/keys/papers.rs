//! `keepwell keys print|confirm|rehearse`: one paper of the kit at a time, between keyd and a file.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use keepwell_api::keys::{ConfirmPaper, PaperConfirmed, PaperFormat, PaperQuestion, PrintPaper, Rehearse, Rehearsed};
use keepwell_api::{Base64, Client};
use keepwell_storage::Access;
use serde_json::json;

use super::args::{ConfirmArgs, PageFormat, PrintArgs, RehearseArgs};
use crate::exit::{CliError, Exit};
use crate::opening;
use crate::output::Answer;
use crate::unlock::secret_file;

/// Writes one page.
pub(super) fn print(args: &PrintArgs, keyd: &Client, answer: &mut Answer) -> Result<Exit, CliError> {
    let vault = opening::sealed(&args.vault.vault, Access::Read, answer)?.vault_id();
    let format = match args.format {
        PageFormat::Pdf => PaperFormat::Pdf,
        PageFormat::Text => PaperFormat::Text,
    };
    let request = PrintPaper { format, keeper: args.keeper.clone(), serial: args.serial.clone() };
    let page = keyd.post_for_bytes(&format!("/v1/vaults/{vault}/papers/{}", args.sheet), &request)?;
    write_new(&args.out, &page)?;
    answer.field("page", args.out.display().to_string());
    answer.line(format_args!(
        "Sheet {} is in {}. Print it, give it to {}, and delete the file.",
        args.sheet,
        args.out.display(),
        args.keeper
    ));
    answer.line(format_args!("Then: keepwell keys confirm --sheet {}", args.sheet));
    Ok(Exit::Complete)
}

/// For this user alone, and never over another file.
fn write_new(path: &Path, page: &[u8]) -> Result<(), CliError> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            CliError::Refused(format!("{} exists already and was left alone; give another --out", path.display()))
        }
        _ => CliError::file("make", path)(error),
    })?;
    file.write_all(page).and_then(|()| file.sync_all()).map_err(CliError::file("write", path))
}

/// Asks for six words, or takes them.
pub(super) fn confirm(args: &ConfirmArgs, keyd: &Client, answer: &mut Answer) -> Result<Exit, CliError> {
    let vault = opening::sealed(&args.vault.vault, Access::Read, answer)?.vault_id();
    let route = format!("/v1/vaults/{vault}/papers/{}", args.sheet);
    let Some(file) = &args.words_file else {
        let question: PaperQuestion = keyd.get(&route)?;
        answer.field("set", question.set);
        answer.field("places", json!(question.places));
        answer.line(format_args!(
            "Put these words of sheet {} of set {} into a file, in this order, and name it with --words-file:",
            args.sheet, question.set
        ));
        question.places.iter().for_each(|place| answer.line(format_args!("  row {}, word {}", place.row, place.word)));
        return Ok(Exit::Complete);
    };
    let words = secret_file(file)?;
    let words: Vec<Base64> =
        words.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(|word| word.to_vec().into()).collect();
    let words = <[Base64; 6]>::try_from(words)
        .map_err(|words| CliError::Usage(format!("{} holds {} words; six are needed", file.display(), words.len())))?;
    let done: PaperConfirmed = keyd.post(&format!("{route}/confirm"), &ConfirmPaper { words })?;
    if done.slots.is_some() {
        super::store(&args.vault.vault, keyd)?;
    }
    answer.field("left", json!(done.left));
    answer.line(format_args!("Sheet {} is on paper, as it should be.", args.sheet));
    match done.left.as_slice() {
        [] => answer.line("All three are. The kit is valid now, and the box has forgotten what is on them."),
        left => {
            let left: Vec<String> = left.iter().map(ToString::to_string).collect();
            answer.line(format_args!("Still to be printed and confirmed: sheet {}.", left.join(", sheet ")));
        }
    }
    Ok(Exit::Complete)
}

/// Checks one paper against the slots that the vault's disks hold now.
pub(super) fn rehearse(args: &RehearseArgs, keyd: &Client, answer: &mut Answer) -> Result<Exit, CliError> {
    let vault = opening::sealed(&args.vault.vault, Access::Read, answer)?;
    let slots = Some(vault.locks()?.0.encode().into());
    let request = Rehearse { paper: Base64(secret_file(&args.paper)?), slots };
    let done: Rehearsed = keyd.post("/v1/rehearse", &request)?;
    answer.field("set", done.set);
    answer.field("sheet", done.paper);
    answer.field("epoch", done.epoch);
    answer.line(format_args!(
        "Sheet {} of set {} is valid, and with a second sheet of its set it opens the newest key of this vault.",
        done.paper, done.set
    ));
    Ok(Exit::Complete)
}

//! `keepwell completions` and `keepwell man`: what shells and readers of manuals want to know of the command line, made from its definition. Says nothing that the definition does not say.

use std::fs::{self, DirBuilder};
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::args::Cli;
use crate::exit::{CliError, Exit};
use crate::output::Answer;

/// `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// For which shell
    #[arg(value_name = "SHELL", value_enum)]
    pub(crate) shell: Shell,
}

/// `man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Folder for the pages, one for each command: keepwell.1, keepwell-status.1 and so on; is made if it is not there
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: PathBuf,
}

/// `completions`.
pub(crate) fn completions(args: &CompletionsArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "keepwell", &mut script);
    let script = String::from_utf8_lossy(&script);
    answer.field("shell", args.shell.to_string());
    answer.field("script", &*script);
    answer.line(script.trim_end());
    Ok(Exit::Complete)
}

/// `man`.
pub(crate) fn pages(args: &ManArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    DirBuilder::new().recursive(true).create(&args.to).map_err(CliError::file("make the folder", &args.to))?;
    let pages = write(&documented(), &args.to)?;
    answer.field("pages", pages);
    answer.line(format_args!("{pages} pages are in {}. Read one with: man -l {}/keepwell.1", args.to.display(), args.to.display()));
    Ok(Exit::Complete)
}

/// The definition as far as people are told of it.
fn documented() -> Command {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    command
}

/// One page for the command and one for each below it; how many.
fn write(command: &Command, folder: &Path) -> Result<u64, CliError> {
    let page = Man::new(command.clone()).manual("Keepwell").source(concat!("keepwell ", env!("CARGO_PKG_VERSION")));
    let path = folder.join(page.get_filename());
    let mut text = Vec::new();
    page.render(&mut text).and_then(|()| fs::write(&path, &text)).map_err(CliError::file("write", &path))?;
    let below = command.get_subcommands().filter(|below| !below.is_hide_set());
    below.map(|below| write(below, folder)).try_fold(1, |sum, pages| Ok(sum + pages?))
}

#[cfg(test)]
mod tests {
    use std::process::{Command as Program, Stdio};

    use super::*;

    /// All commands that people are told of, with their whole names.
    fn all() -> Vec<(String, Command)> {
        fn under(command: &Command, found: &mut Vec<(String, Command)>) {
            found.push((command.get_display_name().unwrap_or(command.get_name()).to_owned(), command.clone()));
            command.get_subcommands().filter(|below| !below.is_hide_set()).for_each(|below| under(below, found));
        }
        let mut found = Vec::new();
        under(&documented(), &mut found);
        found
    }

    #[test]
    fn every_command_and_argument_is_explained() {
        for (name, command) in all() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.trim().is_empty(), "{name} has no words");
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(!help.trim().is_empty(), "{name} {}", argument.get_id());
            }
        }
    }

    #[test]
    fn each_command_has_a_page_that_renders() {
        let folder = tempfile::tempdir().unwrap();
        let pages = write(&documented(), folder.path()).unwrap();
        let all = all();
        assert_eq!(pages, all.len() as u64);
        let renderer = renderer();
        for (name, command) in all {
            let path = folder.path().join(format!("{name}.1"));
            let source = fs::read_to_string(&path).unwrap();
            assert!(source.contains(".TH ") && source.contains(".SH NAME") && source.contains(".SH SYNOPSIS"), "{name}: {source}");
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let word = about.split_whitespace().find(|word| word.chars().all(char::is_alphabetic)).unwrap_or_default();
            assert!(source.contains(word), "{name}: {source}");
            if let Some((program, words)) = renderer {
                let shown = Program::new(program).args(words).arg(&path).env("MANWIDTH", "100").stderr(Stdio::piped()).output().unwrap();
                let text = String::from_utf8_lossy(&shown.stdout);
                assert!(shown.status.success() && shown.stderr.is_empty() && text.contains(word), "{name}: {shown:?}");
            }
        }
    }

    /// What shows pages on this machine, if anything does; all of it with all warnings.
    fn renderer() -> Option<(&'static str, &'static [&'static str])> {
        const RENDERERS: [(&str, &[&str]); 2] = [("groff", &["-man", "-Tascii", "-wall"]), ("mandoc", &["-Tascii"])];
        RENDERERS.into_iter().find(|(program, _)| Program::new(program).arg("--version").output().is_ok_and(|found| found.status.success()))
    }

    #[test]
    fn each_shell_gets_a_script_that_knows_the_commands() {
        for shell in clap::ValueEnum::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate::<Shell, _>(*shell, &mut Cli::command(), "keepwell", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(["status", "sign-in", "totp-file"].iter().all(|word| script.contains(word)), "{shell}");
        }
    }
}

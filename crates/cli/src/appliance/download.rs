//! `keepwell download` and `keepwell support-bundle`: bytes that the box sends, into a file of this machine that is whole or not there.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use keepwell_api::Base64;
use keepwell_api::grants::{UNASKED_DOWNLOAD_BYTES, Verb};
use keepwell_api::vault::{Download, DownloadZip};
use serde::Serialize;
use serde_json::json;

use super::archive;
use super::args::{BundleArgs, DownloadArgs};
use super::new_file::NewFile;
use super::place::Place;
use crate::exit::{CliError, Exit};
use crate::output::{Answer, tell};
use crate::text;

/// vaultd's word for a path that has no bytes of its own.
const NO_FILE: &str = "no-file";
/// Its word for a grant for fewer bytes than there are.
const GRANT_TOO_SMALL: &str = "grant-too-small";

/// `download`.
pub(crate) fn run(args: &DownloadArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let paths = of_one_folder(&args.paths)?;
    let mut sink = Sink::of(&args.to, args.replace, answer.is_json())?;
    let snapshot = args.snapshot.clone();
    if let ([path], false) = (&*paths, args.zip) {
        let request = Download { snapshot: snapshot.clone(), path: path.clone() };
        match sink.files("/v1/files/content", &request, place) {
            Err(error) if error.code() == Some(NO_FILE) => {}
            written => {
                sink.finish(written?, "file", answer)?;
                return Ok(Exit::Complete);
            }
        }
    }
    let written = sink.files("/v1/files/zip", &DownloadZip { snapshot, paths }, place)?;
    let missing = sink.missing()?;
    sink.finish(written, "zip", answer)?;
    answer.field("missing", missing);
    match missing {
        None => tell("hint", "The archive's last entry, keepwell-receipt.txt, says whether anything is missing from it.", false),
        Some(0) => {}
        Some(missing) => answer
            .line(format_args!("Missing from it: {}. Its last entry, keepwell-receipt.txt, says which.", text::count(missing, "file"))),
    }
    Ok(Exit::of(missing.unwrap_or(0) == 0))
}

/// `support-bundle`.
pub(crate) fn bundle(args: &BundleArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let mut sink = Sink::of(&args.to, false, answer.is_json())?;
    let written = sink.fetch("/v1/support-bundle", Verb::SupportBundle, &json!({}), None, place)?;
    sink.finish(written, "support bundle", answer)?;
    Ok(Exit::Complete)
}

/// Names with `/` between them, without one at either end; all of one folder, as an archive has one.
fn of_one_folder(paths: &[OsString]) -> Result<Vec<Base64>, CliError> {
    let trimmed = |path: &OsString| {
        let path = path.as_bytes();
        let end = path.len() - path.iter().rev().take_while(|byte| **byte == b'/').count();
        let begin = path[..end].iter().take_while(|byte| **byte == b'/').count();
        path[begin..end].to_vec()
    };
    let paths: Vec<Vec<u8>> = paths.iter().map(trimmed).collect();
    let folder = |path: &[u8]| path.iter().rposition(|byte| *byte == b'/').map(|end| path[..end].to_vec());
    if paths.iter().any(|path| folder(path) != folder(&paths[0])) {
        return Err(CliError::Usage(
            "all paths have to be of one folder: name that folder instead, or give the command once for each".into(),
        ));
    }
    Ok(paths.into_iter().map(Base64::from).collect())
}

/// Where the bytes go.
enum Sink<'a> {
    Stdout,
    File(NewFile, &'a Path),
}

impl<'a> Sink<'a> {
    fn of(to: &'a Path, replace: bool, json: bool) -> Result<Self, CliError> {
        if to != Path::new("-") {
            let file = NewFile::begin(to, replace)?;
            file.remove_when_ended()?;
            return Ok(Self::File(file, to));
        }
        if json {
            return Err(CliError::Usage("standard output can't hold both the bytes and the answer in JSON: give --to FILE".into()));
        }
        Ok(Self::Stdout)
    }

    /// Files, with as small a grant as does: a large one takes the second factor.
    fn files(&mut self, route: &str, request: &impl Serialize, place: &Place) -> Result<u64, CliError> {
        match self.fetch(route, Verb::Download, request, Some(UNASKED_DOWNLOAD_BYTES), place) {
            Err(error) if error.code() == Some(GRANT_TOO_SMALL) => self.fetch(route, Verb::Download, request, None, place),
            written => written,
        }
    }

    /// Asks for the bytes, and takes them in. Answers their number.
    fn fetch(&mut self, route: &str, verb: Verb, request: &impl Serialize, max_bytes: Option<u64>, place: &Place) -> Result<u64, CliError> {
        let client = place.allowed(verb, request, max_bytes)?;
        Ok(match self {
            Self::Stdout => client.post_for_stream(route, request, &mut io::stdout().lock())?,
            Self::File(file, _) => client.post_for_stream(route, request, file)?,
        })
    }

    /// Of an archive, how much is missing from it, where that can be seen.
    fn missing(&self) -> Result<Option<u64>, CliError> {
        match self {
            Self::Stdout => Ok(None),
            Self::File(file, _) => archive::missing(file.part()).map(Some),
        }
    }

    /// All of it came.
    fn finish(self, written: u64, what: &str, answer: &mut Answer) -> Result<(), CliError> {
        match self {
            Self::Stdout => tell("done", &format!("{what}: {}", text::count(written, "byte")), false),
            Self::File(file, to) => {
                file.finish()?;
                answer.field("to", text::bytes_fields("path", to.as_os_str().as_bytes()));
                answer.field("form", what);
                answer.field("written_bytes", written);
                answer.line(format_args!("{} is there: {what}, {}.", to.display(), text::size(written)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_of_one_folder() {
        let of = |paths: &[&str]| of_one_folder(&paths.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(of(&["/a/b/", "a//c"]).map_err(|_| ()), Err(()));
        assert_eq!(of(&["/a/b/", "a/c"]).unwrap(), [Base64::from(b"a/b".to_vec()), Base64::from(b"a/c".to_vec())]);
        assert_eq!(of(&["x", "y"]).unwrap().len(), 2);
        assert_eq!(of(&["/"]).unwrap(), [Base64::default()]);
        assert!(of(&["x", "a/y"]).is_err() && of(&["a/b", "c/b"]).is_err());
    }
}

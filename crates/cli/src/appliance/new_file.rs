//! A file that gets its name when all of it is there and on its disk: until then it is beside it under another one, for this user alone, and goes away with the command, however that ends
//! but by `kill -9`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;

use nix::sys::signal::{SigSet, Signal};

use crate::exit::CliError;

/// One that is being written.
pub(crate) struct NewFile {
    target: PathBuf,
    part: PathBuf,
    file: File,
    replace: bool,
}

impl NewFile {
    /// Begins one. A file that is there is left alone unless it is to be replaced.
    pub(crate) fn begin(target: &Path, replace: bool) -> Result<Self, CliError> {
        let name = target.file_name().ok_or_else(|| CliError::Usage(format!("{} names no file", target.display())))?;
        if !replace {
            refuse_existing(target)?;
        }
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", process::id()));
        let part = target.with_file_name(hidden);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).map_err(CliError::file("make", &part))?;
        Ok(Self { target: target.to_owned(), part, file, replace })
    }

    /// From now on a signal that ends the command takes the file with it. Before there are other threads, which inherit it.
    pub(crate) fn remove_when_ended(&self) -> Result<(), CliError> {
        let mut told = SigSet::empty();
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().for_each(|signal| told.add(signal));
        told.thread_block().map_err(|error| CliError::Refused(format!("signals can't be waited for: {error}")))?;
        let part = self.part.clone();
        thread::spawn(move || {
            if let Ok(signal) = told.wait() {
                let _ = fs::remove_file(part);
                process::exit(128 + signal as i32);
            }
        });
        Ok(())
    }

    /// Where it is until then.
    pub(crate) fn part(&self) -> &Path {
        &self.part
    }

    /// Gives it its name: bytes to the disk, name, folder to the disk.
    pub(crate) fn finish(self) -> Result<(), CliError> {
        self.file.sync_all().map_err(CliError::file("write", &self.part))?;
        if !self.replace {
            refuse_existing(&self.target)?;
        }
        fs::rename(&self.part, &self.target).map_err(CliError::file("give its name to", &self.target))?;
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(CliError::file("write", folder))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // Gone already where it got its name.
        let _ = fs::remove_file(&self.part);
    }
}

fn refuse_existing(target: &Path) -> Result<(), CliError> {
    match fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CliError::file("look for", target)(error)),
        Ok(_) => Err(CliError::Refused(format!("{} exists already and was left alone; name another file", target.display()))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_has_its_name_when_it_is_whole_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("letter.pdf");
        let mut file = NewFile::begin(&target, false).unwrap();
        file.write_all(b"abc").unwrap();
        assert!(!target.exists());
        file.finish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"abc");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
        drop(NewFile::begin(&folder.path().join("other"), false).unwrap());
        let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["letter.pdf"]);
    }

    #[test]
    fn what_is_there_stays_unless_it_is_to_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let file = NewFile::begin(&target, false).unwrap();
        fs::write(&target, "there").unwrap();
        assert!(file.finish().is_err(), "it came to be there meanwhile");
        assert!(NewFile::begin(&target, false).is_err());
        assert_eq!(fs::read(&target).unwrap(), b"there");
        NewFile::begin(&target, true).unwrap().finish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }
}

//! Reads what opens a vault: two kit files, a passphrase, or keyd's answer. Never from the terminal; forgets it when dropped.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use keepwell_crypt::KitFile;
use keepwell_vault::{Sealed, Unlock};
use zeroize::Zeroizing;

use crate::args::UnlockArg;
use crate::exit::CliError;
use crate::{keys, memory};

/// More than any kit file, passphrase or password is long.
const LONGEST: usize = 64 << 10;

/// Takes from where `--unlock` says what opens the vault.
pub(crate) fn load(arg: &UnlockArg, vault: &Sealed) -> Result<Unlock, CliError> {
    memory::seclude();
    match arg {
        UnlockArg::Kit(a, b) => Ok(Unlock::Kit(kit_file(a)?, kit_file(b)?)),
        UnlockArg::Passphrase(path) => Ok(Unlock::Passphrase(secret_line(path, "passphrase")?)),
        UnlockArg::Keyd(socket) => Ok(Unlock::Keyring(Box::new(keys::open(socket, vault)?))),
    }
}

/// A file's only line, without its line break: a passphrase or password.
pub(crate) fn secret_line(path: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let mut secret = secret_file(path)?;
    if secret.ends_with(b"\n") {
        secret.pop();
        if secret.ends_with(b"\r") {
            secret.pop();
        }
    }
    if secret.is_empty() {
        return Err(CliError::Refused(format!("the {what} file {} is empty; nothing was changed", path.display())));
    }
    Ok(secret)
}

pub(crate) fn kit_file(path: &Path) -> Result<KitFile, CliError> {
    let bytes = secret_file(path)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| CliError::Refused(format!("{} is no text, so it can't be a kit file; nothing was changed", path.display())))?;
    keepwell_paper::read(text).map_err(|source| CliError::Kit { path: path.into(), source: Box::new(source) })
}

/// The buffer never grows, so no copy of a secret stays behind in freed memory.
pub(crate) fn secret_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let failed = |error: io::Error| CliError::file("read", path)(error);
    let mut file = File::open(path).map_err(failed)?;
    let mut bytes = Zeroizing::new(vec![0; LONGEST + 1]);
    let mut length = 0;
    while length < bytes.len() {
        match file.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    if length > LONGEST {
        return Err(CliError::Refused(format!("{} is longer than 64 KiB: it is not the file that is meant here", path.display())));
    }
    bytes.truncate(length);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_line_break_is_no_part_of_a_secret() {
        let folder = tempfile::tempdir().unwrap();
        let of = |content: &[u8]| {
            let path = folder.path().join("secret");
            std::fs::write(&path, content).unwrap();
            secret_line(&path, "passphrase").map(|secret| secret.to_vec()).ok()
        };
        assert_eq!(of(b" a b \n"), Some(b" a b ".to_vec()));
        assert_eq!(of(b"a\r\n"), Some(b"a".to_vec()));
        assert_eq!(of(b"a\n\n"), Some(b"a\n".to_vec()));
        assert_eq!([of(b""), of(b"\n"), of(&vec![b'a'; LONGEST + 1])], [None, None, None]);
    }
}

//! What a ZIP archive that the box made says of itself in its last entry: how much is missing from it. Unpacks nothing else.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zip::ZipArchive;

use crate::exit::CliError;

/// The entry.
const RECEIPT: &str = "keepwell-receipt.txt";
/// No receipt is longer: 2,000 lines of each kind, of long paths.
const RECEIPT_MAX: u64 = 64 << 20;
/// Begins the line with their number.
const MISSING: &str = "Missing from this archive: ";

/// How many files and folders are missing from the archive.
pub(crate) fn missing(path: &Path) -> Result<u64, CliError> {
    let file = File::open(path).map_err(CliError::file("read", path))?;
    let broken = |error: zip::result::ZipError| CliError::file("read the archive", path)(error.into());
    let mut archive = ZipArchive::new(file).map_err(broken)?;
    let entry = archive.by_name(RECEIPT).map_err(broken)?;
    let mut text = Vec::new();
    entry.take(RECEIPT_MAX).read_to_end(&mut text).map_err(CliError::file("read", path))?;
    Ok(count(&String::from_utf8_lossy(&text)))
}

fn count(receipt: &str) -> u64 {
    receipt.lines().find_map(|line| line.strip_prefix(MISSING)?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_receipt_has_the_number() {
        assert_eq!(count("3 files\n\nMissing from this archive: 12\n  a: locked\n"), 12);
        assert_eq!(count("Files of the share 'Missing from this archive: 3'\n3 files\n"), 0);
    }
}

//! A page read back, from whatever it became: our text, the text of our PDF, or what a QR reader prints.

use keepwell_crypt::{CryptError, KitFile};

/// What some QR readers put before what they read.
const PREFIX: &str = "QR-Code:";

/// The share on a page. The errors name the row and the word that are wrong.
pub fn read(text: &str) -> Result<KitFile, CryptError> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    KitFile::parse(text.strip_prefix(PREFIX).unwrap_or(text))
}

//! Parsers of `keepwell-crypt`.

use keepwell_crypt::{KitFile, KitSeed, Sealer, Secret, Share, unwrap_with_seed};

/// The seed that opens the valid inputs of [`kit_slot`].
pub const SEED: [u8; 32] = [7; 32];

/// A sheet of the recovery kit.
pub fn kit_file(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    if let Ok(file) = KitFile::parse(text) {
        let again = KitFile::parse(&file.lines()).expect("what is written is read");
        assert_eq!((again.vault, again.set, again.share.to_words()), (file.vault, file.set, file.share.to_words()));
    }
}

/// The words of a sheet, as a person types them: a row a line.
pub fn kit_words(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let mut lines = text.lines();
    let rows = std::array::from_fn(|_| lines.next().unwrap_or_default());
    match Share::from_words(rows) {
        Ok(share) => {
            let words = share.to_words().map(|row| row.join(" "));
            let again = Share::from_words(words.each_ref().map(String::as_str)).expect("what is written is read");
            assert_eq!(again.to_words(), share.to_words());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The age file of a kit slot.
pub fn kit_slot(data: &[u8]) {
    if let Ok(payload) = unwrap_with_seed(&KitSeed::from_bytes(SEED), data) {
        assert!(payload.len() < data.len());
    }
}

/// A sealed message: what opens is what would be sealed.
pub fn sealed(data: &[u8]) {
    let sealer = Sealer::new(&Secret::from_bytes(SEED), "fuzz");
    if let Ok(plain) = sealer.open(b"aad", data) {
        assert_eq!(sealer.seal(b"aad", &plain), data);
    }
}

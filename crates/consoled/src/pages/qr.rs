//! Texts as pictures that a telephone reads. Draws only.

use qrcode::{Color, EcLevel, QrCode};

/// A QR code, as the path of its dark modules.
pub(crate) struct Qr {
    /// Modules of a side, with the white around it.
    pub(crate) side: usize,
    pub(crate) path: String,
}

impl Qr {
    /// None where the text is longer than a code can be.
    pub(crate) fn of(text: &[u8]) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
        // Four modules of white around it: ISO/IEC 18004, section 9.1.
        let (width, quiet) = (code.width(), 4);
        let dark = code.to_colors().into_iter().enumerate().filter(|(_, color)| *color == Color::Dark);
        let path = dark.map(|(at, _)| format!("M{} {}h1v1h-1z", at % width + quiet, at / width + quiet)).collect();
        Some(Self { side: width + 2 * quiet, path })
    }
}

//! The pages of the recovery kit: one share each, as text or as a PDF to print, and both read back, as are photographs of the QR code; and the sheet beside them that says where the
//! second site is.
//!
//! Owns wording and looks of a page. Never does I/O, never holds two shares, and has no say in what a share is (`keepwell-crypt`).

mod page;
mod pdf;
mod place;
mod read;
mod text;

pub use page::Facts;
pub use pdf::pdf;
pub use place::{PlaceSheet, place_pdf, place_text};
pub use read::read;
pub use text::text;

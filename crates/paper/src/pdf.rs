//! A page as a PDF (ISO 32000-1): one sheet that prints the same everywhere, with the share in words and as a QR code.
//!
//! Fonts are of the standard 14 (9.6.2.2), which every reader has; sizes are points, from the bottom left. The content is kept within what
//! Letter and A4 have in common.

use keepwell_crypt::KitFile;
use pdf_writer::types::LineCapStyle;
use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str};
use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

use crate::Facts;
use crate::page;

/// Letter is the wider, A4 the higher.
const SHEET: Rect = Rect { x1: 0.0, y1: 0.0, x2: 612.0, y2: 792.0 };
pub(crate) const LEFT: f32 = 54.0;
const RIGHT: f32 = 541.0;
pub(crate) const TOP: f32 = 738.0;
/// Side of the QR code; a telephone reads it at arm's length.
const CODE: f32 = 150.0;

/// More than any page has, so that what is drawn never moves and leaves no copy of a share behind.
const ROOM: usize = 512 << 10;

const CATALOG: Ref = Ref::new(1);
const PAGES: Ref = Ref::new(2);
const PAGE: Ref = Ref::new(3);
const CONTENT: Ref = Ref::new(4);
const INFO: Ref = Ref::new(5);

/// Name in the page's resources, base font, object.
const FONTS: [(&[u8], &[u8], Ref); 3] =
    [(b"Bold", b"Helvetica-Bold", Ref::new(6)), (b"Plain", b"Helvetica", Ref::new(7)), (b"Words", b"Courier-Bold", Ref::new(8))];
pub(crate) const BOLD: usize = 0;
pub(crate) const PLAIN: usize = 1;
pub(crate) const WORDS: usize = 2;

/// The page. [`crate::read`] reads the text that a PDF reader takes out of it, and what a QR reader sees.
pub fn pdf(kit: &KitFile, facts: &Facts) -> Zeroizing<Vec<u8>> {
    in_a_pdf(&page::title(kit), |sheet| draw(kit, facts, sheet))
}

/// What is drawn, on one sheet.
pub(crate) fn in_a_pdf(title: &str, draw: impl FnOnce(&mut Sheet)) -> Zeroizing<Vec<u8>> {
    let mut pdf = Pdf::with_capacity(2 * ROOM);
    pdf.catalog(CATALOG).pages(PAGES);
    pdf.pages(PAGES).kids([PAGE]).count(1);
    let mut page = pdf.page(PAGE);
    page.parent(PAGES).media_box(SHEET).contents(CONTENT);
    let mut resources = page.resources();
    let mut fonts = resources.fonts();
    for (name, _, font) in FONTS {
        fonts.pair(Name(name), font);
    }
    fonts.finish();
    resources.finish();
    page.finish();
    for (_, base, font) in FONTS {
        pdf.type1_font(font).base_font(Name(base)).encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    let mut sheet = Sheet { content: Content::with_capacity(ROOM), y: TOP };
    draw(&mut sheet);
    let content = Zeroizing::new(sheet.content.finish().into_vec());
    pdf.stream(CONTENT, &content);
    pdf.document_info(INFO).title(pdf_writer::TextStr(title));
    Zeroizing::new(pdf.finish())
}

fn draw(kit: &KitFile, facts: &Facts, sheet: &mut Sheet) {
    sheet.line(BOLD, 18.0, LEFT, 26.0, &page::title(kit));
    sheet.rule();
    let lines = kit.lines();
    sheet.code(&lines);
    for (name, value) in page::facts(kit, facts) {
        sheet.write(BOLD, 10.0, LEFT, name);
        let value: String = value.chars().take(44).collect();
        sheet.line(PLAIN, 10.0, LEFT + 80.0, 17.0, &value);
    }
    sheet.below_code(TOP);
    for section in page::sections(kit) {
        sheet.line(BOLD, 11.5, LEFT, 15.0, section.title);
        for line in &section.lines {
            sheet.line(PLAIN, 10.0, LEFT + 10.0, 13.5, line);
        }
        sheet.y -= 8.0;
    }
    sheet.rule();
    for line in lines.lines() {
        sheet.line(WORDS, 10.0, LEFT, 19.0, line);
    }
}

/// A page under way; `y` is where the next line stands.
pub(crate) struct Sheet {
    content: Content,
    pub(crate) y: f32,
}

impl Sheet {
    /// Text at the current height, which stays.
    pub(crate) fn write(&mut self, font: usize, size: f32, x: f32, text: &str) {
        let text = Zeroizing::new(win_ansi(text));
        self.content.begin_text().set_font(Name(FONTS[font].0), size).next_line(x, self.y).show(Str(&text)).end_text();
    }

    pub(crate) fn line(&mut self, font: usize, size: f32, x: f32, height: f32, text: &str) {
        self.write(font, size, x, text);
        self.y -= height;
    }

    pub(crate) fn rule(&mut self) {
        let y = self.y + 8.0;
        self.content.set_line_width(0.8).set_line_cap(LineCapStyle::ButtCap).move_to(LEFT, y).line_to(RIGHT, y).stroke();
        self.y -= 12.0;
    }

    /// On below a QR code that stands under a title at this height.
    pub(crate) fn below_code(&mut self, top: f32) {
        self.y = self.y.min(top - 34.0 - CODE) - 6.0;
    }

    /// A text, such as a share, as a QR code at the right edge, its upper side at the current height.
    pub(crate) fn code(&mut self, lines: &str) {
        let code =
            QrCode::with_error_correction_level(lines.as_bytes(), EcLevel::M).expect("a share or a place is shorter than a code's limit");
        let modules = code.width();
        let side = CODE / modules as f32;
        let top = self.y + 10.0;
        let mut colors = code.into_colors();
        for (number, color) in colors.iter().enumerate() {
            if *color == Color::Dark {
                let (row, column) = (number / modules, number % modules);
                // A hair wider than a module: readers that smooth edges would show gaps between neighbours.
                self.content.rect(RIGHT - CODE + column as f32 * side, top - (row + 1) as f32 * side, side + 0.05, side + 0.05);
            }
        }
        // The modules may be a share. What the encoder leaves behind, only an allocator that wipes takes away: keyd has one.
        colors.fill(Color::Light);
        std::hint::black_box(&colors);
        self.content.fill_nonzero();
    }
}

/// Windows-1252 as far as it equals Latin-1; what it lacks becomes a question mark, which no line that matters has.
fn win_ansi(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok().filter(|b| matches!(b, 0x20..=0x7e | 0xa0..)).unwrap_or(b'?')).collect()
}

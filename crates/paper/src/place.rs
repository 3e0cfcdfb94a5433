//! The sheet that is kept beside the papers: where the second site is, and how a new box knows it. No secret, and no share.

use crate::page::one_line;
use crate::pdf::{BOLD, LEFT, PLAIN, Sheet, TOP, WORDS, in_a_pdf};

const TITLE: &str = "KEEPWELL - SECOND SITE";
/// Groups of a code in a row.
const IN_A_ROW: usize = 8;

/// What it says.
#[derive(Clone, Copy, Debug)]
pub struct PlaceSheet<'a> {
    /// What people call the place.
    pub place: &'a str,
    /// `host:port`.
    pub address: &'a str,
    /// The name of its key: 64 digits.
    pub key: &'a str,
    /// The code that a new box takes, in groups.
    pub code: &'a [String],
}

impl PlaceSheet<'_> {
    fn facts(&self) -> [(&'static str, String); 4] {
        let half = self.key.len() / 2;
        let (one, other) = self.key.split_at_checked(half).unwrap_or((self.key, ""));
        [("Place", one_line(self.place)), ("Address", one_line(self.address)), ("Its key", one_line(one)), ("", one_line(other))]
    }

    fn rows(&self) -> Vec<String> {
        self.code.chunks(IN_A_ROW).map(|row| row.join(" ")).collect()
    }
}

const SECTIONS: [(&str, &[&str]); 3] = [
    ("What this is", &["It says where a copy of the backups is, and opens nothing.", "Keep a copy with each sheet of the recovery kit."]),
    (
        "When the box is lost, stolen or broken",
        &[
            "1. Put empty disks into a new Keepwell box. Do not set it up in the browser.",
            "2. At its own screen: Recovery papers, then: The box is gone, its backups are",
            "   at another site. It asks for the code below, and for two sheets of the kit.",
            "   Or with the program keepwell, on any computer:",
            "   keepwell recover --place CODE --papers FILE,FILE --to FOLDER",
        ],
    ),
    ("When the address of the other box changes", &["Print this sheet again, and destroy this one."]),
];

/// The sheet as text of at most 80 columns.
pub fn place_text(sheet: &PlaceSheet<'_>) -> String {
    let mut page = format!("{TITLE}\n{}\n\n", "=".repeat(TITLE.len()));
    for (name, value) in sheet.facts() {
        let value: String = value.chars().take(66).collect();
        page.push_str(&format!("{name:<12} {value}\n"));
    }
    for (title, lines) in SECTIONS {
        page.push_str(&format!("\n{title}\n"));
        lines.iter().for_each(|line| page.push_str(&format!("  {line}\n")));
    }
    page.push_str("\nThe code\n");
    sheet.rows().iter().for_each(|row| page.push_str(&format!("  {row}\n")));
    page
}

/// The sheet as a PDF, with the code as a QR code too.
pub fn place_pdf(sheet: &PlaceSheet<'_>) -> Vec<u8> {
    let draw = |page: &mut Sheet| {
        page.line(BOLD, 18.0, LEFT, 26.0, TITLE);
        page.rule();
        // Capitals alone make a smaller picture.
        page.code(&sheet.code.concat().to_ascii_uppercase());
        for (name, value) in sheet.facts() {
            page.write(BOLD, 10.0, LEFT, name);
            let value: String = value.chars().take(44).collect();
            page.line(PLAIN, 10.0, LEFT + 60.0, 17.0, &value);
        }
        page.below_code(TOP);
        for (title, lines) in SECTIONS {
            page.line(BOLD, 11.5, LEFT, 15.0, title);
            lines.iter().for_each(|line| page.line(PLAIN, 10.0, LEFT + 10.0, 13.5, line));
            page.y -= 8.0;
        }
        page.rule();
        sheet.rows().iter().for_each(|row| page.line(WORDS, 11.0, LEFT, 19.0, row));
    };
    in_a_pdf(TITLE, draw).to_vec()
}

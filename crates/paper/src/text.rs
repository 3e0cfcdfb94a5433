//! A page as plain text, for a screen, a printer without a driver, or a file on a stick.

use std::fmt::Write as _;

use keepwell_crypt::KitFile;
use zeroize::Zeroizing;

use crate::Facts;
use crate::page;

/// More than any page has, so that the text never moves and leaves no copy of a share behind.
const ROOM: usize = 16 << 10;

/// The page. [`crate::read`] reads it back.
pub fn text(kit: &KitFile, facts: &Facts) -> Zeroizing<String> {
    let mut page = Zeroizing::new(String::with_capacity(ROOM));
    let title = page::title(kit);
    put(&mut page, format_args!("{title}\n{}\n\n", "=".repeat(title.len())));
    for (name, value) in page::facts(kit, facts) {
        let value: String = value.chars().take(200).collect();
        put(&mut page, format_args!("{name:<12} {value}\n"));
    }
    for section in page::sections(kit) {
        put(&mut page, format_args!("\n{}\n", section.title));
        for line in &section.lines {
            put(&mut page, format_args!("  {line}\n"));
        }
    }
    put(&mut page, format_args!("\n{}", *kit.lines()));
    page
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a string takes all");
}

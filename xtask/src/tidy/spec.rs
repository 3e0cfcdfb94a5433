//! Ties the pages that specify bytes to the source: each magic, context and purpose that `docs/format.md` spells out in quotes, or another page in backticks, occurs in the
//! code. A string that only one of them knows is a format that nobody wrote down, or one that nobody reads.

use super::Complaint;
use super::tree::Tree;

const PAGE: &str = "docs/format.md";
/// Pages of formats that are not the vault's.
const FURTHER: [&str; 3] = ["docs/ledger.md", "docs/ingest.md", "docs/wire.md"];

/// Words of the page, and how the source says the same. One changes with the other.
const SIZES: [(&str, &str); 8] = [
    ("a header of 160 bytes", "HEADER_LEN: usize = 160;"),
    ("A pack is at most 64 MiB", "MAX_PACK: u64 = 64 << 20;"),
    ("256 KiB are written as whole copies", "SMALL: u64 = 256 << 10;"),
    ("Plaintext length is 1 byte to 16 MiB", "MAX_BLOB: usize = 16 << 20;"),
    ("its encoding has reached 64 KiB", "FULL_ENCODED: usize = 64 << 10;"),
    ("More than 64 extents: form 1", "MAX_INLINE_EXTENTS: usize = 64;"),
    ("or at 512 items", "MAX_PAGE_ITEMS: usize = 512;"),
    ("first gaps, at most 100", "MAX_GAPS: usize = 100;"),
];

pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    let Some(page) = tree.get(PAGE) else {
        return vec![Complaint::new(PAGE, "is missing")];
    };
    let source: String = tree.rust().filter(|(path, _)| path.starts_with("crates/")).map(|(_, text)| shipped(text)).collect();
    let mut complaints = Vec::new();
    for (at, line) in page.lines().enumerate() {
        let unknown = constants(line).into_iter().filter(|constant| !source.contains(constant.trim()));
        complaints.extend(unknown.map(|constant| Complaint::at(PAGE, at + 1, format!("no source file has {constant}"))));
    }
    let further: Vec<_> = FURTHER.into_iter().filter_map(|name| Some((name, tree.get(name)?))).collect();
    for (name, page) in &further {
        let constants = page.lines().flat_map(|line| spans(line, '`')).filter(|word| is_magic(word) || word.starts_with("keepwell v1 "));
        let unknown = constants.filter(|constant| !source.contains(constant));
        complaints.extend(unknown.map(|constant| Complaint::new(*name, format!("no source file has {constant}"))));
    }
    let written: String = std::iter::once(page).chain(further.into_iter().map(|(_, page)| page)).collect();
    complaints.extend(unwritten_magics(tree, &written));
    complaints.extend(unequal_sizes(page, &source));
    complaints
}

/// Bounds that page and source no longer say alike.
fn unequal_sizes(page: &str, source: &str) -> impl Iterator<Item = Complaint> {
    let apart = SIZES.iter().filter(move |(words, code)| page.contains(words) != source.contains(code));
    apart.map(|(words, code)| Complaint::new(PAGE, format!("\"{words}\" and `{code}` belong together, and one of them is gone")))
}

/// Magics in the source that no page knows.
fn unwritten_magics(tree: &Tree, pages: &str) -> Vec<Complaint> {
    let sources = tree.rust().filter(|(path, _)| path.starts_with("crates/"));
    let magics =
        sources.flat_map(|(path, text)| quoted(shipped(text)).into_iter().filter(|word| is_magic(word)).map(move |word| (path, word)));
    magics
        .filter(|(_, word)| !pages.contains(word))
        .map(|(path, word)| Complaint::new(path, format!("neither {PAGE} nor {} knows \"{word}\"", FURTHER.join(" nor "))))
        .collect()
}

/// What comes before the unit tests.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

/// What a line says that bytes on disk or keys depend on: magics and contexts, and the purpose in each `seal(`, with its quotes.
fn constants(line: &str) -> Vec<String> {
    let named = quoted(line).into_iter().filter(|word| is_magic(word) || word.starts_with("keepwell "));
    let purposes = line.split("seal(").skip(1).filter_map(|arguments| quoted(arguments).into_iter().next());
    named.map(str::to_owned).chain(purposes.map(|purpose| format!("\"{purpose}\""))).collect()
}

fn is_magic(word: &str) -> bool {
    let letters = word.trim_end_matches("\\0");
    letters.len() >= 6 && letters.starts_with("KW") && letters.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn quoted(text: &str) -> Vec<&str> {
    text.lines().flat_map(|line| spans(line, '"')).collect()
}

/// What stands between two of a mark.
fn spans(line: &str, mark: char) -> impl Iterator<Item = &str> {
    line.split(mark).skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str =
        "//! A.\nconst MAGIC: &[u8] = b\"KWTHING\\0\";\nconst SEAL: &str = \"thing\";\nlet key = derive(\"keepwell v1 thing\");\n";

    fn complaints(page: &str, source: &str) -> usize {
        check(&Tree::of(&[(PAGE, page), ("crates/a/src/lib.rs", source)])).len()
    }

    #[test]
    fn what_both_know_is_fine() {
        let page = "`\"KWTHING\\0\" [8] ‖ seal(key, \"thing\", aad, x)`\n`KDF(\"keepwell v1 thing\", k)`, \"quoted for people\"\n";
        assert_eq!(complaints(page, SOURCE), 0);
    }

    #[test]
    fn what_only_the_page_knows_is_named() {
        assert_eq!(complaints("\"KWTHING\\0\" \"KWOTHER\\0\"", SOURCE), 1);
        assert_eq!(complaints("\"KWTHING\\0\" seal(key, \"other\", aad)", SOURCE), 1);
        assert_eq!(complaints("\"KWTHING\\0\" KDF(\"keepwell v1 other\", k)", SOURCE), 1);
    }

    #[test]
    fn another_page_may_specify_it_and_is_held_to_the_source_too() {
        let further = |text| check(&Tree::of(&[(PAGE, ""), (FURTHER[0], text), ("crates/a/src/lib.rs", SOURCE)])).len();
        assert_eq!(further("`KWTHING\\0`, context `keepwell v1 thing`; `keepwell log verify`"), 0);
        assert_eq!(further("`KWTHING\\0`, context `keepwell v1 other`"), 1);
        assert_eq!(further("nothing"), 1);
    }

    #[test]
    fn a_bound_that_changes_on_one_side_is_named() {
        let (words, code) = SIZES[0];
        let page = format!("\"KWTHING\\0\" {words}");
        assert_eq!(complaints(&page, &format!("{SOURCE}const {code}\n")), 0);
        assert_eq!(complaints(&page, SOURCE), 1);
        assert_eq!(complaints("\"KWTHING\\0\"", &format!("{SOURCE}const {code}\n")), 1);
    }

    #[test]
    fn what_only_the_source_knows_is_named_but_not_in_its_tests() {
        assert_eq!(complaints("", SOURCE), 1);
        assert_eq!(complaints("", &format!("//! A.\n#[cfg(test)]\n{SOURCE}")), 0);
    }
}

//! Ties `docs/format.md` to the source: each magic, context and purpose that the page spells out in quotes occurs in the code.
//! A string that only one of them knows is a format that nobody wrote down, or one that nobody reads.

use super::Complaint;
use super::tree::Tree;

const PAGE: &str = "docs/format.md";

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
    complaints.extend(unwritten_magics(tree, page));
    complaints
}

/// Magics in the source that the page does not know.
fn unwritten_magics(tree: &Tree, page: &str) -> Vec<Complaint> {
    let sources = tree.rust().filter(|(path, _)| path.starts_with("crates/"));
    let magics =
        sources.flat_map(|(path, text)| quoted(shipped(text)).into_iter().filter(|word| is_magic(word)).map(move |word| (path, word)));
    magics
        .filter(|(_, word)| !page.contains(word))
        .map(|(path, word)| Complaint::new(path, format!("{PAGE} does not know \"{word}\"")))
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
    text.lines().flat_map(|line| line.split('"').skip(1).step_by(2)).collect()
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
    fn what_only_the_source_knows_is_named_but_not_in_its_tests() {
        assert_eq!(complaints("", SOURCE), 1);
        assert_eq!(complaints("", &format!("//! A.\n#[cfg(test)]\n{SOURCE}")), 0);
    }
}

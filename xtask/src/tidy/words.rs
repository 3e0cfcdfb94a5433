//! Words that no file of the project may hold: it speaks of the product, not of the places where it was written.
//! The list is kept in pieces, so that it does not find itself.

use super::Complaint;
use super::tree::Tree;

const FORBIDDEN: [&str; 22] = [
    concat!("/wo", "rk/"),
    concat!("/fa", "rm/"),
    concat!("/ho", "me/"),
    concat!(".lib", "rary"),
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("//crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("proxy.golang", ".org"),
    concat!("deb.debian", ".org"),
    concat!("language ", "model"),
    concat!("chat", "gpt"),
    concat!("cla", "ude"),
    concat!("sub-", "agent"),
    concat!("sub", "agent"),
    concat!("ai ", "agent"),
    concat!("work", "place"),
    concat!("earlier ", "session"),
    concat!("session of the ", "project"),
];

/// Written by cargo, which names its registry in it.
const EXEMPT: &str = "Cargo.lock";

pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    let files = tree.files().filter(|(path, _)| *path != EXEMPT);
    files.flat_map(|(path, text)| check_file(path, text)).collect()
}

fn check_file(path: &str, text: &str) -> Vec<Complaint> {
    let text = text.to_lowercase();
    if !FORBIDDEN.iter().any(|word| text.contains(word)) {
        return Vec::new();
    }
    let lines = text.lines().enumerate();
    let found = lines.flat_map(|(at, line)| FORBIDDEN.iter().filter(move |word| line.contains(**word)).map(move |word| (at + 1, word)));
    found.map(|(line, word)| Complaint::at(path, line, format!("may not say '{word}'"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_word_is_found_with_its_line_whatever_its_case() {
        let text = format!("fine\nsee {}x\n", FORBIDDEN[0].to_uppercase());
        let complaints = check(&Tree::of(&[("docs/a.md", &text)]));
        assert_eq!(complaints.len(), 1);
        assert!(complaints[0].to_string().starts_with("docs/a.md:2: "));
    }

    #[test]
    fn the_lock_file_may_name_the_registry_and_this_file_does_not_find_itself() {
        let lock = FORBIDDEN.join("\n");
        assert_eq!(check(&Tree::of(&[("Cargo.lock", &lock), ("xtask/src/tidy/words.rs", include_str!("words.rs"))])), []);
    }
}

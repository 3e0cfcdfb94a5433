//! Rules for every Rust file: what it owns on its first line, its length, nothing left unfinished, no unwrapped input.

use super::Complaint;
use super::tree::Tree;

const MOST_LINES: usize = 500;

/// In pieces, so that this file does not find itself.
const UNFINISHED: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
];

pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    tree.rust().flat_map(|(path, text)| check_file(path, text)).collect()
}

fn check_file(path: &str, text: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    if !text.starts_with("//!") {
        complaints.push(Complaint::at(path, 1, "does not begin with '//!': what it owns, what it must never do"));
    }
    let length = text.lines().count();
    if length > MOST_LINES {
        complaints.push(Complaint::new(path, format!("has {length} lines, more than {MOST_LINES}: which concept is missing?")));
    }
    let mut shipped = !is_test_file(path);
    for (at, line) in text.lines().enumerate() {
        shipped &= !line.trim_start().starts_with("#[cfg(test)]");
        complaints.extend(check_line(line, shipped).map(|what| Complaint::at(path, at + 1, what)));
    }
    complaints
}

fn check_line(line: &str, shipped: bool) -> Option<String> {
    if let Some(word) = UNFINISHED.iter().find(|word| line.contains(**word)) {
        return Some(format!("'{word}' is left"));
    }
    let code = line.split("//").next().unwrap_or_default();
    (shipped && code.contains(".unwrap()")).then(|| "input is unwrapped; return an error, or say with expect() why it cannot fail".into())
}

fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "benches" | "tests.rs" | "xtask"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of(&[(path, text)])).iter().map(Complaint::to_string).collect()
    }

    #[test]
    fn a_file_says_first_what_it_owns() {
        assert_eq!(complaints("a.rs", "//! Owns a.\n"), [""; 0]);
        assert_eq!(complaints("a.rs", "use b;\n").len(), 1);
    }

    #[test]
    fn long_files_are_named() {
        assert_eq!(complaints("a.rs", &format!("//! A.\n{}", "x\n".repeat(MOST_LINES - 1))), [""; 0]);
        assert_eq!(complaints("a.rs", &format!("//! A.\n{}", "x\n".repeat(MOST_LINES))).len(), 1);
    }

    #[test]
    fn unfinished_work_is_found_in_tests_too() {
        for word in UNFINISHED {
            assert_eq!(complaints("crates/a/tests/b.rs", &format!("//! B.\n// {word} later\n")).len(), 1, "{word}");
        }
    }

    #[test]
    fn input_is_not_unwrapped_outside_tests() {
        let text = "//! A.\nlet a = b.unwrap();\n";
        assert_eq!(
            complaints("crates/a/src/lib.rs", text),
            ["crates/a/src/lib.rs:2: input is unwrapped; return an error, or say with expect() why it cannot fail"]
        );
        assert_eq!(complaints("crates/a/tests/lib.rs", text), [""; 0]);
        assert_eq!(complaints("crates/a/src/lib.rs", &format!("//! A.\n#[cfg(test)]\n{text}")), [""; 0]);
        assert_eq!(complaints("crates/a/src/lib.rs", "//! A.\n/// `b.unwrap()`\n"), [""; 0]);
    }
}

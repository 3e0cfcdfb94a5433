//! Ties `docs/api.md` to the programs: each route of `crates/X/src/service.rs` stands in the section "## X", and each route of a section is served by its program.

use super::Complaint;
use super::tree::Tree;

const PAGE: &str = "docs/api.md";

pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    let services = tree.rust().filter_map(|(path, text)| Some((program(path)?, path, text)));
    services.flat_map(|(program, path, text)| check_program(program, path, text, tree.get(PAGE).unwrap_or_default())).collect()
}

/// Whose routes a file has.
fn program(path: &str) -> Option<&str> {
    path.strip_prefix("crates/")?.strip_suffix("/src/service.rs")
}

fn check_program(program: &str, path: &str, text: &str, page: &str) -> Vec<Complaint> {
    let (served, written) = (served(text), written(section(page, program)));
    let unwritten = served.iter().filter(|route| !written.contains(route));
    let unserved = written.iter().filter(|route| !served.contains(route));
    let mut complaints: Vec<_> =
        unwritten.map(|route| Complaint::new(path, format!("{PAGE} does not say, under {program}, what {route} is for"))).collect();
    complaints.extend(unserved.map(|route| Complaint::new(PAGE, format!("{program} has no route {route}"))));
    complaints
}

/// The routes in the source: what is in quotes and begins as a path.
fn served(text: &str) -> Vec<&str> {
    let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
    shipped.lines().flat_map(|line| line.split('"').skip(1).step_by(2)).filter(|word| word.starts_with('/')).collect()
}

/// The routes in a section: `GET /v1/status` between backticks.
fn written(section: &str) -> Vec<&str> {
    let spans = section.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    spans
        .filter_map(|span| span.strip_prefix("GET ").or_else(|| span.strip_prefix("POST ")))
        .filter(|route| route.starts_with('/'))
        .collect()
}

/// What stands under the heading that begins with the program's name.
fn section<'a>(page: &'a str, program: &str) -> &'a str {
    let mut sections = page.split("\n## ");
    sections.find(|section| section.split_whitespace().next() == Some(program)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "//! A.\nRouter::new().route(\"/v1/a\", get(a)).route(\"/v1/a/{id}\", post(b))\n";

    fn complaints(page: &str) -> usize {
        check(&Tree::of(&[(PAGE, page), ("crates/ad/src/service.rs", SOURCE)])).len()
    }

    #[test]
    fn what_both_know_is_fine() {
        assert_eq!(
            complaints("# Api\n\n## ad (`x`)\n\n| `GET /v1/a` |\n| `POST /v1/a/{id}` | `GET` it |\n\n## bd\n\n| `GET /v1/c` |\n"),
            0
        );
    }

    #[test]
    fn what_only_one_of_them_knows_is_named() {
        assert_eq!(complaints("\n## ad\n`GET /v1/a`\n"), 1);
        assert_eq!(complaints("\n## ad\n`GET /v1/a` `POST /v1/a/{id}` `GET /v1/gone`\n"), 1);
        assert_eq!(complaints("\n## bd\n`GET /v1/a` `POST /v1/a/{id}`\n"), 2, "another program's routes");
        assert_eq!(check(&Tree::of(&[("crates/ad/src/service.rs", SOURCE)])).len(), 2, "no page at all");
        assert_eq!(check(&Tree::of(&[("crates/ad/src/other.rs", SOURCE)])), []);
    }
}

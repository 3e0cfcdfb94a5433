//! A page comes back from every form it can take. The PDF goes through the tools that people have: poppler and zbar.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::path::Path;
use std::process::Command;

use keepwell_crypt::{CryptError, KitFile, KitSeed, combine, split};
use keepwell_paper::{Facts, PlaceSheet, pdf, place_pdf, place_text, read, text};

fn kit() -> [KitFile; 3] {
    let mut next = 0u8;
    let mut fill = |bytes: &mut [u8]| {
        bytes.iter_mut().for_each(|byte| {
            next = next.wrapping_mul(31).wrapping_add(7);
            *byte = next;
        });
    };
    let shares = split(&KitSeed::from_bytes([42; 32]), 4711, &mut fill);
    shares.map(|share| KitFile { vault: [0xc1; 16], set: 4711, share })
}

fn facts() -> Facts {
    Facts {
        owner: "Praxis Dr. Müller\nset: 9".into(),
        keeper: "the notary".into(),
        made: "22 November 2026".into(),
        serial: "KW-17".into(),
    }
}

/// Two pages give the seed back.
fn opens(pages: [&str; 2]) {
    let [a, b] = pages.map(|page| read(page).unwrap());
    assert_eq!(combine(&a.share, &b.share).unwrap().expose(), &[42; 32]);
}

#[test]
fn text_comes_back() {
    let pages = kit().map(|sheet| text(&sheet, &facts()));
    opens([&pages[0], &pages[2]]);
    assert!(pages[1].contains("SHEET 2 OF 3") && pages[1].contains("sheets 1 and 3") && pages[1].contains("the notary"));
    let long: Vec<&str> = pages[1].lines().filter(|line| line.chars().count() > 80).collect();
    assert!(long.is_empty(), "too long to print: {long:?}");
    opens([&pages[1].replace('\n', "\r\n"), &format!("\u{feff}{}", &*pages[2])]);
}

#[test]
fn a_page_has_one_share_and_a_place_for_the_keeper() {
    let sheets = kit();
    let page = text(&sheets[0], &Facts::default());
    assert!(page.contains("______"));
    for other in &sheets[1..] {
        let words = other.share.to_words();
        assert!(words.iter().all(|row| !page.contains(&row.join(" "))));
    }
}

#[test]
fn a_mistyped_word_is_pointed_at() {
    let sheet = &kit()[0];
    let page = text(sheet, &facts());
    let mut words = sheet.share.to_words()[2];
    let (row, word) = (words.join(" "), words[4]);
    words[4] = if word == "zebra" { "zoo" } else { "zebra" };
    let broken = page.replace(&row, &words.join(" "));
    match read(&broken).unwrap_err() {
        CryptError::KitRowCheck { row: 3, correction: Some(correction) } => assert_eq!((correction.position, correction.word), (5, word)),
        other => panic!("{other}"),
    }
}

#[test]
fn the_pdf_comes_back_as_text_and_as_code() {
    if !(has("pdftotext") && has("pdftoppm") && has("zbarimg")) {
        println!("skipped: poppler-utils or zbar-tools is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sheets = kit();
    let (texts, codes): (Vec<String>, Vec<String>) = sheets.iter().map(|sheet| by_tools(folder.path(), &pdf(sheet, &facts()))).unzip();
    opens([&texts[0], &texts[1]]);
    opens([&codes[1], &codes[2]]);
    opens([&texts[2], &codes[0]]);
    assert!(texts[0].contains("Müller") && texts[0].contains("SHEET 1 OF 3") && texts[0].contains("KW-17"));
}

fn by_tools(folder: &Path, page: &[u8]) -> (String, String) {
    std::fs::write(folder.join("sheet.pdf"), page).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let done = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
        assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    let text = run("pdftotext", &["-layout", "sheet.pdf", "-"]);
    run("pdftoppm", &["-r", "150", "-png", "-singlefile", "sheet.pdf", "sheet"]);
    (text, run("zbarimg", &["--quiet", "sheet.png"]))
}

fn has(program: &str) -> bool {
    Command::new(program).arg("-h").output().is_ok()
}

#[test]
fn the_sheet_of_a_place_has_its_code_in_words_and_as_a_picture() {
    let code: Vec<String> = (10..40).map(|n| format!("kw{n}")).collect();
    let sheet = PlaceSheet { place: "The other house", address: "box.example.org:8484", key: &"4f".repeat(32), code: &code };
    let page = place_text(&sheet);
    assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    let dense: String = page.split_whitespace().collect();
    assert!(dense.contains(&code.concat()) && dense.contains(&"4f".repeat(16)) && page.contains("box.example.org:8484"), "{page}");
    if !(has("pdftotext") && has("pdftoppm") && has("zbarimg")) {
        println!("skipped: poppler-utils or zbar-tools is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (printed, seen) = by_tools(folder.path(), &place_pdf(&sheet));
    assert!(printed.split_whitespace().collect::<String>().contains(&code.concat()), "{printed}");
    assert!(seen.contains(&code.concat().to_uppercase()), "{seen}");
}

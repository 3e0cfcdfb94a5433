//! Making vaults and what opens them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::stage::Stage;

#[test]
fn any_two_kit_files_open_the_vault_and_the_files_are_private() {
    let stage = Stage::new(1);
    for (first, second) in [(1, 2), (2, 1), (1, 3), (2, 3)] {
        assert_eq!(stage.run(&["list", "--unlock", &stage.kit(first, second)]).exit, 0, "{first} {second}");
    }
    let mode = |path: &str| fs::metadata(stage.at(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("kit"), mode("kit/kit-1.txt"), mode("kit/kit-3.txt")), (0o700, 0o600, 0o600));
}

#[test]
fn a_wrong_key_is_one_clear_message() {
    let (stage, other) = (Stage::new(1), Stage::new(1));
    let (exit, message) = stage.run(&["list", "--unlock", &other.kit(1, 2)]).failure();
    assert!(exit == 1 && message.contains("another vault") || message.contains("for vault"), "{message}");

    let mixed = format!("kit:{},{}", stage.text("kit/kit-1.txt"), other.text("kit/kit-2.txt"));
    assert_eq!(stage.run(&["list", "--unlock", &mixed]).exit, 1);

    fs::copy(stage.at("kit/kit-1.txt"), stage.at("copy.txt")).unwrap();
    let twice = format!("kit:{},{}", stage.text("kit/kit-1.txt"), stage.text("copy.txt"));
    let run = stage.run(&["list", "--unlock", &twice]);
    assert!(run.exit == 1 && run.answer.to_string().contains("sheet 1"), "{run:?}");

    let none = format!("kit:{},{}", stage.text("kit/kit-1.txt"), stage.text("kit/kit-9.txt"));
    let (exit, message) = stage.run(&["list", "--unlock", &none]).failure();
    assert!(exit == 1 && message.contains("kit-9.txt"), "{message}");
}

#[test]
fn a_mistyped_kit_word_is_found_in_its_row() {
    let stage = Stage::new(1);
    let sheet = fs::read_to_string(stage.at("kit/kit-2.txt")).unwrap();
    let row = sheet.lines().find(|line| line.starts_with("words-3:")).unwrap();
    let words: Vec<_> = row.split(' ').collect();
    let wrong = row.replacen(words[4], "keepwell", 1);
    fs::write(stage.at("kit/kit-2.txt"), sheet.replace(row, &wrong)).unwrap();
    let run = stage.open(&["list"]);
    assert!(run.exit == 1 && run.answer["causes"][0].as_str().unwrap().contains("row 3, word 4"), "{run:?}");
}

#[test]
fn a_passphrase_opens_the_vault_only_where_it_was_given() {
    let stage = Stage::bare();
    fs::write(stage.at("pass"), "correct horse\n").unwrap();
    fs::write(stage.at("bad"), "wrong horse").unwrap();
    fs::write(stage.at("none"), "\n").unwrap();
    let kit = stage.text("kit");
    let init = |file: &str| stage.run(&["init", "--kit-out", &kit, "--passphrase-file", &stage.text(file)]);
    assert_eq!(init("none").exit, 1);
    assert_eq!(init("pass").exit, 0);
    let list = |stage: &Stage, file: &str| stage.run(&["list", "--unlock", &format!("passphrase:{}", stage.text(file))]);
    assert_eq!(list(&stage, "pass").exit, 0);
    assert_eq!(list(&stage, "bad").exit, 1);

    let without = Stage::new(1);
    fs::write(without.at("pass"), "correct horse").unwrap();
    let (exit, message) = list(&without, "pass").failure();
    assert!(exit == 1 && message.contains("without a passphrase"), "{message}");
}

#[test]
fn init_overwrites_nothing() {
    let stage = Stage::new(1);
    let kit = fs::read(stage.at("kit/kit-1.txt")).unwrap();
    let again = stage.run(&["init", "--kit-out", &stage.text("kit-2")]);
    assert!(again.exit == 1 && again.text("error").contains("no vault was made"), "{again:?}");
    assert!(!stage.at("kit-2").exists());

    let vault = stage.text("vault-2");
    let over = crate::stage::keepwell(&["vault", "init", "--vault", &vault, "--kit-out", &stage.text("kit")]);
    assert_eq!(over.status.code(), Some(1));
    assert_eq!(fs::read(stage.at("kit/kit-1.txt")).unwrap(), kit);
    assert!(!stage.at("vault-2").exists());
}

#[test]
fn the_default_layout_follows_the_number_of_disks() {
    for (arguments, layout, disks) in [(&["--disks", "2"][..], "1+1", 2), (&["--layout", "4+2"], "4+2", 6), (&["--disks", "4"], "2+1", 4)] {
        let stage = Stage::bare();
        let kit = stage.text("kit");
        let run = stage.run(&[&["init", "--kit-out", kit.as_str()][..], arguments].concat());
        assert_eq!((run.exit, run.text("layout").as_str(), run.answer["disks"].as_u64()), (0, layout, Some(disks)));
        assert_eq!(
            fs::read_dir(stage.at("vault"))
                .unwrap()
                .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with("disk-"))
                .count() as u64,
            disks
        );
    }
}

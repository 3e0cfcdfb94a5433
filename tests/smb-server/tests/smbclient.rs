//! The scripted server against a client that neither of us wrote: Samba's `smbclient`. Says so and passes where it is missing.

use std::{fs, process::Command as Program};

use keepwell_smb_server::{Command, Content, Fault, Faults, NEW_YEAR, Node, Options, Quirks, Rule, Server, Status, Tree};

struct Said {
    text: String,
    well: bool,
}

fn smbclient(server: &Server, password: &str, flags: &[&str], commands: &str) -> Option<Said> {
    let port = server.port().to_string();
    let account = format!("keepwell-test%{password}");
    let mut program = Program::new("smbclient");
    program.args(["//127.0.0.1/share", "-p", &port, "-U", &account, "-t", "5", "-c", commands]).args(flags);
    match program.output() {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some(Said { text: String::from_utf8_lossy(&text).into_owned(), well: output.status.success() })
        }
        Err(_) => {
            eprintln!("no smbclient here: nothing is tested");
            None
        }
    }
}

fn tree() -> Tree {
    let mut tree = Tree::new();
    tree.file("folder\\a.txt", b"live");
    tree.put(tree.root(), "large", Node::file(Content::patterned(5_000_000, 3)).with_stream("note", &b"a stream"[..]));
    tree.take_snapshot(NEW_YEAR);
    tree
}

#[test]
fn each_dialect_reads_and_writes() {
    let scratch = tempfile::tempdir().unwrap();
    let (got, note) = (scratch.path().join("got"), scratch.path().join("note"));
    for flags in [&["-m", "SMB2_10"][..], &["-m", "SMB3_00"], &["-m", "SMB3_02"], &["-m", "SMB3_11"], &["--client-protection=encrypt"]] {
        let server = Server::start_with(Options { encrypts: flags.len() == 1, ..Options::default() }, tree(), Faults::none()).unwrap();
        let (from, back) = (got.display(), note.display());
        let commands = format!("get large {from}; get large:note {back}; put {from} again; rename again folder\\moved; ls folder\\*");
        let Some(said) = smbclient(&server, "clinic", flags, &commands) else { return };
        assert!(said.well && said.text.contains("a.txt") && said.text.contains("moved"), "{flags:?}: {}", said.text);
        let expected = Content::patterned(5_000_000, 3).bytes();
        assert!(fs::read(&got).unwrap() == expected && fs::read(&note).unwrap() == b"a stream", "{flags:?}");
        let counts = server.counts();
        assert_eq!((counts.breaches.len(), counts.open_handles), (0, 0), "{flags:?}: {:?}", counts.breaches);
        assert!(server.stop().at("folder\\moved").unwrap().content.bytes() == expected, "{flags:?}");
    }
}

#[test]
fn a_wrong_password_is_refused() {
    let server = Server::start(tree(), Faults::none()).unwrap();
    let Some(said) = smbclient(&server, "wrong", &[], "ls") else { return };
    assert!(!said.well && said.text.contains("LOGON_FAILURE"), "{}", said.text);
    assert_eq!(server.counts().refused_sign_ins, 1);
}

#[test]
fn faults_meet_the_requests_they_are_for() {
    let locked = Rule::on(Command::Create, Fault::Status(Status::SHARING_VIOLATION)).path("folder\\*").live();
    for (rule, word) in [
        (locked, "SHARING_VIOLATION"),
        (Rule::on(Command::Read, Fault::WrongSignature), "ACCESS_DENIED"),
        (Rule::on(Command::Read, Fault::CutWithin(30)), "CONNECTION_DISCONNECTED"),
        (Rule::on(Command::Read, Fault::MessageId(999)), "INVALID_NETWORK_RESPONSE"),
    ] {
        let server = Server::start(tree(), [rule.clone()].into()).unwrap();
        let Some(said) = smbclient(&server, "clinic", &[], "get folder\\a.txt /dev/null") else { return };
        assert!(said.text.contains(word), "{rule:?}: {}", said.text);
        server.faults().clear();
        let Some(said) = smbclient(&server, "clinic", &[], "get folder\\a.txt /dev/null") else { return };
        assert!(said.well, "{rule:?}: {}", said.text);
    }
}

#[test]
fn a_delayed_and_an_interim_answer_arrive() {
    let rules = [Rule::on(Command::Read, Fault::Pending(30)).times(1), Rule::on(Command::Read, Fault::After(2)).skip(1)];
    let server = Server::start(tree(), rules.into()).unwrap();
    let Some(said) = smbclient(&server, "clinic", &[], "get large /dev/null") else { return };
    assert!(said.well, "{}", said.text);
    assert!(server.counts().most_in_flight > 1);
}

#[test]
fn a_full_disk_is_told_and_a_lie_is_a_lie() {
    let mut tree = tree();
    tree.volume.free = 1_000_000;
    tree.put(tree.root(), "liar", Node::file(&b"12345"[..]).with_quirks(Quirks { claimed_size: Some(1 << 30), ..Quirks::default() }));
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("f"), vec![7; 2_000_000]).unwrap();
    let server = Server::start(tree, Faults::none()).unwrap();
    let commands = format!("ls liar; put {} f", scratch.path().join("f").display());
    let Some(said) = smbclient(&server, "clinic", &[], &commands) else { return };
    assert!(said.text.contains("DISK_FULL") && said.text.contains("1073741824"), "{}", said.text);
}

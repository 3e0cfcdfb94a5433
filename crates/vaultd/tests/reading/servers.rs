//! Servers of shares, as far as vaultd hears of them: an answering end that says what an account may do by the account's name, and reads nothing.

use std::os::unix::net::UnixListener;
use std::path::Path;

use keepwell_format::port::Source;
use keepwell_ingest::{CheckOrder, Checked, Doors, May, Refusal, SourceOrder, TargetOrder, WarnedTarget, answer};

struct Servers;

/// Answers each connection from now on.
pub(crate) fn serve(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // What goes wrong there is for the caller to judge.
            std::thread::spawn(move || drop(answer(stream, &Servers)));
        }
    });
}

fn refusal(code: &str) -> Refusal {
    Refusal { code: code.to_owned(), text: "there is no such server".to_owned(), causes: Vec::new() }
}

impl Doors for Servers {
    fn source(&self, _order: &SourceOrder) -> Result<Box<dyn Source>, Refusal> {
        Err(refusal("unreachable"))
    }

    fn target(&self, _order: &TargetOrder) -> Result<Box<dyn WarnedTarget>, Refusal> {
        Err(refusal("unreachable"))
    }

    fn check(&self, order: &CheckOrder) -> Result<Checked, Refusal> {
        let known = Checked { told: true, asked: 9, entries: 30, protocol: "SMB 3.1.1".into(), ..Checked::default() };
        let password = order.password.as_ref().map(|password| password.as_str());
        match order.location.trim_start_matches("smb://").split('@').next() {
            _ if password == Some("wrong") => Err(refusal("password")),
            Some("writer") => Ok(Checked { may: vec![May::Add, May::Delete], changeable: 4, ..known }),
            Some("nobody-knows") => Ok(Checked { told: false, ..known }),
            _ => Ok(known),
        }
    }
}

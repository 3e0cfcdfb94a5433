//! Servers, and people between, that want less protection than there could be, or another user.

use keepwell_smb::{Credentials, Dialect, Options, Protection, Share, SmbError};
use keepwell_smb_server::{Command, Fault, Faults, Rule, Server, Tree, USER};

use super::{PATIENT, connect, ends, fetch, options, serve, tree};

fn refused(rules: Vec<Rule>, options: Options) -> SmbError {
    ends(move || {
        let server = Server::start(Tree::new(), Faults::none()).unwrap();
        rules.into_iter().for_each(|rule| server.faults().push(rule));
        let error = connect(&server, options).expect_err("connected");
        assert_eq!(server.counts().requests.get(&Command::Create), None);
        error
    })
}

#[test]
fn guests_and_nobodies_are_not_what_we_are() {
    for flag in [Fault::Guest, Fault::Anonymous] {
        for protection in [None, Some(Fault::Unsigned)] {
            let rules = [Some(flag.clone()), protection].into_iter().flatten().map(|fault| Rule::on(Command::SessionSetup, fault));
            let error = refused(rules.collect(), options(PATIENT));
            assert!(matches!(error, SmbError::Guest), "{flag:?}: {error:?}");
        }
    }
}

#[test]
fn sessions_that_begin_unsigned_or_forged_are_refused() {
    for fault in [Fault::Unsigned, Fault::BlankSignature, Fault::WrongSignature, Fault::Tamper(66, vec![4])] {
        // The second answer is the one that has a key.
        let error = refused(vec![Rule::on(Command::SessionSetup, fault.clone()).skip(1)], options(PATIENT));
        assert!(matches!(error, SmbError::Signature | SmbError::NotEncrypted), "{fault:?}: {error:?}");
    }
    let success_at_once = vec![Rule::on(Command::SessionSetup, Fault::Patch(8, vec![0; 4])).times(1)];
    assert!(matches!(refused(success_at_once, options(PATIENT)), SmbError::Guest | SmbError::Malformed { .. } | SmbError::Signature));
    let nameless = vec![Rule::on(Command::SessionSetup, Fault::SessionId(0))];
    assert!(matches!(refused(nameless, options(PATIENT)), SmbError::Broken { .. }));
}

#[test]
fn other_dialects_are_refused() {
    assert!(matches!(refused(vec![Rule::always(Fault::Smb1)], options(PATIENT)), SmbError::OnlySmb1));
    for dialect in [0x0202, 0x02FF, 0x0000, 0x0310, 0xFFFF] {
        let error = refused(vec![Rule::on(Command::Negotiate, Fault::Dialect(dialect))], options(PATIENT));
        assert!(matches!(error, SmbError::Refused), "{dialect:x}: {error:?}");
    }
    let newest = Options { min_dialect: Dialect::Smb311, ..options(PATIENT) };
    assert!(matches!(refused(vec![Rule::on(Command::Negotiate, Fault::Dialect(0x0302))], newest), SmbError::Refused));
}

#[test]
fn a_man_in_the_middle_of_the_negotiation_is_noticed() {
    // Dialect, security mode, server GUID, capabilities, sizes, time, salt of the hash.
    for (at, bits) in [(68, [0x13]), (66, [2]), (72, [1]), (88, [1]), (92, [1]), (98, [1]), (104, [1]), (180, [1])] {
        let error = refused(vec![Rule::on(Command::Negotiate, Fault::Tamper(at, bits.to_vec()))], options(PATIENT));
        assert!(matches!(error, SmbError::Signature), "3.1.1 at {at}: {error:?}");
    }
    for (dialect, word) in [(Dialect::Smb300, 0x0300_u16), (Dialect::Smb302, 0x0302)] {
        let lower = (word ^ 0x0210).to_le_bytes();
        for (at, bits) in [(68, &lower[..]), (66, &[2]), (72, &[1]), (88, &[1])] {
            let options = Options { max_dialect: dialect, ..options(PATIENT) };
            let error = refused(vec![Rule::on(Command::Negotiate, Fault::Tamper(at, bits.to_vec()))], options);
            assert!(matches!(error, SmbError::Signature), "{dialect} at {at}: {error:?}");
        }
    }
}

#[test]
fn each_dialect_is_protected_as_agreed() {
    for dialect in [Dialect::Smb210, Dialect::Smb300, Dialect::Smb302, Dialect::Smb311] {
        for encrypts in [false, true] {
            let server_options = keepwell_smb_server::Options { encrypts, ..keepwell_smb_server::Options::default() };
            let server = Server::start_with(server_options, tree(), Faults::none()).unwrap();
            let share = connect(&server, Options { max_dialect: dialect, ..options(PATIENT) }).unwrap();
            assert_eq!(share.facts().dialect, dialect);
            let is_sealed = matches!(share.facts().protection, Protection::Encrypted(_));
            assert_eq!(is_sealed, encrypts && dialect == Dialect::Smb311, "{dialect}");
            assert_eq!(fetch(&share, "a.txt").unwrap().data, b"the right data"[..], "{dialect}");
            drop(share);
            assert_eq!(server.counts().breaches, [""; 0], "{dialect}");
        }
    }
}

#[test]
fn a_server_of_smb1_is_told_from_one_that_hangs_up() {
    ends(|| {
        let smb1 = keepwell_smb_server::Options { dialects: Vec::new(), ..Default::default() };
        let server = Server::start_with(smb1, Tree::new(), Faults::none()).unwrap();
        assert!(matches!(connect(&server, options(PATIENT)), Err(SmbError::OnlySmb1)));
        assert_eq!(server.counts().connections, 2);
        let server = serve(Tree::new(), [Rule::on(Command::Negotiate, Fault::CutBefore)]);
        assert!(matches!(connect(&server, options(PATIENT)), Err(SmbError::Unreachable { .. })));
    });
}

#[test]
fn encryption_can_be_demanded() {
    let error = refused(Vec::new(), Options { require_encryption: true, ..options(PATIENT) });
    assert!(matches!(error, SmbError::NotEncrypted), "{error:?}");
}

#[test]
fn a_wrong_password_and_a_missing_share_are_told_apart() {
    let server = serve(tree(), []);
    let call = |share: &str, password: &str| {
        Share::connect("127.0.0.1", server.port(), share, Credentials::new(Some("CLINIC"), USER, password), options(PATIENT))
    };
    assert!(matches!(call("share", "guess"), Err(SmbError::SignIn { .. })));
    assert!(matches!(call("nowhere", "clinic"), Err(SmbError::NoShare { .. })));
    assert!(call("share", "clinic").is_ok(), "with a domain");
    assert!(matches!(call("share", ""), Err(SmbError::SignIn { .. } | SmbError::Config { .. } | SmbError::Authentication { .. })));
}

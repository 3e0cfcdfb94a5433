//! What an account may do, as real servers say it: Samba and NFS-Ganesha. Needs root and the servers; says so and passes where they are missing.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod ganesha;
mod samba;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use ganesha::Ganesha;
use keepwell_source::{AccountRights, Address, May, NfsUrl, NfsVersion, SmbUrl, Verdict, rights};
use samba::Samba;

fn fill(share: &Path) {
    for folder in ["a/b/c", "d", "e"] {
        fs::create_dir_all(share.join(folder)).unwrap();
    }
    for file in ["1", "a/2", "a/b/c/3"] {
        fs::write(share.join(file), file).unwrap();
    }
}

fn told(rights: &AccountRights) -> (Verdict, May, u64, u64) {
    (rights.verdict, rights.may, rights.changeable, rights.asked)
}

#[test]
fn samba_says_who_may_write_and_who_may_not() {
    let Some(samba) = Samba::start("default") else { return };
    fill(&samba.folder());
    samba.hand_over();
    let before = fs::read_dir(samba.folder()).unwrap().count();
    let writer = rights(&Address::Smb(samba.url()), Some(&samba.password)).unwrap();
    assert_eq!((writer.verdict, writer.asked, writer.changeable, writer.entries), (Verdict::CanWrite, 9, 9, 8), "{writer:?}");
    assert!(writer.may.add && writer.may.write && writer.may.delete && writer.report.protocol.starts_with("SMB 3"), "{writer:?}");
    let read = |name: &str| fs::read_to_string(samba.folder().parent().unwrap().join(name)).unwrap().trim().to_owned();
    let reader = SmbUrl { user: read("reader"), ..samba.url() };
    let reader = rights(&Address::Smb(reader), Some(&read("reader-password"))).unwrap();
    assert_eq!(told(&reader), (Verdict::ReadOnly, May::NOTHING, 0, 9), "{reader:?}");
    assert_eq!(fs::read_dir(samba.folder()).unwrap().count(), before);
}

#[test]
fn ganesha_says_what_anyone_may_do_of_this_machine() {
    let Some(server) = Ganesha::start(&[]) else { return };
    fill(&server.share());
    // For the user that reads, nothing can be changed: but it can be claimed to be another one.
    for path in ["", "1", "a", "a/2", "a/b", "a/b/c", "a/b/c/3", "d", "e"] {
        chown(server.share().join(path), Some(4321), Some(4321)).unwrap();
        let mode = if path.ends_with(char::is_numeric) { 0o644 } else { 0o755 };
        fs::set_permissions(server.share().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    let url = NfsUrl { uid: Some(1234), gid: Some(1234), ..server.url.clone() };
    let anyone = rights(&Address::Nfs(url), None).unwrap();
    assert_eq!((anyone.verdict, anyone.asked, anyone.entries), (Verdict::CanWrite, 9, 8), "{anyone:?}");
    assert!(anyone.may.add && anyone.may.write && anyone.report.protocol == "NFS 3", "{anyone:?}");
    // Version 4.1 asks for one user alone: the other version tells the rest, and without it nothing is proven.
    let newer = NfsUrl { version: NfsVersion::V41, uid: Some(1234), gid: Some(1234), ..server.url.clone() };
    let both = rights(&Address::Nfs(newer.clone()), None).unwrap();
    assert_eq!((both.verdict, both.may.add), (Verdict::CanWrite, true), "{both:?}");
    let alone = rights(&Address::Nfs(NfsUrl { mount_port: Some(1), ..newer }), None).unwrap();
    assert_ne!(alone.verdict, Verdict::ReadOnly, "{alone:?}");
}

//! Builds a tree that holds every kind of thing that has ever broken a backup program. What only root may make is left out for
//! others.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, XattrFlags, makedev, mkdirat, mknodat, openat, utimensat,
};

use super::acl;

/// What the file system below can't do is left out too, and named.
pub fn build(root: &Path) -> Vec<&'static str> {
    let mut left_out = Vec::new();
    contents(root);
    names(root);
    links(root);
    deep(root, "levels", b"d", 1_500);
    deep(root, "long", &[b'p'; 200], 21);
    attributes(root, &mut left_out);
    specials(root, &mut left_out);
    modes(root);
    times(root);
    left_out
}

/// Makes the tree removable again.
pub fn unlock(root: &Path) {
    fs::set_permissions(root.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
}

fn contents(root: &Path) {
    fs::write(root.join("empty"), b"").unwrap();
    fs::create_dir(root.join("empty-folder")).unwrap();
    fs::write(root.join("small"), b"hello").unwrap();
    fs::write(root.join("zeros-that-are-data"), vec![0; 300_000]).unwrap();
    let big: Vec<u8> = (0..3_000_001_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(root.join("big"), &big).unwrap();
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(b"after a leading hole", 1 << 20).unwrap();
    sparse.write_all_at(&[7; 70_000], 3 << 20).unwrap();
    sparse.write_all_at(b"last", (9 << 20) + 123).unwrap();
    sparse.set_len(12 << 20).unwrap();
    File::create(root.join("only-a-hole")).unwrap().set_len(1_000_001).unwrap();
    let huge = File::create(root.join("sparse-5G")).unwrap();
    huge.write_all_at(&[1; 4096], 1 << 30).unwrap();
    huge.write_all_at(&[2; 4096], 4 << 30).unwrap();
    huge.set_len(5 << 30).unwrap();
    // Allocated, never written: reads as a hole.
    let reserved = File::create(root.join("reserved")).unwrap();
    let _ = rustix::fs::fallocate(&reserved, rustix::fs::FallocateFlags::empty(), 0, 1 << 20);
    reserved.write_all_at(b"x", 512 << 10).unwrap();
    reserved.set_len(1 << 20).unwrap();
}

fn names(root: &Path) {
    let names: [&[u8]; 9] = [
        b"caf\xe9 latin1",
        b"\xff\xfe\x80",
        b"a\nnewline",
        &[b'n'; 255],
        b" leading space",
        b"trailing. ",
        b"back\\slash:*?\"<>|",
        b"-rf",
        b"\x01\x7f",
    ];
    for name in names {
        fs::write(root.join(OsStr::from_bytes(name)), name).unwrap();
    }
    // In key order `a` and all below it come before `a\x01` and `a.txt`.
    for path in ["order/a/z", "order/a\u{1}/b", "order/a.d/c"] {
        fs::create_dir_all(root.join(path)).unwrap();
    }
    fs::write(root.join("order/a.txt"), b"").unwrap();
    fs::write(root.join("Ka\u{308}se"), b"decomposed").unwrap();
    fs::write(root.join("K\u{e4}se"), b"composed").unwrap();
}

fn links(root: &Path) {
    fs::create_dir_all(root.join("z/inner")).unwrap();
    fs::write(root.join("z/first"), b"one file, three paths").unwrap();
    fs::hard_link(root.join("z/first"), root.join("a-hard-link")).unwrap();
    fs::hard_link(root.join("z/first"), root.join("z/inner/link")).unwrap();
    symlink("nowhere/at/all", root.join("dangling")).unwrap();
    symlink("loop-b", root.join("loop-a")).unwrap();
    symlink("loop-a", root.join("loop-b")).unwrap();
    symlink(".", root.join("z/self")).unwrap();
    symlink("/", root.join("to-the-root")).unwrap();
    symlink(OsStr::from_bytes(&[b't'; 4000]), root.join("long-target")).unwrap();
    fs::hard_link(root.join("dangling"), root.join("z/dangling-too")).unwrap();
}

/// Folders in folders, with a file at the bottom and one half way.
fn deep(root: &Path, top: &str, name: &[u8], levels: usize) {
    fs::create_dir(root.join(top)).unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let mut folder: OwnedFd = openat(CWD, root.join(top), flags, Mode::empty()).unwrap();
    for level in 0..levels {
        mkdirat(&folder, name, Mode::RWXU).unwrap();
        if level % (levels / 2) == 0 || level == levels - 1 {
            let file = openat(&folder, "zz-file", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
            rustix::io::write(&file, format!("level {level}").as_bytes()).unwrap();
        }
        folder = openat(&folder, name, flags, Mode::empty()).unwrap();
    }
}

fn attributes(root: &Path, left_out: &mut Vec<&'static str>) {
    let set = |path: &str, name: &str, value: &[u8]| rustix::fs::lsetxattr(root.join(path), name, value, XattrFlags::empty());
    for path in ["attributes", "attributes-large", "acl"] {
        fs::write(root.join(path), path).unwrap();
    }
    fs::create_dir(root.join("acl-folder")).unwrap();
    if set("attributes", "user.b", b"\0\xffraw").is_err() {
        return left_out.push("user attributes");
    }
    set("attributes", "user.a", b"").unwrap();
    set("empty-folder", "user.folder", b"too").unwrap();
    if set("attributes-large", "user.large", &vec![0xA5; 60_000]).is_err() {
        left_out.push("an attribute of 60 KB");
        set("attributes-large", "user.large", &vec![0xA5; 3_000]).unwrap();
    }
    if set("acl", "system.posix_acl_access", &acl::usual()).is_err() {
        return left_out.push("access lists");
    }
    set("acl-folder", "system.posix_acl_access", &acl::usual()).unwrap();
    set("acl-folder", "system.posix_acl_default", &acl::usual()).unwrap();
    fs::write(root.join("acl-folder/inherits"), b"").unwrap();
    fs::create_dir(root.join("acl-folder/inherits-too")).unwrap();
    if set("dangling", "trusted.link", b"on a symbolic link").is_err() {
        left_out.push("trusted attributes");
    }
    // cap_net_raw=ep, revision 2 (linux/capability.h).
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    if set("small", "security.capability", &capability).is_err() {
        left_out.push("capabilities");
    }
}

fn specials(root: &Path, left_out: &mut Vec<&'static str>) {
    let make = |name: &str, kind, device| mknodat(CWD, root.join(name), kind, Mode::RUSR | Mode::WGRP, device);
    make("fifo", FileType::Fifo, 0).unwrap();
    match UnixListener::bind(root.join("socket")) {
        Ok(_) => {}
        Err(_) => make("socket", FileType::Socket, 0).unwrap(),
    }
    if make("null", FileType::CharacterDevice, makedev(1, 3)).is_err() {
        return left_out.push("devices");
    }
    make("block", FileType::BlockDevice, makedev(259, 1_000_000)).unwrap();
}

fn modes(root: &Path) {
    let own = fs::metadata(root).unwrap().uid();
    for (name, mode) in [("set-uid", 0o4755), ("set-gid", 0o2710), ("no-rights", 0o400), ("all-rights", 0o777)] {
        fs::write(root.join(name), name).unwrap();
        if own == 0 {
            std::os::unix::fs::chown(root.join(name), Some(12_345), Some(54_321)).unwrap();
            std::os::unix::fs::lchown(root.join("loop-a"), Some(12_345), Some(54_321)).unwrap();
        }
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir(root.join("sticky")).unwrap();
    fs::set_permissions(root.join("sticky"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::create_dir(root.join("closed")).unwrap();
    fs::write(root.join("closed/file"), b"").unwrap();
    fs::set_permissions(root.join("closed"), fs::Permissions::from_mode(0o2500)).unwrap();
}

fn times(root: &Path) {
    let set = |name: &str, seconds: i64, nanos| {
        let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let times = Timestamps { last_access, last_modification: Timespec { tv_sec: seconds, tv_nsec: nanos } };
        utimensat(CWD, root.join(name), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    };
    fs::write(root.join("before-1970"), b"").unwrap();
    fs::write(root.join("after-2038"), b"").unwrap();
    set("before-1970", -86_400 * 365 - 1, 123_456_789);
    set("after-2038", 4_102_444_800, 999_999_999);
    set("dangling", -1, 1);
    set("fifo", 5_000_000_000, 7);
    set("closed", 1_000_000_000, 987_654_321);
    set("empty-folder", 0, 0);
    set("", 1_234_567_890, 11);
}

//! A local folder as a target that held something before, and read back.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use keepwell_format::node::{Attribute, Content, Extents, Owner};
use keepwell_format::port::{Piece, Placing, Present, Target as _};
use keepwell_format::{ContentHash, GapReason, Key, Kind, Node, Time};
use keepwell_source::{LocalTarget, SourceError};

fn key(path: &str) -> Key {
    Key::from_path(path.as_bytes()).unwrap()
}

fn content(size: u64) -> Content {
    Content { size, hash: ContentHash::NONE, extents: Extents::Inline(Vec::new()) }
}

/// A file of this user's, with a time and a mode.
fn node(scratch: &Path) -> Node {
    let me = fs::metadata(scratch).unwrap();
    let owner = Some(Owner { mode: 0o640, uid: me.uid(), gid: me.gid() });
    Node { owner, mtime: Some(Time { seconds: 1_000_000_000, nanos: 5_000 }), ..Node::new(Kind::File) }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_under_its_name_when_it_is_whole_and_takes_nobodys_place() {
    let scratch = tempfile::tempdir().unwrap();
    let target = LocalTarget::merge(scratch.path()).unwrap();
    let node = node(scratch.path());
    let begin = |placing| {
        let mut file = target.file(&key("f"), &node, &content(3), placing).unwrap();
        file.write_at(0, b"new").unwrap();
        file
    };
    for placing in [Placing::New, Placing::Replace] {
        // As a run leaves it that is killed.
        drop(begin(placing));
        assert_eq!(names(scratch.path()), [""; 0]);
    }
    let (one, other) = (begin(Placing::New), begin(Placing::New));
    assert_eq!(names(scratch.path()), [""; 0]);
    one.finish(&node).unwrap();
    fs::write(scratch.path().join("f"), "from somebody else").unwrap();
    assert!(other.finish(&node).is_err_and(|error| !error.fatal));
    let link = Node { target: Some(b"f".to_vec()), ..Node::new(Kind::Symlink) };
    assert!(target.special(&key("f"), &link).is_err());
    assert_eq!(
        (fs::read(scratch.path().join("f")).unwrap(), names(scratch.path())),
        (b"from somebody else".to_vec(), vec!["f".to_owned()])
    );
    assert_eq!(target.warnings().count, 0);
}

#[test]
fn a_folder_is_told_to_be_unfinished_until_it_is() {
    let scratch = tempfile::tempdir().unwrap();
    fs::create_dir(scratch.path().join("theirs")).unwrap();
    let folder = Node { kind: Kind::Folder, ..node(scratch.path()) };
    let open = || LocalTarget::merge(scratch.path()).unwrap();
    let target = open();
    for name in ["ours", "theirs"] {
        target.folder(&key(name), &folder).unwrap();
    }
    if !target.is_unfinished(&key("ours")) {
        eprintln!("not checked: this file system keeps no attributes of folders");
        return;
    }
    assert_eq!((open().is_unfinished(&key("ours")), open().is_unfinished(&key("theirs"))), (true, false));
    open().finish_folder(&key("ours"), &folder).unwrap();
    assert!(!open().is_unfinished(&key("ours")));
    assert_eq!(open().differences(&key("ours"), &folder).unwrap(), [""; 0]);
}

#[test]
fn a_file_takes_anothers_place_when_it_is_whole_and_not_before() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("f");
    fs::write(&path, "old and longer").unwrap();
    let target = LocalTarget::merge(scratch.path()).unwrap();
    let node = node(scratch.path());
    let begin = |placing| target.file(&key("f"), &node, &content(3), placing);
    let mut file = begin(Placing::Replace).unwrap();
    file.write_at(0, b"ne").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old and longer");
    file.abandon();
    assert_eq!((fs::read(&path).unwrap(), names(scratch.path())), (b"old and longer".to_vec(), vec!["f".to_owned()]));

    let (mut one, mut other) = (begin(Placing::Replace).unwrap(), begin(Placing::Replace).unwrap());
    one.write_at(0, b"new").unwrap();
    other.write_at(0, b"two").unwrap();
    one.finish(&node).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    other.finish(&node).unwrap();
    assert_eq!((fs::read(&path).unwrap(), names(scratch.path())), (b"two".to_vec(), vec!["f".to_owned()]));
    assert_eq!(target.differences(&key("f"), &node).unwrap(), [""; 0]);
    assert_eq!(target.warnings().count, 0);
}

#[test]
fn a_link_in_a_files_place_is_replaced_itself_and_a_folder_is_not() {
    let scratch = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "s").unwrap();
    symlink(outside.path().join("secret"), scratch.path().join("link")).unwrap();
    fs::create_dir(scratch.path().join("folder")).unwrap();
    let target = LocalTarget::merge(scratch.path()).unwrap();
    let node = node(scratch.path());
    let replace = |name| {
        let mut file = target.file(&key(name), &node, &content(1), Placing::Replace).unwrap();
        file.write_at(0, b"x").unwrap();
        file.finish(&node)
    };
    assert!(replace("link").is_ok());
    assert_eq!(
        (fs::read(outside.path().join("secret")).unwrap(), fs::read(scratch.path().join("link")).unwrap()),
        (b"s".to_vec(), b"x".to_vec())
    );
    assert!(replace("folder").is_err_and(|error| !error.fatal));
    assert_eq!(names(scratch.path()), ["folder", "link"]);
}

#[test]
fn what_is_there_is_told_and_links_are_not_followed() {
    let scratch = tempfile::tempdir().unwrap();
    fs::create_dir(scratch.path().join("folder")).unwrap();
    fs::write(scratch.path().join("folder/f"), "four").unwrap();
    symlink("/", scratch.path().join("link")).unwrap();
    let target = LocalTarget::merge(scratch.path()).unwrap();
    let look = |path| target.look(&key(path)).unwrap();
    assert_eq!(look("").map(|present| present.kind), Some(Kind::Folder));
    assert_eq!(look("folder").map(|present| present.kind), Some(Kind::Folder));
    assert!(matches!(look("folder/f"), Some(Present { kind: Kind::File, size: 4, mtime: Some(_) })));
    assert_eq!(look("link").map(|present| present.kind), Some(Kind::Symlink));
    assert_eq!((look("none"), look("none/below")), (None, None));
    assert!(target.look(&key("link/etc")).is_err());
    assert!(target.read(&key("link/etc/passwd"), None).is_err());
    assert!(target.read(&key("link"), None).is_err() && target.read(&key("folder"), None).is_err());
    assert!(target.folder(&key("folder"), &Node::new(Kind::Folder)).is_ok(), "one that is there is taken");
    assert!(target.folder(&key("link"), &Node::new(Kind::Folder)).is_err());
}

#[test]
fn a_preview_makes_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let absent = scratch.path().join("a/b");
    let target = LocalTarget::preview(&absent, true).unwrap();
    assert_eq!((target.look(&Key::root()).unwrap(), target.look(&key("x")).unwrap()), (None, None));
    assert_eq!(LocalTarget::preview(scratch.path(), true).unwrap().look(&Key::root()).unwrap(), None, "all of it would be the restore's");
    assert!(target.file(&key("x"), &Node::new(Kind::File), &content(0), Placing::New).is_err());
    assert!(!scratch.path().join("a").exists());
    fs::write(scratch.path().join("f"), "").unwrap();
    assert!(matches!(LocalTarget::preview(scratch.path(), true), Err(SourceError::NotEmpty(_))));
    assert!(LocalTarget::preview(scratch.path(), false).unwrap().look(&key("f")).unwrap().is_some());
    assert!(matches!(LocalTarget::preview(scratch.path().join("f"), false), Err(SourceError::NotFolder(_))));
    assert!(matches!(LocalTarget::merge(scratch.path().join("f")), Err(SourceError::NotFolder(_))));
}

#[test]
fn what_was_restored_is_read_back() {
    let scratch = tempfile::tempdir().unwrap();
    let target = LocalTarget::create(scratch.path()).unwrap();
    let node = node(scratch.path());
    let mut file = target.file(&key("f"), &node, &content(1 << 20), Placing::New).unwrap();
    file.write_at(4096, &[7; 4096]).unwrap();
    file.finish(&node).unwrap();
    let mut back = target.read(&key("f"), None).unwrap();
    let (mut buffer, mut bytes) = (vec![0; 100_000], Vec::new());
    loop {
        match back.next(&mut buffer).unwrap() {
            Piece::Data(count) => bytes.extend_from_slice(&buffer[..count]),
            Piece::Hole(count) => bytes.resize(bytes.len() + usize::try_from(count).unwrap(), 0),
            Piece::End => break,
        }
    }
    assert_eq!((bytes.len(), bytes.iter().filter(|byte| **byte == 7).count(), bytes[4096]), (1 << 20, 4096, 7));
    assert_eq!(target.read(&key("f"), Some(b"s")).err().map(|gap| gap.reason), Some(GapReason::Unsupported));
    assert_eq!(target.read(&key("g"), None).err().map(|gap| gap.reason), Some(GapReason::Vanished));
}

#[test]
fn differences_name_what_is_not_as_it_should_be() {
    let scratch = tempfile::tempdir().unwrap();
    let target = LocalTarget::create(scratch.path()).unwrap();
    let node = node(scratch.path());
    target.file(&key("f"), &node, &content(0), Placing::New).unwrap().finish(&node).unwrap();
    let link = Node { target: Some(b"a".to_vec()), ..Node::new(Kind::Symlink) };
    target.special(&key("l"), &link).unwrap();
    let differences = |path, node: Node| target.differences(&key(path), &node).unwrap();
    assert_eq!(differences("f", node.clone()), [""; 0]);
    assert_eq!(differences("l", link.clone()), [""; 0]);
    assert_eq!(differences("l", Node { target: Some(b"b".to_vec()), ..link.clone() }), ["link target"]);
    assert_eq!(differences("f", link), ["kind"]);
    assert_eq!(differences("f", Node { mtime: Some(Time { seconds: 1, nanos: 0 }), ..node.clone() }), ["times"]);
    let owner = node.owner.unwrap();
    assert_eq!(differences("f", Node { owner: Some(Owner { uid: owner.uid + 1, ..owner }), ..node.clone() }), ["owner"]);
    let attributes = vec![Attribute { name: b"user.note".to_vec(), value: b"x".to_vec() }];
    assert_eq!(differences("f", Node { attributes, ..node.clone() }), ["attributes"]);
    fs::set_permissions(scratch.path().join("f"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(differences("f", node.clone()), ["mode"]);
    assert!(target.differences(&key("g"), &node).is_err());
}

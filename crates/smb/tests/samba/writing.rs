//! What was written is what is there, and what comes back.

use std::fs;

use keepwell_smb::{Basic, Disposition, FileTime, NtStatus, Open, OpenKind, Share, Store, Want, access, attribute, part};

use crate::{Samba, all, names, noise, path, units};

const ALL: Want = Want { descriptor: true, sacl: false, streams: true, attributes: true, maximal_access: false, reparse: false };

fn time(seconds: i64) -> Option<FileTime> {
    FileTime::from_unix(seconds, 123_456_700)
}

fn basic(attributes: u32) -> Basic {
    Basic {
        created: time(1_000_000_000),
        accessed: time(1_100_000_000),
        written: time(1_200_000_000),
        changed: None,
        attributes: Some(attributes),
    }
}

/// Owner and group as they are, and a DACL with one ACE that allows `mask` to Everyone, and one inherited that denies writing to a
/// stranger.
fn descriptor(share: &Share, name: &str, mask: u32) -> Vec<u8> {
    let stat = share.begin_stat(&path(name), ALL, None).unwrap().wait().unwrap();
    let old = stat.descriptor.unwrap().unwrap();
    let offset = |at: usize| u32::from_le_bytes(old[at..at + 4].try_into().unwrap()) as usize;
    let sid = |at: usize| old[at..at + 8 + usize::from(old[at + 1]) * 4].to_vec();
    let (owner, group) = (sid(offset(4)), sid(offset(8)));
    let everyone = [&[1, 1, 0, 0, 0, 0, 0, 1][..], &[0; 4]].concat();
    let stranger: Vec<u8> = [&[1, 5, 0, 0, 0, 0, 0, 5][..], &[21_u32, 1, 2, 3, 4711].map(u32::to_le_bytes).concat()].concat();
    let ace = |kind: u8, flags: u8, mask: u32, sid: &[u8]| {
        [&[kind, flags][..], &(8 + sid.len() as u16).to_le_bytes(), &mask.to_le_bytes(), sid].concat()
    };
    let aces = [ace(1, 0, 2, &stranger), ace(0, 0, mask, &everyone), ace(0, 0, 0x1F_01FF, &owner)].concat();
    let acl = [&[2, 0][..], &(8 + aces.len() as u16).to_le_bytes(), &[3, 0, 0, 0], &aces].concat();
    let group_at = 20 + owner.len();
    let acl_at = group_at + group.len();
    // Self-relative, DACL present and protected from inheritance.
    let mut bytes = vec![1, 0, 0x04, 0x90];
    for at in [20, group_at, 0, acl_at] {
        bytes.extend_from_slice(&(at as u32).to_le_bytes());
    }
    [bytes, owner, group, acl].concat()
}

/// The DACL of a descriptor, byte for byte.
fn dacl(descriptor: &[u8]) -> &[u8] {
    let at = u32::from_le_bytes(descriptor[16..20].try_into().unwrap()) as usize;
    let length = u16::from_le_bytes(descriptor[at + 2..at + 4].try_into().unwrap());
    &descriptor[at..at + usize::from(length)]
}

#[test]
fn a_small_file_is_stored_in_one_visit() {
    let Some(samba) = Samba::start("required") else { return };
    samba.hand_over();
    let share = samba.share();
    fs::write(samba.folder().join("pattern"), "").unwrap();
    samba.hand_over();
    let acl = descriptor(&share, "pattern", 0x12_0089);
    let store = Store {
        data: b"letter",
        basic: basic(attribute::READONLY | attribute::HIDDEN),
        descriptor: Some((&acl, part::DACL)),
        disposition: Disposition::Create,
        takes: None,
    };
    let stored = share.begin_store(&path("letter"), &store).unwrap().wait().unwrap();
    assert!(stored.is_new && stored.written == Ok(6), "{stored:?}");
    assert_eq!((stored.descriptor, stored.basic), (Ok(()), Ok(())));
    assert_eq!(stored.after.unwrap().size, 6);
    let back = share.begin_fetch(&path("letter"), 100, ALL, None).unwrap().wait().unwrap();
    assert_eq!(back.data, "letter");
    assert_eq!(dacl(&back.stat.descriptor.unwrap().unwrap()), dacl(&acl));
    let info = back.stat.info;
    assert_eq!((info.created, info.written), (time(1_000_000_000).unwrap(), time(1_200_000_000).unwrap()));
    assert_eq!(info.attributes & 0x27, attribute::READONLY | attribute::HIDDEN);

    let again = share.begin_store(&path("letter"), &store).unwrap().wait().unwrap_err();
    assert_eq!(again.status(), Some(NtStatus::OBJECT_NAME_COLLISION));
    // A descriptor that is none is refused; the rest is done all the same.
    let store = Store { descriptor: Some((&acl[..30], part::DACL)), basic: basic(attribute::HIDDEN), ..store };
    let stored = share.begin_store(&path("odd"), &store).unwrap().wait().unwrap();
    assert!(stored.descriptor.is_err() && stored.basic == Ok(()), "{stored:?}");
    let back = share.begin_fetch(&path("odd"), 100, ALL, None).unwrap().wait().unwrap();
    assert_eq!((&back.data[..], back.stat.info.written), (&b"letter"[..], time(1_200_000_000).unwrap()));
    // It comes to its name when it is whole; what is there stays.
    let to = path("placed");
    let placed = Store { descriptor: Some((&acl, part::DACL)), takes: Some(&to), ..store };
    let stored = share.begin_store(&path("part"), &placed).unwrap().wait().unwrap();
    assert_eq!((stored.written, stored.descriptor, stored.taken, stored.basic), (Ok(6), Ok(()), Ok(()), Ok(())));
    let back = share.begin_fetch(&to, 100, ALL, None).unwrap().wait().unwrap();
    assert_eq!((&back.data[..], back.stat.info.written), (&b"letter"[..], time(1_200_000_000).unwrap()));
    assert!(!samba.folder().join("part").exists());
    let stored = share.begin_store(&path("part"), &Store { data: b"other", ..placed }).unwrap().wait().unwrap();
    assert_eq!((stored.written, stored.taken), (Ok(5), Err(NtStatus::OBJECT_NAME_COLLISION)));
    assert_eq!(
        (fs::read(samba.folder().join("placed")).unwrap(), fs::read(samba.folder().join("part")).unwrap()),
        (b"letter".into(), b"other".into())
    );

    let empty = Store { data: b"", descriptor: None, basic: Basic::default(), disposition: Disposition::OverwriteIf, takes: None };
    let stored = share.begin_store(&path("nothing"), &empty).unwrap().wait().unwrap();
    assert!(stored.is_new && stored.written == Ok(0));
    let long = vec![0; share.facts().max_write as usize + 1];
    assert!(share.begin_store(&path("long"), &Store { data: &long, ..empty }).is_err());
}

#[test]
fn everything_of_a_file_is_written_back() {
    let Some(samba) = Samba::start("required") else { return };
    samba.hand_over();
    let share = samba.share();
    let mut folder = Open::writing(OpenKind::Folder, Disposition::Create);
    folder.attributes = attribute::NORMAL;
    let folder = share.begin_open(&path("folder"), &folder).unwrap().wait().unwrap();
    assert!(folder.is_new());

    let how = Open::writing(OpenKind::File, Disposition::Create).with_descriptor(part::DACL);
    let file = share.begin_open(&path("folder/scan"), &how).unwrap().wait().unwrap();
    let data = noise(3_000_001);
    let pieces: Vec<_> = data.chunks(700_000).enumerate().map(|(n, piece)| (n as u64 * 700_000, piece)).collect();
    let under_way: Vec<_> = pieces.iter().map(|(at, piece)| (piece.len(), file.begin_write(*at, piece).unwrap())).collect();
    for (length, pending) in under_way {
        assert_eq!(pending.wait().unwrap() as usize, length);
    }
    for (name, bytes) in [("Zone.Identifier", &b"[ZoneTransfer]"[..]), ("émile", b"x")] {
        let at = path("folder/scan").stream(&units(name)).unwrap();
        let stream = share.begin_open(&at, &Open::writing(OpenKind::File, Disposition::OverwriteIf)).unwrap().wait().unwrap();
        assert_eq!(stream.begin_write(0, bytes).unwrap().wait().unwrap() as usize, bytes.len());
        stream.close().unwrap();
    }
    file.set_attribute(b"clinic", b"practice").unwrap();
    let acl = descriptor(&share, "folder/scan", 0x12_0089);
    file.set_descriptor(&acl, part::DACL).unwrap();
    file.flush().unwrap();
    file.set_basic(&basic(attribute::SYSTEM)).unwrap();
    assert_eq!(file.close().unwrap().written, time(1_200_000_000).unwrap());
    folder.set_basic(&basic(attribute::HIDDEN)).unwrap();
    folder.close().unwrap();

    assert!(fs::read(samba.folder().join("folder/scan")).unwrap() == data);
    let stat = share.begin_stat(&path("folder/scan"), ALL, None).unwrap().wait().unwrap();
    assert_eq!(dacl(&stat.descriptor.unwrap().unwrap()), dacl(&acl));
    let mut streams: Vec<_> =
        stat.streams.unwrap().into_iter().map(|stream| (String::from_utf16(&stream.name).unwrap(), stream.size)).collect();
    streams.sort_unstable();
    assert_eq!(streams, [("Zone.Identifier".to_owned(), 14), ("émile".to_owned(), 1)]);
    let zone = path("folder/scan").stream(&units("Zone.Identifier")).unwrap();
    let zone = share.begin_fetch(&zone, 100, Want::default(), None).unwrap().wait().unwrap();
    assert!(zone.whole && zone.data == "[ZoneTransfer]");
    assert_eq!(stat.attributes.unwrap().iter().map(|(_, value)| &value[..]).collect::<Vec<_>>(), [b"practice"]);
    assert_eq!((stat.info.created, stat.info.written), (time(1_000_000_000).unwrap(), time(1_200_000_000).unwrap()));
    assert_eq!(stat.info.attributes & 0x27, attribute::SYSTEM);
    let folder = share.begin_stat(&path("folder"), ALL, None).unwrap().wait().unwrap();
    assert_eq!((folder.info.created, folder.info.written), (time(1_000_000_000).unwrap(), time(1_200_000_000).unwrap()));
    assert!(folder.info.attributes & attribute::HIDDEN != 0);
}

#[test]
fn files_are_renamed_linked_cut_and_deleted() {
    let Some(samba) = Samba::start("required") else { return };
    for (name, text) in [("a", "new"), ("b", "old"), ("gone", "")] {
        fs::write(samba.folder().join(name), text).unwrap();
    }
    fs::create_dir(samba.folder().join("sub")).unwrap();
    samba.hand_over();
    let share = samba.share();
    let mut how = Open::writing(OpenKind::Any, Disposition::Open);
    how.access |= access::DELETE | access::WRITE_DATA;
    let open = |name: &str| share.begin_open(&path(name), &how).unwrap().wait().unwrap();

    let a = open("a");
    assert_eq!(a.rename(&path("b"), false).unwrap_err().status(), Some(NtStatus::OBJECT_NAME_COLLISION));
    a.rename(&path("b"), true).unwrap();
    a.link(&path("sub/CON."), false).unwrap();
    a.set_end(2).unwrap();
    a.close().unwrap();
    open("gone").delete_on_close().unwrap();
    assert_eq!(names(&all(share.list(&path(""), None).unwrap())), ["b", "sub"]);
    assert_eq!(names(&all(share.list(&path("sub"), None).unwrap())), ["CON."]);
    let linked = share.begin_fetch(&path("sub/CON."), 10, Want::default(), None).unwrap().wait().unwrap();
    assert_eq!((&linked.data[..], linked.stat.info.links), (&b"ne"[..], 2));
    assert_eq!(fs::read(samba.folder().join("b")).unwrap(), b"ne");

    // Held by one without sharing, refused to the other.
    let held = share.begin_open(&path("b"), &Open { share: 0, ..how.clone() }).unwrap().wait().unwrap();
    let other = samba.share();
    let refused = other.begin_fetch(&path("b"), 10, ALL, None).unwrap().wait().unwrap_err();
    assert_eq!(refused.status(), Some(NtStatus::SHARING_VIOLATION));
    // Dropped handles are closed, and so are those that nobody waited for.
    drop(held);
    drop(share.begin_open(&path("b"), &Open { share: 0, ..how.clone() }).unwrap());
    // What was sent before this is done.
    share.volume().unwrap();
    assert!(other.begin_fetch(&path("b"), 10, ALL, None).unwrap().wait().unwrap().whole);

    let held = open("b");
    share.reconnect(share.generation()).unwrap();
    assert!(held.stale() && held.begin_read(0, 1).is_err());
    assert!(share.begin_fetch(&path("b"), 10, ALL, None).unwrap().wait().unwrap().whole);
}

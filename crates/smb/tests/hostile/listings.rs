//! Folders without end, folders within themselves, names that no folder can have, and entries that point nowhere.

use keepwell_smb::{DirEntry, Listing, Share, SmbError, WidePath, check_name};
use keepwell_smb_server::{Command, Fault, Node, Quirks, Rule, Tree, TreePath};

use super::{PATIENT, connect, ends, options, path, serve, tree};

fn all(share: &Share, folder: &WidePath) -> Result<Vec<DirEntry>, SmbError> {
    let mut entries = Vec::new();
    let mut listing = share.list(folder, None)?;
    while let Some(batch) = listing.next_batch()? {
        entries.extend(batch);
    }
    Ok(entries)
}

fn one_odd_folder(quirks: Quirks) -> Tree {
    let mut tree = tree();
    tree.at_mut("folder").unwrap().quirks = quirks;
    tree
}

#[test]
fn an_endless_folder_is_read_no_further_than_the_caller_goes() {
    ends(|| {
        let server = serve(one_odd_folder(Quirks { endless: true, ..Quirks::default() }), []);
        let share = connect(&server, options(PATIENT)).unwrap();
        let mut listing = share.list(&path("folder"), None).unwrap();
        let entries: usize = (0..20).map(|_| listing.next_batch().unwrap().unwrap().len()).sum();
        assert!(entries > 1000);
        drop(listing);
        assert_eq!(super::fetch(&share, "a.txt").unwrap().data, b"the right data"[..]);
        let counts = server.counts();
        assert!(counts.requests[&Command::QueryDirectory] <= 22, "{:?}", counts.requests);
        assert!(counts.sent_bytes < 24 << 20);
        assert_eq!(counts.open_handles, 0, "closed, though it had no end");
    });
}

#[test]
fn a_listing_that_goes_in_circles_is_an_error() {
    ends(|| {
        let server = serve(one_odd_folder(Quirks { repeats: true, ..Quirks::default() }), []);
        let share = connect(&server, options(PATIENT)).unwrap();
        let error = all(&share, &path("folder")).unwrap_err();
        assert!(matches!(error, SmbError::Malformed { .. }), "{error:?}");
        assert!(server.counts().requests[&Command::QueryDirectory] < 20);
    });
}

#[test]
fn names_that_lead_elsewhere_are_left_out() {
    ends(|| {
        let bad = ["..", ".", "", "a\\b", "..\\..\\x", "a/b", "/etc", "nul\0", "a:b", "\\"];
        let also_lists = bad.iter().map(|name| name.encode_utf16().collect()).collect();
        let server = serve(one_odd_folder(Quirks { also_lists, ..Quirks::default() }), []);
        let share = connect(&server, options(PATIENT)).unwrap();
        let mut listing: Listing = share.list(&path("folder"), None).unwrap();
        let mut names = Vec::new();
        while let Some(batch) = listing.next_batch().unwrap() {
            names.extend(batch.into_iter().map(|entry| String::from_utf16(&entry.name).unwrap()));
        }
        assert_eq!(names, ["one", "three", "two"]);
        assert!(listing.refused() >= 8, "{} refused", listing.refused());
        assert_eq!(server.counts().breaches, [""; 0], "none was asked for");
    });
}

#[test]
fn offsets_that_point_nowhere_end_the_listing_and_nothing_else() {
    // The first entry's next offset, its name's length, its sizes; the buffer's offset and length.
    let places = [72, 72 + 60, 72 + 40, 72 + 68, 66, 68];
    let words = [0_u32, 1, 4, 8, 104, 0x1_0000, 0x7FFF_FFFF, 0xFFFF_FFF8, u32::MAX];
    for (place, word) in places.into_iter().flat_map(|place| words.map(|word| (place, word))) {
        ends(move || {
            let server = serve(tree(), []);
            let share = connect(&server, options(PATIENT)).unwrap();
            let bytes = word.to_le_bytes()[..if place == 66 { 2 } else { 4 }].to_vec();
            server.faults().push(Rule::on(Command::QueryDirectory, Fault::Patch(place, bytes)));
            let listed = all(&share, &path("folder"));
            for entry in listed.iter().flatten() {
                check_name(&entry.name).unwrap();
            }
            assert!(listed.map_or(0, |entries| entries.len()) <= 4, "{word:x} at {place}");
            assert!(server.counts().requests[&Command::QueryDirectory] < 20, "{word:x} at {place}");
            server.faults().clear();
            assert_eq!(all(&share, &path("folder")).unwrap().len(), 3, "{word:x} at {place}: the connection lives");
        });
    }
}

#[test]
fn what_no_file_system_holds_is_read_as_it_is() {
    ends(|| {
        let mut tree = Tree::new();
        let odd: Vec<Vec<u16>> =
            vec![vec![0xD800, 65], vec![0xDC00], vec![0xDFFF, 0xD800], vec![0xFFFF], vec![0x20], vec![65; 255], vec![65, 0x2E]];
        for (name, time) in odd.iter().zip([1, 0, u64::MAX / 2, 5, 6, 7, 8]) {
            let mut node = Node::file(&b"odd"[..]);
            (node.created, node.written) = (time, time);
            tree.put(tree.root(), vec![name.clone()], node);
        }
        let deep: Vec<Vec<u16>> = (0..127).map(|_| vec![u16::from(b'd'); 255]).collect();
        tree.put(tree.root(), TreePath(deep.clone()), Node::file(&b"deep"[..]));
        let folder = tree.put(tree.root(), "within", Node::folder());
        tree.link(tree.root(), "within\\itself", folder);
        let server = serve(tree, []);
        let share = connect(&server, options(PATIENT)).unwrap();
        let entries = all(&share, &WidePath::root()).unwrap();
        for (name, time) in odd.iter().zip([1, 0, u64::MAX / 2, 5, 6, 7, 8]) {
            let entry = entries.iter().find(|entry| entry.name == *name).unwrap();
            assert_eq!((entry.info.written.0, entry.info.created.0, entry.info.size), (time, time, 3));
            let path = WidePath::root().join(name).unwrap();
            let fetched = share.begin_fetch(&path, 100, Default::default(), None).and_then(keepwell_smb::Pending::wait).unwrap();
            assert_eq!((fetched.data, fetched.whole, fetched.stat.info.written.0), (b"odd"[..].into(), true, time));
        }
        let path = deep.iter().try_fold(WidePath::root(), |path, name| path.join(name)).unwrap();
        assert!(path.units().len() > 32_000);
        let fetched = share.begin_fetch(&path, 100, Default::default(), None).and_then(keepwell_smb::Pending::wait).unwrap();
        assert_eq!(fetched.data, b"deep"[..]);
        let within = (0..100).try_fold(super::path("within"), |path, _| path.join(&"itself".encode_utf16().collect::<Vec<_>>())).unwrap();
        let entries = all(&share, &within).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].info.file_id, all(&share, &super::path("within")).unwrap()[0].info.file_id, "how a walker can tell");
    });
}

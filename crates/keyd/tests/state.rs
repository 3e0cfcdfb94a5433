//! The state folder: whatever happens to a file is noticed, and nobody else reads it.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use keepwell_keyd::state::{Folder, OwnHalf, StateError};

fn own(byte: u8) -> OwnHalf {
    OwnHalf::random(&mut |out| out.fill(byte))
}

fn id(folder: &Folder) -> Result<Option<[u8; 16]>, StateError> {
    folder.read::<OwnHalf>("box.json").map(|own| own.map(|own| own.box_id()))
}

#[test]
fn what_is_written_is_read_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(&place.path().join("a/b")).unwrap();
    assert_eq!(id(&folder).unwrap(), None);
    folder.write("box.json", &own(1)).unwrap();
    folder.write("box.json", &own(2)).unwrap();
    assert_eq!(id(&folder).unwrap(), Some([2; 16]));
    let path = folder.path().join("box.json");
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            fs::write(&path, &bad).unwrap();
            // The case of the hash's digits and the line's end say nothing; all else does.
            match id(&folder) {
                Ok(found) => assert_eq!(found, Some([2; 16]), "byte {at}, bit {bit}"),
                Err(StateError::Damaged { path: told, .. } | StateError::Newer(told)) => assert_eq!(told, path),
                Err(other) => panic!("{other:?}"),
            }
        }
        fs::write(&path, &good[..at]).unwrap();
        assert!(id(&folder).is_err() || at + 1 == good.len(), "cut at {at}");
    }
    for (content, newer) in [("{\"version\":2}", true), ("{\"version\":1}", false), ("[]", false), ("", false)] {
        fs::write(&path, content).unwrap();
        assert_eq!(matches!(id(&folder), Err(StateError::Newer(_))), newer, "{content}");
        assert!(id(&folder).is_err());
    }
}

#[test]
fn it_is_for_one_keyd_alone() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("state");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let folder = Folder::open(&path).unwrap();
    folder.write("box.json", &own(1)).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("box.json"))), (0o700, 0o600));
    assert!(matches!(Folder::open(&path), Err(StateError::InUse(_))));
    drop(folder);
    Folder::open(&path).unwrap();
}

#[test]
fn what_a_crash_left_is_in_nobodys_way() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    fs::write(place.path().join("box.json.new"), "half a fi").unwrap();
    folder.write("box.json", &own(3)).unwrap();
    assert_eq!(id(&folder).unwrap(), Some([3; 16]));
    assert_eq!(folder.names("box", ".new").unwrap(), [""; 0]);
    folder.set_aside("box.json").unwrap();
    folder.set_aside("box.json").unwrap();
    assert_eq!(id(&folder).unwrap(), None);
    folder.remove("box.json").unwrap();
}

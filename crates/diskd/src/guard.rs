//! What may be done with a disk. Pure: facts in, a refusal or leave out. Touches nothing; whoever acts asks here first, and looks again when it has the disk to itself.

use std::path::Path;

use keepwell_api::disks::{Standing, Typed};

use crate::content::Content;
use crate::error::DiskError;
use crate::identity::PublicKey;
use crate::inventory::{Found, Hold};

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make it a disk of this box: all that is on it is gone.
    Prepare,
    /// Mount it.
    Mount,
    /// Unmount it.
    Unmount,
    /// Let its file system use all of a disk that became larger.
    Grow,
    /// Overwrite all of it.
    Erase,
}

impl Action {
    fn verb(self) -> &'static str {
        match self {
            Self::Prepare => "prepared",
            Self::Mount => "mounted",
            Self::Unmount => "unmounted",
            Self::Grow => "grown",
            Self::Erase => "erased",
        }
    }
}

/// Why nothing is known of what is on a disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unseen {
    /// It has just come.
    #[error("it was not looked at yet")]
    NotYet,
    /// Reading it failed.
    #[error("{0}")]
    Failed(String),
}

/// Smallest disk that is worth preparing.
const SMALLEST: u64 = 512 << 20;

/// What a disk is to the box, from what holds it, what is on it, and whose keys are known.
pub fn standing(found: &Found, content: Result<&Content, &Unseen>, own: &[PublicKey], known: Option<String>, base: &Path) -> Standing {
    let mut mounted_at = None;
    for hold in &found.holds {
        match hold {
            Hold::Own(why) => return Standing::Own { why: why.clone() },
            Hold::Mounted(at) if at.parent() == Some(base) => mounted_at = Some(at.display().to_string()),
            Hold::Mounted(at) => return Standing::Busy { by: format!("mounted at {}", at.display()) },
            Hold::Swap => return Standing::Busy { by: "the system's swap".into() },
            Hold::Holder(name) => return Standing::Busy { by: format!("the device {name}, which is built on it") },
        }
    }
    match content {
        Err(why) => Standing::Unread { why: why.to_string(), failed: *why != Unseen::NotYet },
        Ok(Content::Blank) => Standing::Blank,
        Ok(Content::Foreign(what)) => Standing::Foreign { what: what.clone() },
        Ok(Content::Spoilt(why)) => Standing::Spoilt { why: why.clone() },
        Ok(Content::Labelled(label)) if own.contains(&label.key) => {
            Standing::Prepared { disk: label.disk.to_string(), mounted_at, unreadable: None }
        }
        Ok(Content::Labelled(label)) => {
            let disk = label.disk.to_string();
            let name = known.clone().unwrap_or_else(|| label.box_name.clone());
            Standing::OtherBox { disk, key: label.key.to_hex(), known: known.is_some(), name, mounted_at }
        }
    }
}

/// Gives leave for `action`, or says why not.
pub fn permit(action: Action, found: &Found, standing: &Standing, typed: &Typed) -> Result<(), DiskError> {
    let serial = found.serial.as_ref().map_or("", |serial| serial.as_str());
    let no =
        |code, why: String| Err(DiskError::refused(code, format!("disk {serial} was not {}: {why}. Nothing was changed", action.verb())));
    let named = match typed.typed_serial.as_deref().map(str::trim) {
        Some(typed) if typed != serial => return no("wrong-serial", "the serial number that was typed is not this disk's".into()),
        typed => typed.is_some(),
    };
    match standing {
        Standing::Own { why } => return no("own-disk", format!("{why}, and it is never touched")),
        Standing::Busy { by } => return no("in-use", format!("it is in use: {by}")),
        Standing::Absent => return no("absent", "it is not connected".into()),
        _ => {}
    }
    let untyped = |what: &str| no("type-serial", format!("{what}. Type its serial number if it is meant"));
    let mounted = matches!(standing, Standing::Prepared { mounted_at: Some(_), .. } | Standing::OtherBox { mounted_at: Some(_), .. });
    match action {
        Action::Unmount | Action::Grow => return if mounted { Ok(()) } else { no("not-mounted", "it is not mounted".into()) },
        Action::Mount => {
            return match standing {
                Standing::Prepared { .. } => Ok(()),
                Standing::OtherBox { name, known: false, .. } => {
                    no("unknown-box", format!("it says that it is a disk of the box '{name}', whose key this box does not know"))
                }
                Standing::OtherBox { name, .. } if !named => untyped(&format!("it is a disk of the box '{name}'")),
                Standing::OtherBox { .. } => Ok(()),
                _ => no("no-label", "it has no label of Keepwell's, and only such disks are mounted".into()),
            };
        }
        Action::Prepare | Action::Erase => {}
    }
    if mounted {
        return no("mounted", "it is mounted. Unmount it first".into());
    }
    if found.read_only {
        return no("read-only", "it can only be read".into());
    }
    let may_be_needed = match standing {
        Standing::Prepared { disk, .. } | Standing::OtherBox { disk, .. } => Some(format!("it is disk {disk} of a pool")),
        // In a case with a serial number of its own, every disk of a pool looks like this.
        Standing::Spoilt { why } | Standing::Unread { why, .. } => Some(format!("it may be a disk of a pool, which can't be seen ({why})")),
        _ => None,
    };
    if let Some(what) = may_be_needed.filter(|_| !typed.retired) {
        return no("in-pool", format!("{what}, and nobody said that the pool does without it. Retire it from the pool first"));
    }
    match (action, standing) {
        (Action::Prepare, Standing::Unread { why, .. }) => no("unread", format!("it can't be read: {why}")),
        (Action::Prepare, _) if found.size_bytes < SMALLEST => no("too-small", "it is too small to be of use".into()),
        (Action::Prepare, _) if found.zoned.as_deref() == Some("host-managed") => {
            no("zoned", "it is a shingled disk that needs a file system of its own kind".into())
        }
        (Action::Prepare, Standing::Blank) => Ok(()),
        _ if named => Ok(()),
        (Action::Prepare, Standing::Foreign { what }) => untyped(&format!("there is something on it that would be lost: {what}")),
        (Action::Prepare, Standing::Spoilt { why }) => untyped(&format!("it has a label of Keepwell's that does not hold: {why}")),
        (Action::Prepare, Standing::OtherBox { name, .. }) => {
            untyped(&format!("it is a disk of the box '{name}', and its data would be lost"))
        }
        (Action::Prepare, _) => untyped("it is a disk of this box already, and its data would be lost"),
        _ => untyped("all that is on it would be lost"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use keepwell_api::disks::{Bus, Serial};

    use super::*;

    fn found(holds: Vec<Hold>) -> Found {
        let (name, model) = ("sdx".into(), "Disk".into());
        Found {
            name,
            sequence: Some(7),
            serial: Serial::parse("S1"),
            wwn: None,
            model,
            bus: Bus::Sata,
            size_bytes: 4 << 40,
            sector_bytes: 512,
            rotational: true,
            removable: false,
            read_only: false,
            zoned: None,
            partitions: Vec::new(),
            holds,
        }
    }

    fn typed(serial: &str, retired: bool) -> Typed {
        let typed_serial = (!serial.is_empty()).then(|| serial.to_owned());
        Typed { typed_serial, retired, asked_by: None }
    }

    fn code(action: Action, standing: &Standing, serial: &str, retired: bool) -> &'static str {
        permit(action, &found(vec![]), standing, &typed(serial, retired)).map_or_else(|error| error.code(), |()| "ok")
    }

    fn prepared(mounted: bool) -> Standing {
        Standing::Prepared { disk: "d".into(), mounted_at: mounted.then(|| "/run/d".into()), unreadable: None }
    }

    fn other(known: bool) -> Standing {
        Standing::OtherBox { disk: "d".into(), name: "B".into(), key: String::new(), known, mounted_at: None }
    }

    #[test]
    fn what_holds_a_disk_comes_before_what_is_on_it() {
        let base = Path::new("/run/d");
        let of = |holds| standing(&found(holds), Ok(&Content::Blank), &[], None, base);
        assert!(matches!(of(vec![Hold::Mounted("/mnt".into()), Hold::Own("root".into())]), Standing::Busy { .. }));
        assert!(matches!(of(vec![Hold::Own("root".into())]), Standing::Own { .. }));
        assert!(matches!(of(vec![Hold::Swap]), Standing::Busy { .. }));
        assert!(matches!(of(vec![Hold::Holder("dm-0".into())]), Standing::Busy { .. }));
        assert!(matches!(of(vec![Hold::Mounted(PathBuf::from("/run/d/a/b"))]), Standing::Busy { .. }), "not ours");
        assert_eq!(of(vec![]), Standing::Blank);
    }

    #[test]
    fn a_disk_that_can_not_be_read_is_told_from_one_that_has_just_come() {
        let of = |why| standing(&found(vec![]), Err(&why), &[], None, Path::new("/run/d"));
        let failed = of(Unseen::Failed("Input/output error".into()));
        assert_eq!((of(Unseen::NotYet).unreadable(), failed.unreadable()), (None, Some("Input/output error")));
    }

    #[test]
    fn the_boxs_own_disk_is_never_touched() {
        let own = Standing::Own { why: "root is on it".into() };
        for action in [Action::Prepare, Action::Mount, Action::Unmount, Action::Grow, Action::Erase] {
            assert_eq!(code(action, &own, "S1", true), "own-disk", "{action:?}");
        }
    }

    #[test]
    fn a_wrong_serial_stops_even_what_needs_none() {
        assert_eq!(code(Action::Prepare, &Standing::Blank, "S2", false), "wrong-serial");
        assert_eq!(code(Action::Mount, &prepared(false), "S2", false), "wrong-serial");
        assert_eq!(code(Action::Prepare, &Standing::Blank, " S1 ", false), "ok");
    }

    #[test]
    fn preparing() {
        let foreign = Standing::Foreign { what: "ntfs".into() };
        for (standing, serial, retired, expected) in [
            (Standing::Blank, "", false, "ok"),
            (foreign.clone(), "", false, "type-serial"),
            (foreign, "S1", false, "ok"),
            (Standing::Spoilt { why: "x".into() }, "S1", false, "in-pool"),
            (Standing::Spoilt { why: "x".into() }, "", true, "type-serial"),
            (Standing::Spoilt { why: "x".into() }, "S1", true, "ok"),
            (Standing::Unread { why: "x".into(), failed: true }, "S1", false, "in-pool"),
            (Standing::Unread { why: "x".into(), failed: true }, "S1", true, "unread"),
            (prepared(false), "S1", false, "in-pool"),
            (prepared(false), "", true, "type-serial"),
            (prepared(false), "S1", true, "ok"),
            (prepared(true), "S1", true, "mounted"),
            (other(true), "S1", false, "in-pool"),
            (Standing::Absent, "S1", true, "absent"),
        ] {
            assert_eq!(code(Action::Prepare, &standing, serial, retired), expected, "{standing:?} {serial} {retired}");
        }
    }

    #[test]
    fn mounting() {
        assert_eq!(code(Action::Mount, &prepared(false), "", false), "ok");
        assert_eq!(code(Action::Mount, &other(true), "", false), "type-serial");
        assert_eq!(code(Action::Mount, &other(true), "S1", false), "ok");
        assert_eq!(code(Action::Mount, &other(false), "S1", false), "unknown-box");
        assert_eq!(code(Action::Mount, &Standing::Blank, "S1", false), "no-label");
        assert_eq!(code(Action::Unmount, &prepared(false), "", false), "not-mounted");
    }

    #[test]
    fn erasing_always_needs_the_serial_and_a_pool_that_does_without_it() {
        assert_eq!(code(Action::Erase, &Standing::Blank, "", true), "type-serial");
        assert_eq!(code(Action::Erase, &prepared(false), "S1", false), "in-pool");
        assert_eq!(code(Action::Erase, &prepared(false), "S1", true), "ok");
        assert_eq!(code(Action::Erase, &prepared(true), "S1", true), "mounted");
        for unseen in [Standing::Spoilt { why: "x".into() }, Standing::Unread { why: "x".into(), failed: true }] {
            assert_eq!([false, true].map(|retired| code(Action::Erase, &unseen, "S1", retired)), ["in-pool", "ok"], "{unseen:?}");
        }
    }
}

//! What becomes of an entry where the target holds something already. Decides only; never writes.

use keepwell_format::port::{Placing, Present, Target, WriteError};
use keepwell_format::{Key, Kind, Node};

use super::RestoreOptions;

/// What happens to a file where one is already. Folders that are there are merged, and nothing is ever deleted to make room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflict {
    /// The file is not restored, and is named as trouble: the target should have held nothing.
    #[default]
    Refuse,
    /// What is there stays.
    Skip,
    /// The file from the backup takes its place.
    Replace,
    /// Both stay: the file from the backup gets another name.
    Rename,
    /// As `Replace` where the file in the backup was changed later than the one that is there, else as `Skip`.
    Newer,
}

/// What was done with an entry, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing was there.
    Created,
    /// It took the place of what was there.
    Replaced,
    /// It stands beside what was there.
    Renamed,
    /// What was there stayed.
    Skipped,
    /// It is a further path of a file that was restored.
    Linked,
}

/// The decision on one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Create,
    /// Take the folder that is there.
    Merge,
    Replace,
    Rename,
    /// Stays if it is as it should be, else trouble: links and special files are not replaced.
    Compare,
    Skip(&'static str),
    Trouble(&'static str),
}

const THERE: &str = "there is one already";
const FOLDER_THERE: &str = "a folder is in its place; it was left alone";
const NO_FOLDER: &str = "something that is no folder is in its place; it was left alone, and what belongs into the folder was not restored";
const OTHER_THERE: &str = "something of another kind is in its place; it was left alone";
const REFUSED: &str = "something is in its place already; it was left alone";

/// Decides by what is there.
pub(super) fn plan(conflict: Conflict, present: Option<&Present>, node: &Node) -> Plan {
    let Some(present) = present else {
        return Plan::Create;
    };
    match (node.kind == Kind::Folder, present.kind == Kind::Folder) {
        (true, true) => return Plan::Merge,
        (true, false) => return Plan::Trouble(NO_FOLDER),
        (false, true) => return Plan::Trouble(FOLDER_THERE),
        (false, false) => {}
    }
    let same_kind = present.kind == node.kind;
    match conflict {
        Conflict::Refuse => Plan::Trouble(REFUSED),
        Conflict::Skip => Plan::Skip(THERE),
        Conflict::Rename => Plan::Rename,
        Conflict::Replace | Conflict::Newer if !same_kind => Plan::Trouble(OTHER_THERE),
        Conflict::Replace | Conflict::Newer if node.kind != Kind::File => Plan::Compare,
        Conflict::Replace => Plan::Replace,
        Conflict::Newer => match (node.mtime, present.mtime) {
            (Some(ours), Some(theirs)) if ours > theirs => Plan::Replace,
            (Some(_), Some(_)) => Plan::Skip("the one that is there is as new or newer"),
            _ => Plan::Skip("there is one already, and it can't be told which is newer"),
        },
    }
}

/// Where and how an entry is to be put.
#[derive(Clone, Debug)]
pub(super) struct Put {
    pub(super) at: Key,
    pub(super) action: Action,
}

impl Put {
    pub(super) fn placing(&self) -> Placing {
        if self.action == Action::Replaced { Placing::Replace } else { Placing::New }
    }
}

/// What is to be done with an entry that is no folder.
pub(super) enum Decision {
    Put(Put),
    Skip(&'static str),
    Trouble(&'static str),
}

/// Looks at the target, unless nothing can be there, and decides.
pub(super) fn decide(target: &dyn Target, options: &RestoreOptions, key: &Key, node: &Node, fresh: bool) -> Result<Decision, WriteError> {
    let put = |at: &Key, action| Ok(Decision::Put(Put { at: at.clone(), action }));
    let present = if fresh { None } else { target.look(key)? };
    match plan(options.conflict, present.as_ref(), node) {
        Plan::Create | Plan::Merge => put(key, Action::Created),
        Plan::Replace => put(key, Action::Replaced),
        Plan::Skip(why) => Ok(Decision::Skip(why)),
        Plan::Trouble(why) => Ok(Decision::Trouble(why)),
        Plan::Compare => match target.differences(key, node) {
            Ok(differences) if differences.is_empty() => Ok(Decision::Skip("it is there just as it should be")),
            _ => Ok(Decision::Trouble("there is another one already; links and special files are not replaced")),
        },
        Plan::Rename => match free_name(target, key, &options.stamp)? {
            Some(free) => put(&free, Action::Renamed),
            None => Ok(Decision::Trouble("no name could be found that is free")),
        },
    }
}

/// Names that are tried before giving up.
pub(super) const NAMES: u32 = 99;

fn free_name(target: &dyn Target, key: &Key, stamp: &str) -> Result<Option<Key>, WriteError> {
    for number in 1..=NAMES {
        if let Some(free) = renamed(key, stamp, number)
            && target.look(&free)?.is_none()
        {
            return Ok(Some(free));
        }
    }
    Ok(None)
}

/// Longest name that all servers take: bytes, and less than as many UTF-16 units.
const NAME_MAX: usize = 255;
/// What is longer is no file type.
const EXTENSION_MAX: usize = 16;

/// `stem (restored STAMP).ext`, with a number from the second on; the stem is cut where the name would be too long.
pub(super) fn renamed(key: &Key, stamp: &str, number: u32) -> Option<Key> {
    let name = key.name();
    let dot = name.iter().rposition(|b| *b == b'.').filter(|at| *at > 0 && name.len() - at <= EXTENSION_MAX);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let stamp = if stamp.is_empty() { String::new() } else { format!(" {stamp}") };
    let mark = if number > 1 { format!(" (restored{stamp} {number})") } else { format!(" (restored{stamp})") };
    let mut end = stem.len().min(NAME_MAX.checked_sub(mark.len() + extension.len())?);
    while end < stem.len() && end > 0 && stem[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    key.parent()?.join(&[&stem[..end], mark.as_bytes(), extension].concat()).ok()
}

#[cfg(test)]
mod tests {
    use keepwell_format::Time;

    use super::*;

    fn time(seconds: i64) -> Option<Time> {
        Some(Time { seconds, nanos: 0 })
    }

    #[test]
    fn the_rules_as_a_table() {
        use Conflict::{Newer, Refuse, Rename, Replace, Skip};
        let (file, folder, link) = (Kind::File, Kind::Folder, Kind::Symlink);
        let all = [Refuse, Skip, Replace, Rename, Newer];
        // Rule, kind in the backup, kind that is there, the beginning of what is decided. The backup's is newer.
        let table = [
            (&all[..], folder, folder, "Merge"),
            (&all[..], folder, file, "Trouble"),
            (&all[..], folder, link, "Trouble"),
            (&all[..], file, folder, "Trouble"),
            (&all[..], link, folder, "Trouble"),
            (&[Refuse][..], file, file, "Trouble"),
            (&[Skip][..], file, file, "Skip"),
            (&[Skip][..], file, link, "Skip"),
            (&[Replace][..], file, file, "Replace"),
            (&[Replace, Newer][..], file, link, "Trouble"),
            (&[Replace, Newer][..], link, file, "Trouble"),
            (&[Replace, Newer][..], link, link, "Compare"),
            (&[Rename][..], file, file, "Rename"),
            (&[Rename][..], link, link, "Rename"),
            (&[Newer][..], file, file, "Replace"),
        ];
        for (rules, kind, there, expected) in table {
            for rule in rules {
                let node = Node { mtime: time(20), ..Node::new(kind) };
                let present = Present { kind: there, size: 1, mtime: time(10) };
                let decided = format!("{:?}", plan(*rule, Some(&present), &node));
                assert!(decided.starts_with(expected), "{rule:?}, {kind:?} where {there:?} is: {decided}");
                assert_eq!(plan(*rule, None, &node), Plan::Create);
            }
        }
    }

    #[test]
    fn newer_means_later_and_surely_so() {
        for (ours, theirs, replaces) in [(20, 10, true), (10, 10, false), (10, 20, false)] {
            let present = Present { kind: Kind::File, size: 1, mtime: time(theirs) };
            let node = Node { mtime: time(ours), ..Node::new(Kind::File) };
            assert_eq!(plan(Conflict::Newer, Some(&present), &node) == Plan::Replace, replaces);
            let unknown = Present { mtime: None, ..present };
            assert!(matches!(plan(Conflict::Newer, Some(&unknown), &node), Plan::Skip(_)));
        }
    }

    #[test]
    fn names_of_what_stands_beside() {
        let of = |path: &[u8], number| {
            String::from_utf8_lossy(&renamed(&Key::from_path(path).unwrap(), "now", number).unwrap().to_path()).into_owned()
        };
        assert_eq!(of(b"a/b.tar.gz", 1), "a/b.tar (restored now).gz");
        assert_eq!(of(b"b", 2), "b (restored now 2)");
        assert_eq!(of(b".profile", 1), ".profile (restored now)");
        assert_eq!(of(b"mail to dr. schmidt about something", 1), "mail to dr. schmidt about something (restored now)");
        assert_eq!(renamed(&Key::from_path(b"x\xff\xfe.d\xff").unwrap(), "", 1).unwrap().to_path(), b"x\xff\xfe (restored).d\xff");
        let long = "ä".repeat(127);
        let cut = of(long.as_bytes(), 1);
        assert!(cut.len() <= 255 && cut.ends_with("ä (restored now)"), "{cut}");
        assert_eq!(renamed(&Key::root(), "now", 1), None);
    }
}

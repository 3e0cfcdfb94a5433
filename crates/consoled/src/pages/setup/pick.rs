//! A random file of a snapshot: nobody chooses one that is known to be good. Walks down at random, a folder at a time.

use std::collections::HashSet;

use keepwell_api::grants::Verb;
use keepwell_api::vault::{File, Files, ListFiles};

use crate::neighbours::Trouble;
use crate::pages::restore::draft::{Wanted, base64, joined, parent};
use crate::visit::Visit;

/// Folders that are looked into.
const LOOKS: usize = 48;
/// Entries of a folder that are looked at.
const ROWS: u32 = 1_000;
/// Larger files take too long for a first try.
const LARGEST: u64 = 64 << 20;

/// One, if there is any that was found.
pub(crate) async fn random_file(visit: &Visit, snapshot: &str) -> Result<Option<Wanted>, Trouble> {
    let (mut folder, mut dead) = (Vec::new(), HashSet::new());
    for _ in 0..LOOKS {
        let ask = ListFiles { snapshot: snapshot.to_owned(), path: base64(&folder), after: None, limit: ROWS };
        let files: Files = visit.granted(Verb::FilesList, "/v1/files", &ask).await?;
        let wanted: Vec<_> =
            files.files.iter().filter_map(|file| candidate(&folder, file)).filter(|one| !dead.contains(&one.path)).collect();
        let Some(one) = wanted.get(random_below(wanted.len())?).cloned() else {
            if folder.is_empty() {
                return Ok(None);
            }
            let above = parent(&folder).to_vec();
            dead.insert(std::mem::replace(&mut folder, above));
            continue;
        };
        if !one.folder {
            return Ok(Some(one));
        }
        folder = one.path;
    }
    Ok(None)
}

/// What may be walked into or taken.
fn candidate(folder: &[u8], file: &File) -> Option<Wanted> {
    let path = joined(folder, file.name.as_ref());
    match file.kind.as_str() {
        "folder" => Some(Wanted { path, folder: true, size: None }),
        "file" if file.gap.is_none() && !file.inconsistent && file.size.is_some_and(|size| (1..=LARGEST).contains(&size)) => {
            Some(Wanted { path, folder: false, size: file.size })
        }
        _ => None,
    }
}

/// 0 for none.
fn random_below(count: usize) -> Result<usize, Trouble> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|_| Trouble::Busy)?;
    Ok(usize::try_from(u64::from_le_bytes(bytes) % count.max(1) as u64).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_come_back_whole_is_chosen() {
        let file = |kind: &str, size, gap: Option<&str>, inconsistent| File {
            name: b"a".to_vec().into(),
            kind: kind.into(),
            size,
            changed_at: None,
            inconsistent,
            gap: gap.map(str::to_owned),
        };
        let chosen = |file: &File| candidate(b"x", file).map(|one| (one.path, one.folder));
        assert_eq!(chosen(&file("file", Some(5), None, false)), Some((b"x/a".to_vec(), false)));
        assert_eq!(chosen(&file("folder", None, None, false)), Some((b"x/a".to_vec(), true)));
        for bad in [
            file("file", Some(0), None, false),
            file("file", None, None, false),
            file("file", Some(LARGEST + 1), None, false),
            file("file", Some(5), Some("denied"), false),
            file("file", Some(5), None, true),
            file("symlink", None, None, false),
        ] {
            assert_eq!(chosen(&bad), None);
        }
    }
}

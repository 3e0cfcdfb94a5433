//! Reads back what was restored to a share, and says what the account can't restore. Never writes, never follows a link.

use std::sync::atomic::Ordering;

use keepwell_format::node::Attribute;
use keepwell_format::port::ReadFile;
use keepwell_format::{Gap, GapReason, Key, Kind, Node};
use keepwell_smb::{Ability, BadName, Stat, Want, access, part, wide};

use super::apply::{is_of_unix, settable};
use super::descriptor::Descriptor;
use super::folder::EVERYTHING;
use super::gap;
use super::metadata::{complete, opened, streams};
use super::read::{SmbFile, Wanted};
use super::target::SmbTarget;

/// What this account will not be able to set, as the server says: share, folder, volume, and whether it lets the account see audit lists.
pub(super) fn lacking(target: &SmbTarget) -> Vec<String> {
    let granted = target.session.facts.maximal_access & target.rights.unwrap_or(u32::MAX);
    let mut lacking: Vec<String> = Vec::new();
    let mut check = |fine: bool, text: &str| {
        if !fine {
            lacking.push(text.into());
        }
    };
    let has = |right: u32| granted & right != 0;
    let volume = &target.session.volume;
    check(!volume.has(Ability::ReadOnly), "the share can't be written");
    check(has(access::WRITE_DATA) && has(access::APPEND_DATA), "this account may not make files and folders here");
    check(has(access::WRITE_DAC), "access lists can't be set by this account: files get those of the folders they are in");
    check(has(access::WRITE_OWNER), "owners can't be set by this account: it will own what it restores");
    check(
        target.parts.load(Ordering::Relaxed) & part::SACL != 0,
        "audit lists can't be set by this account, and most likely no owners but itself: that takes the rights of a backup operator",
    );
    check(volume.has(Ability::Streams), "this share keeps no alternate streams");
    check(volume.has(Ability::Descriptors), "this share keeps no security descriptors");
    lacking
}

/// Opens a file or stream that was restored.
pub(super) fn read<'a>(target: &'a SmbTarget, key: &Key, stream: Option<&[u8]>) -> Result<Box<dyn ReadFile + 'a>, Gap> {
    let bad = |text: String| Gap { reason: GapReason::Name, text };
    let path = target.path(key).map_err(|error| bad(error.text))?;
    let path = match stream {
        None => path,
        Some(name) => wide(name).ok_or(BadName::NotWtf8).and_then(|name| path.stream(&name)).map_err(|error| bad(error.to_string()))?,
    };
    // Its size is not known, but what it takes to have it in one round trip is.
    let file = SmbFile::open(&target.session, &Wanted::stream(path, None)).map_err(|error| gap(&error))?;
    Ok(Box::new(file))
}

/// Names what of an entry's metadata is not as the node says.
pub(super) fn differences(target: &SmbTarget, key: &Key, node: &Node) -> Result<Vec<&'static str>, Gap> {
    let path = target.path(key).map_err(|error| Gap { reason: GapReason::Name, text: error.text })?;
    let want = Want { reparse: node.kind == Kind::Reparse, ..EVERYTHING };
    let stat = target.session.again(|share| share.begin_stat(&path, want, None)?.wait()).map_err(|error| gap(&error))?;
    if (node.kind == Kind::Folder) != stat.info.is_directory && node.kind != Kind::Reparse {
        return Ok(vec!["kind"]);
    }
    Ok(compare(node, &stat))
}

fn compare(node: &Node, stat: &Stat) -> Vec<&'static str> {
    let mut found = Node::new(node.kind);
    opened(&mut found, &stat.info);
    complete(&mut found, stat);
    let mut differences = Vec::new();
    let mut check = |what, differs: bool| {
        if differs {
            differences.push(what);
        }
    };
    let differs = descriptors_differ(node, &found);
    check("owner", differs & (part::OWNER | part::GROUP) != 0 || node.owner.is_some());
    check("mode", node.owner.is_some());
    check("descriptor", differs & (part::DACL | part::SACL) != 0);
    check("times", [(node.mtime, found.mtime), (node.btime, found.btime)].iter().any(|(wanted, has)| unlike(*wanted, *has)));
    check("dos attributes", node.dos.zip(found.dos).is_some_and(|(wanted, has)| settable(wanted) != settable(has)));
    check("attributes", node.attributes.iter().any(|attribute| !has_attribute(&found, attribute)));
    let names = streams(stat);
    check("streams", node.streams.iter().any(|stream| !names.contains(&stream.name)));
    check("link target", node.target.is_some() && node.target != found.target);
    differences
}

/// A server keeps 100 ns at best.
fn unlike(wanted: Option<keepwell_format::Time>, has: Option<keepwell_format::Time>) -> bool {
    let coarse = |time: keepwell_format::Time| (time.seconds, time.nanos / 100);
    wanted.is_some() && wanted.map(coarse) != has.map(coarse)
}

fn has_attribute(found: &Node, wanted: &Attribute) -> bool {
    // Windows has no attributes without a value, and names them in capitals.
    !is_of_unix(&wanted.name)
        && (wanted.value.is_empty()
            || found.attributes.iter().any(|has| has.name.eq_ignore_ascii_case(&wanted.name) && has.value == wanted.value))
}

/// Parts that differ; all that there are if they can't be compared.
fn descriptors_differ(node: &Node, found: &Node) -> u32 {
    let Some(wanted) = &node.descriptor else { return 0 };
    let (Some(wanted), Some(has)) = (Descriptor::parse(wanted), found.descriptor.as_deref().and_then(Descriptor::parse)) else {
        return part::DACL;
    };
    wanted.differs(&has)
}

//! Structures as JSON: numbers as numbers, ids and bytes in hex, names and texts as text.

use keepwell_format::keys::{Keyring, KeyringBody, KitPayload, PassphraseSlot, Slots};
use keepwell_format::node::Extents;
use keepwell_format::*;
use serde_json::{Map, Value, json};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(super) fn header(v: &PackHeader) -> Value {
    json!({ "content": word(v.content), "epoch": v.epoch.0, "vault": v.vault.to_string(), "seq": v.seq.0 })
}

/// With the additional data of each frame in a vault whose id is sixteen bytes `aa`.
pub(super) fn directory(v: &Directory) -> Value {
    v.positions().map(|(offset, entry)| frame(offset, entry)).collect()
}

fn frame(offset: u64, entry: &DirectoryEntry) -> Value {
    let FrameInfo { blob, kind, compression, epoch, plain_len, keep_map } = entry.frame;
    let members = entry.members.iter().map(|m| json!({ "content": m.content.to_string(), "offset": m.offset, "length": m.length }));
    json!({
        "offset": offset, "blob": blob.to_string(), "kind": kind.name(), "compression": word(compression), "epoch": epoch.0,
        "stored_len": entry.stored_len, "plain_len": plain_len, "keep_map": format!("{keep_map:x}"),
        "members": members.collect::<Value>(), "aad_in_vault_aa": hex(&entry.frame.aad(VaultId([0xaa; 16]))),
    })
}

pub(super) fn trailer(v: &Trailer) -> Value {
    json!({ "offset": v.offset, "length": v.length })
}

pub(super) fn page(v: &Page) -> Value {
    match v {
        Page::Leaf(entries) => entries.iter().map(|(key, node)| json!({ "key": path(key), "node": self::node(node) })).collect(),
        Page::Inner { level, children } => {
            let child = |c: &Child| {
                json!({
                    "first": path(&c.first), "page": c.page.to_string(), "entries": c.entries, "bytes": c.bytes, "gaps": c.gaps,
                })
            };
            json!({ "level": level, "children": children.iter().map(child).collect::<Value>() })
        }
    }
}

/// Only what is there.
fn node(n: &Node) -> Value {
    let attributes: Vec<_> = n.attributes.iter().map(|a| json!([text(&a.name), hex(&a.value)])).collect();
    let streams: Vec<_> = n.streams.iter().map(|s| json!([text(&s.name), content(&s.content)])).collect();
    let fields = [
        ("kind", Some(word(n.kind).into())),
        ("owner", n.owner.map(|o| json!({ "mode": format!("{:o}", o.mode), "uid": o.uid, "gid": o.gid }))),
        ("mtime", n.mtime.map(time)),
        ("ctime", n.ctime.map(time)),
        ("btime", n.btime.map(time)),
        ("file_id", n.file_id.map(|id| json!({ "volume": id.volume, "file": format!("{:x}", id.file) }))),
        ("dos", n.dos.map(Value::from)),
        ("descriptor", n.descriptor.as_ref().map(|d| hex(d).into())),
        ("attributes", (!attributes.is_empty()).then(|| attributes.into())),
        ("streams", (!streams.is_empty()).then(|| streams.into())),
        ("target", n.target.as_ref().map(|t| text(t).into())),
        ("link_to", n.link_to.as_ref().map(|first| path(first).into())),
        ("device", n.device.map(|(major, minor)| json!([major, minor]))),
        ("content", n.content.as_ref().map(content)),
        ("inconsistent", n.inconsistent.then_some(Value::Bool(true))),
        ("gap", n.gap.as_ref().map(gap)),
        ("links", (n.links > 1).then(|| n.links.into())),
    ];
    Value::Object(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>())
}

fn content(c: &Content) -> Value {
    let place = match &c.extents {
        Extents::Inline(extents) => extents.iter().map(|e| json!([e.at, e.blob.to_string(), e.offset, e.length])).collect(),
        Extents::Tree { depth, root } => json!({ "depth": depth, "root": root.to_string() }),
    };
    json!({ "size": c.size, "hash": c.hash.to_string(), "extents": place })
}

pub(super) fn extents(v: &ExtentPage) -> Value {
    match v {
        ExtentPage::Leaf(runs) => runs.iter().map(|r| json!([r.hole, r.blob.to_string(), r.offset, r.length])).collect(),
        ExtentPage::Inner { level, children } => {
            let children: Value = children.iter().map(|(page, bytes)| json!([page.to_string(), bytes])).collect();
            json!({ "level": level, "children": children })
        }
    }
}

pub(super) fn manifest(v: &Manifest) -> Value {
    json!({
        "vault": v.vault.to_string(), "epoch": v.epoch.0, "sequence": v.sequence, "previous": v.previous.to_string(),
        "received": v.received, "needs": v.needs.iter().map(|seq| seq.0).collect::<Value>(), "head": hex(&v.head()),
        "sealed": hex(&v.sealed), "signature": hex(&v.signature),
    })
}

pub(super) fn body(v: &ManifestBody) -> Value {
    let s = &v.statistics;
    let gaps: Value = v.gaps.iter().map(|(key, g)| json!([path(key), gap(g)])).collect();
    json!({
        "name": v.name, "source": v.source, "identity": v.identity, "encoding": word(v.encoding), "outcome": word(v.outcome),
        "started": time(v.started), "finished": time(v.finished), "depth": v.depth, "root": v.root.to_string(),
        "base": v.base.to_string(), "gaps": gaps, "program": v.program, "held": v.held,
        "statistics": {
            "entries": s.entries, "files": s.files, "folders": s.folders, "content_bytes": s.content_bytes,
            "unchanged_files": s.unchanged_files, "read_bytes": s.read_bytes, "new_blobs": s.new_blobs,
            "new_stored_bytes": s.new_stored_bytes, "gaps": s.gaps, "inconsistent": s.inconsistent,
        },
    })
}

pub(super) fn tombstone(v: &Tombstone) -> Value {
    let gone: Value = v.gone.iter().map(|gone| json!([gone.snapshot.to_string(), gone.sequence, gone.previous.to_string()])).collect();
    json!({
        "vault": v.vault.to_string(), "epoch": v.epoch.0, "sequence": v.sequence, "received": v.received, "packs": v.packs, "gone": gone,
        "head": hex(&v.head()), "sealed": hex(&v.sealed), "signature": hex(&v.signature),
    })
}

pub(super) fn tombstone_body(v: &TombstoneBody) -> Value {
    json!({ "reason": v.reason, "program": v.program })
}

pub(super) fn slots(v: &Slots) -> Value {
    json!({
        "vault": v.vault.to_string(), "epoch": v.epoch.0, "revision": v.revision, "test_vault": v.test_vault,
        "verify_key": hex(&v.verify_key),
        "kit": {
            "set": v.kit.set, "recipient": v.kit.recipient, "commitments": v.kit.commitments.iter().map(|c| hex(c)).collect::<Value>(),
        },
        "slots": v.slots.iter().map(|slot| json!({ "kind": word(slot.kind), "payload": hex(&slot.payload) })).collect::<Value>(),
    })
}

pub(super) fn passphrase(v: &PassphraseSlot) -> Value {
    json!({ "salt": hex(&v.salt), "m_kib": v.m_kib, "t": v.t, "p": v.p, "sealed": hex(&v.sealed) })
}

pub(super) fn kit(v: &KitPayload) -> Value {
    json!({ "vault": v.vault.to_string(), "epoch": v.epoch.0, "vault_key": hex(&*v.vault_key) })
}

pub(super) fn keyring(v: &Keyring) -> Value {
    json!({
        "vault": v.vault.to_string(), "epoch": v.epoch.0, "revision": v.revision, "head": hex(&v.head()), "sealed": hex(&v.sealed),
    })
}

pub(super) fn ring(v: &KeyringBody) -> Value {
    json!({
        "blob_id_key": hex(&*v.blob_id_key), "gear_key": hex(&*v.gear_key), "page_key": hex(&*v.page_key),
        "signing_seed": hex(&*v.signing_seed), "chunk": [v.chunk.min, v.chunk.avg, v.chunk.max],
        "epochs": v.epochs.iter().map(|(epoch, key)| json!([epoch.0, hex(&**key)])).collect::<Value>(),
    })
}

fn gap(g: &Gap) -> Value {
    json!({ "reason": word(g.reason), "text": g.text })
}

fn time(t: Time) -> Value {
    json!({ "seconds": t.seconds, "nanos": t.nanos })
}

fn path(key: &Key) -> String {
    text(&key.to_path())
}

/// What is no UTF-8 is given in hex.
fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| format!("0x{}", hex(bytes)))
}

fn word(value: impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

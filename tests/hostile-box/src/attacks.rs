//! What root on the source tries against what is kept elsewhere.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hyper::{HeaderMap, Method};
use keepwell_format::keys::Slots;
use keepwell_format::manifest::SeqRanges;
use keepwell_format::{Gone, Manifest, PackSeq, SnapshotId, VaultId};
use keepwell_link::Caller;
use keepwell_storage::{Class as Kept, ObjectId};
use keepwell_wire::pairing::{PairRequest, Side};
use keepwell_wire::snapshots::{PackRef, SnapshotRef, fingerprint};
use keepwell_wire::{Class, Invitation};
use serde_json::json;

use crate::forge::{Forged, Root, id, rubbish};
use crate::line::{Came, Line, post, put, receipts, request};

/// `attack`.
#[derive(Args, Debug)]
pub(crate) struct AttackArgs {
    #[command(flatten)]
    line: Line,
    /// The folder of the box's disks.
    #[arg(long)]
    disks: PathBuf,
    /// Two papers, which stand for what lies open in the box's memory.
    #[arg(long, value_delimiter = ',', num_args = 1, required = true)]
    papers: Vec<PathBuf>,
    /// How many, of what is sent in numbers.
    #[arg(long, default_value_t = 100)]
    count: u64,
    which: Which,
}

/// `pair`.
#[derive(Args, Debug)]
pub(crate) struct PairArgs {
    #[command(flatten)]
    line: Line,
    /// The folder of the box's disks.
    #[arg(long)]
    disks: PathBuf,
    /// The invitation.
    text: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// What no receiver may take.
    Refused,
    /// Every method on every route.
    Methods,
    /// Snapshots that nobody took: post-dated, back-dated, and empty ones in numbers.
    Flood,
    /// All that was sent before, once more.
    Replay,
    /// Key slots and keyrings that are to lock the owner out.
    Locks,
    /// Everything is forgotten.
    Tombstones,
    /// Rubbish until nothing more is taken.
    Garbage,
}

/// Tells what came of it.
pub(crate) async fn run(args: &AttackArgs) -> anyhow::Result<()> {
    let papers: [PathBuf; 2] = args.papers.clone().try_into().map_err(|_| anyhow::anyhow!("two papers"))?;
    let root = Root::of(&args.disks, &papers)?;
    let caller = args.line.connect().await?;
    let told = match args.which {
        Which::Refused => json!(refused(&root, &caller).await?),
        Which::Methods => json!(methods(&root, &caller).await?),
        Which::Flood => json!(flood(&root, &caller, args.count).await?),
        Which::Replay => json!(replay(&root, &caller).await?),
        Which::Locks => json!(locks(&root, &caller).await?),
        Which::Tombstones => json!(tombstones(&root, &caller).await?),
        Which::Garbage => json!(garbage(&root, &caller, args.count).await?),
    };
    println!("{told}");
    Ok(())
}

/// With an invitation that somebody gave, a key of one's own and the slots of another box's vault.
pub(crate) async fn pair(args: &PairArgs) -> anyhow::Result<()> {
    let slots = Slots::decode(&crate::forge::newest_slots(&args.disks)?)?;
    let (caller, invitation) = (args.line.connect().await?, Invitation::parse(&args.text)?);
    let request = PairRequest { vault: slots.vault, slots: slots.encode(), practice: "Practice".into() };
    let mut said = request.encode();
    let proof = caller.pairing().proof(&invitation.token, Side::Source, &said);
    said.extend_from_slice(&proof);
    let (came, _) = post(&caller, "pair", "/v1/pair", said).await;
    println!("{}", json!(came));
    Ok(())
}

fn next_sequence(root: &Root) -> anyhow::Result<u64> {
    Ok(root.manifests()?.iter().map(|(_, manifest)| manifest.sequence).max().unwrap_or(0) + 1)
}

fn seqs(packs: &[PackRef]) -> SeqRanges {
    packs.iter().map(|pack| pack.seq).collect()
}

async fn refused(root: &Root, caller: &Caller) -> anyhow::Result<Vec<Came>> {
    let (packs, next) = (root.packs()?, next_sequence(root)?);
    let good = Forged { share: "EHR", sequence: next, received: 0, needs: SeqRanges::new() };
    let bytes = root.manifest(good)?;
    let altered = |change: &dyn Fn(&mut Manifest)| -> anyhow::Result<Vec<u8>> {
        let mut manifest = Manifest::decode(&bytes)?;
        change(&mut manifest);
        Ok(manifest.encode())
    };
    let resigned = |change: &dyn Fn(&mut Manifest)| -> anyhow::Result<Vec<u8>> {
        let mut manifest = Manifest::decode(&bytes)?;
        change(&mut manifest);
        manifest.signature = root.signer.sign(&manifest.signed());
        Ok(manifest.encode())
    };
    let gone = vec![Gone { snapshot: SnapshotId([3; 32]), sequence: 1, previous: SnapshotId([0; 32]) }];
    let mut unsigned = root.tombstone(gone.clone(), 1, 1)?;
    unsigned.last_mut().into_iter().for_each(|byte| *byte ^= 1);
    let last = packs.last().map_or(1, |pack| pack.seq.0);
    let (stranger, _) = root.locks(false, 2)?;
    let objects = [
        ("a manifest that is not signed", Class::Manifest, altered(&|manifest| manifest.signature[0] ^= 1)?),
        ("a manifest that was changed after it was signed", Class::Manifest, altered(&|manifest| manifest.received = i64::MAX)?),
        ("a manifest of another vault", Class::Manifest, resigned(&|manifest| manifest.vault = VaultId([9; 16]))?),
        ("a manifest with the last number there is", Class::Manifest, resigned(&|manifest| manifest.sequence = u64::MAX)?),
        ("a tombstone that is not signed", Class::Tombstone, unsigned),
        ("a tombstone that uses up all numbers of packs", Class::Tombstone, root.tombstone(gone.clone(), 1, 1 << 63)?),
        ("a tombstone with the last number there is", Class::Tombstone, root.tombstone(gone, u64::MAX, 1)?),
        ("another pack with a number that is used", Class::Pack, rubbish(root.vault, last, 5000)),
        ("a pack with the last number there is", Class::Pack, rubbish(root.vault, (1 << 63) - 1, 5000)),
        ("a pack of another vault", Class::Pack, rubbish(VaultId([9; 16]), last + 1, 5000)),
        ("something that is no pack", Class::Pack, b"no pack".to_vec()),
        ("key slots with another box's key", Class::Slots, stranger),
    ];
    let mut all = Vec::new();
    for (what, class, bytes) in objects {
        all.push(put(caller, what, class, id(&bytes), bytes).await);
    }
    all.push(put(caller, "bytes under another name", Class::Pack, [3; 32], rubbish(root.vault, last + 1, 5000)).await);
    let mut headers = HeaderMap::new();
    headers.insert("keepwell-length", ((64_u64 << 20) + 1).into());
    headers.insert("keepwell-from", 0.into());
    let path = format!("/v1/objects/packs/{}", ObjectId([4; 32]));
    all.push(request(caller, "an object that is too long", Method::PUT, &path, headers, Vec::new()).await.0);
    // Of a snapshot that is there, and was signed for by its right name alone.
    let needs = seqs(&packs);
    let forged = root.manifest(Forged { share: "EHR", sequence: next, received: 0, needs: needs.clone() })?;
    all.push(put(caller, "a manifest that nobody took", Class::Manifest, id(&forged), forged.clone()).await);
    let wrong = SnapshotRef { manifest: SnapshotId(id(&forged)), packs: [1; 32] };
    all.push(post(caller, "a snapshot with other packs", "/v1/snapshots", wrong.encode()).await.0);
    let nowhere = SnapshotRef { manifest: SnapshotId([8; 32]), packs: fingerprint([]) };
    all.push(post(caller, "a snapshot that is not there", "/v1/snapshots", nowhere.encode()).await.0);
    let mut more = needs;
    more.insert(PackSeq(last + 1000));
    let lacking = root.manifest(Forged { share: "EHR", sequence: next, received: 1, needs: more })?;
    put(caller, "", Class::Manifest, id(&lacking), lacking.clone()).await;
    // It names a pack that was never sent.
    let never = PackRef { seq: PackSeq(last + 1000), id: keepwell_format::PackId([1; 32]), length: 1 };
    let claimed = SnapshotRef { manifest: SnapshotId(id(&lacking)), packs: fingerprint(packs.iter().copied().chain([never])) };
    all.push(post(caller, "a snapshot with a pack that was never sent", "/v1/snapshots", claimed.encode()).await.0);
    Ok(all)
}

async fn methods(root: &Root, caller: &Caller) -> anyhow::Result<Vec<Came>> {
    let pack = root.packs()?.first().map(|pack| ObjectId(pack.id.0).to_string()).unwrap_or_default();
    let manifest = root.manifests()?.first().map(|(id, _)| ObjectId(*id).to_string()).unwrap_or_default();
    let paths = [
        format!("/v1/objects/packs/{pack}"),
        format!("/v1/objects/packs/{pack}/"),
        format!("/v1/objects/packs/{pack}/../{pack}"),
        format!("/v1/objects/manifests/{manifest}"),
        "/v1/objects/packs".to_owned(),
        "/v1/objects/sets/".to_owned() + &manifest,
        "/v1/objects/labels/".to_owned() + &manifest,
        "/v1/objects".to_owned(),
        format!("/v1/uploads/packs/{pack}"),
        format!("/v1/snapshots/{manifest}"),
        "/v1/snapshots".to_owned(),
        "/v1/receipts".to_owned(),
        "/v1/receipts/1".to_owned(),
        "/v1/packs".to_owned(),
        "/v1/survey".to_owned(),
        "/v1/challenge".to_owned(),
        "/v1/pair".to_owned(),
        "/v1/unpair".to_owned(),
        "/v1/tenants".to_owned(),
        format!("/v1/tenants/{}", root.vault),
        "/v1/quota".to_owned(),
        "/v1/expire".to_owned(),
        "/v1/status".to_owned(),
        "/v1/recover".to_owned(),
        "/v1/recover/proof".to_owned(),
        "/v1/invitations".to_owned(),
        "/v2/objects".to_owned(),
        "/".to_owned(),
        "/v1/../v1/packs".to_owned(),
        "/v1//packs".to_owned(),
    ];
    let mut all = Vec::new();
    for method in ["DELETE", "PATCH", "PUT", "POST", "OPTIONS", "TRACE", "HEAD", "UNLINK", "MOVE", "PURGE", "LOCK"] {
        for path in &paths {
            all.push(request(caller, &format!("{method} {path}"), method.parse()?, path, HeaderMap::new(), b"{}".to_vec()).await.0);
        }
    }
    Ok(all)
}

async fn flood(root: &Root, caller: &Caller, count: u64) -> anyhow::Result<serde_json::Value> {
    let (packs, next, before) = (root.packs()?, next_sequence(root)?, receipts(caller).await?.len());
    let mut came = std::collections::BTreeMap::<String, u64>::new();
    let dated = [i64::MAX, i64::MIN, 0, 4_000_000_000, 1];
    let years = 10 * 365 * 86_400;
    let shares = ["EHR", "Letters", "keepwell-state"];
    for n in 0..count {
        let at = usize::try_from(n)?;
        let received = dated.get(at).copied().unwrap_or_else(|| 1_800_000_000 + years + i64::try_from(n).unwrap_or(0));
        // The first ones claim all packs, so that they look like the newest of all.
        let claimed = if at < dated.len() { &packs[..] } else { &[] };
        let share = shares[at % shares.len()];
        let bytes = root.manifest(Forged { share, sequence: next + n, received, needs: seqs(claimed) })?;
        let stored = put(caller, "", Class::Manifest, id(&bytes), bytes.clone()).await;
        *came.entry(format!("put {} {}", stored.status, stored.code)).or_default() += 1;
        let asked = SnapshotRef { manifest: SnapshotId(id(&bytes)), packs: fingerprint(claimed.iter().copied()) };
        let (signed, _) = post(caller, "", "/v1/snapshots", asked.encode()).await;
        *came.entry(format!("sign {} {}", signed.status, signed.code)).or_default() += 1;
    }
    let after = receipts(caller).await?;
    let elapsed = after.last().map(|receipt| receipt.elapsed);
    Ok(json!({ "came": came, "before": before, "after": after.len(), "elapsed_s": elapsed }))
}

async fn replay(root: &Root, caller: &Caller) -> anyhow::Result<serde_json::Value> {
    let before = receipts(caller).await?;
    let mut came = std::collections::BTreeMap::<String, u64>::new();
    let classes =
        [(Class::Pack, Kept::Pack), (Class::Manifest, Kept::Manifest), (Class::Keyring, Kept::Keyring), (Class::Slots, Kept::Slots)];
    for (class, kept) in classes {
        for (id, bytes) in root.objects(kept)? {
            let again = put(caller, "", class, id, bytes).await;
            *came.entry(format!("{} {}", again.status, again.code)).or_default() += 1;
        }
    }
    let packs = root.packs()?;
    for (id, manifest) in root.manifests()? {
        let needs = packs.iter().copied().filter(|pack| manifest.needs.contains(pack.seq));
        let asked = SnapshotRef { manifest: SnapshotId(id), packs: fingerprint(needs) };
        let (signed, _) = post(caller, "", "/v1/snapshots", asked.encode()).await;
        *came.entry(format!("sign {} {}", signed.status, signed.code)).or_default() += 1;
    }
    let after = receipts(caller).await?;
    Ok(json!({ "came": came, "same": before == after, "receipts": after.len() }))
}

async fn locks(root: &Root, caller: &Caller) -> anyhow::Result<Vec<Came>> {
    let mut all = Vec::new();
    let own = keepwell_crypt::kit_recipient(&keepwell_crypt::KitSeed::from_bytes([3; 32]));
    let foreign = root.foreign_slots(&own);
    all.push(put(caller, "key slots for another kit", Class::Slots, id(&foreign), foreign).await);
    for revision in [1, 1 << 20, u32::MAX] {
        let (slots, ring) = root.locks(true, revision)?;
        all.push(put(caller, "key slots for the clinic's papers, with other keys", Class::Slots, id(&slots), slots).await);
        all.push(put(caller, "a keyring to go with them", Class::Keyring, id(&ring), ring).await);
    }
    Ok(all)
}

async fn tombstones(root: &Root, caller: &Caller) -> anyhow::Result<Vec<Came>> {
    let named = |(id, manifest): &([u8; 32], Manifest)| Gone {
        snapshot: SnapshotId(*id),
        sequence: manifest.sequence,
        previous: manifest.previous,
    };
    let gone: Vec<Gone> = root.manifests()?.iter().map(named).collect();
    let last = root.packs()?.last().map_or(1, |pack| pack.seq.0 + 1);
    let bytes = root.tombstone(gone, 1000, last)?;
    Ok(vec![put(caller, "a tombstone for everything", Class::Tombstone, id(&bytes), bytes).await])
}

async fn garbage(root: &Root, caller: &Caller, count: u64) -> anyhow::Result<serde_json::Value> {
    let first = root.packs()?.last().map_or(1, |pack| pack.seq.0 + 1);
    let (mut sent, mut stored, mut bytes) = (0_u64, 0_u64, 0_u64);
    let mut last = String::new();
    // From large to small, so that not a gap is left.
    for length in [4 << 20, 1 << 20, 64 << 10, 4096, 200] {
        for _ in 0..count {
            let pack = rubbish(root.vault, first + sent, length);
            sent += 1;
            let came = put(caller, "", Class::Pack, id(&pack), pack).await;
            if came.status == 201 {
                (stored, bytes) = (stored + 1, bytes + length as u64);
            }
            last = format!("{} {}", came.status, came.code);
            if came.status == 507 {
                break;
            }
        }
    }
    Ok(json!({ "stored": stored, "bytes": bytes, "last": last }))
}

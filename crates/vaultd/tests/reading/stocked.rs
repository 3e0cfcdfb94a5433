//! A vault on two folders, stocked with two snapshots of one share, one of another, and one of the box's own.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use keepwell_format::keys::{ChunkSizes, KeyringBody};
use keepwell_format::port::{Encoding, Piece, ReadFile, Source, SourceInfo, Steady, Walk, Walked};
use keepwell_format::{Epoch, Gap, GapReason, Key, Kind, Node, Time, VaultId};
use keepwell_storage::{Access, Layout, Pool, PoolIds, disks_up_to, mounted_in};
use keepwell_vault::{BackupOptions, Clock, Env, IndexPlace, NewVault, NoProgress, Reread, Sealed, Unlock, Vault, Workers, create};
use zeroize::Zeroizing;

/// Bytes of `scan.dcm`.
pub(crate) const LARGE: usize = 20 << 20;

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Time {
        Time { seconds: 1_700_000_000, nanos: 0 }
    }
}

/// A tree in memory.
#[derive(Clone)]
struct Tree {
    info: SourceInfo,
    entries: Vec<(Key, Node, Vec<u8>)>,
}

impl Tree {
    fn new(entries: &[(&[u8], Kind, &[u8])]) -> Self {
        let info = SourceInfo { location: "a test".into(), identity: "a test".into(), encoding: Encoding::Bytes, parallel_reads: 1 };
        let mut tree = Self { info, entries: vec![(Key::root(), Node::new(Kind::Folder), Vec::new())] };
        for (path, kind, bytes) in entries {
            let mut node = Node::new(*kind);
            node.mtime = Some(Time { seconds: 1_600_000_000, nanos: 0 });
            node.target = matches!(kind, Kind::Symlink).then(|| bytes.to_vec());
            tree.entries.push((Key::from_path(path).unwrap(), node, bytes.to_vec()));
        }
        tree.entries.sort_by(|a, b| a.0.cmp(&b.0));
        tree
    }
}

impl Source for Tree {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn walk(&self) -> Result<Walk<'_>, Gap> {
        let walked = |(key, node, bytes): &(Key, Node, Vec<u8>)| {
            let size = if node.kind == Kind::File { bytes.len() as u64 } else { 0 };
            Ok(Walked { key: key.clone(), node: node.clone(), size, streams: Vec::new() })
        };
        Ok(Box::new(self.entries.iter().map(walked)))
    }

    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        let (_, _, bytes) = self.entries.iter().find(|(key, ..)| *key == entry.key).unwrap();
        if bytes == b"locked" {
            return Err(Gap { reason: GapReason::Locked, text: "somebody has it open".into() });
        }
        Ok(Box::new(Reading(bytes)))
    }
}

struct Reading<'a>(&'a [u8]);

impl ReadFile for Reading<'_> {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        let read = self.0.len().min(buffer.len());
        buffer[..read].copy_from_slice(&self.0[..read]);
        self.0 = &self.0[read..];
        Ok(if read == 0 { Piece::End } else { Piece::Data(read) })
    }

    fn finish(&mut self, _node: &mut Node) -> Result<Steady, Gap> {
        Ok(Steady::Unchanged)
    }
}

/// Bytes that can't be compressed.
pub(crate) fn noise(count: usize) -> Vec<u8> {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    let step = |_| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x as u8
    };
    (0..count).map(step).collect()
}

pub(crate) fn keyring() -> KeyringBody {
    let key = |byte: u8| Zeroizing::new([byte; 32]);
    let (blob_id_key, gear_key, page_key, signing_seed) = (key(1), key(2), key(3), key(4));
    let chunk = ChunkSizes { min: 256 << 10, avg: 1 << 20, max: 4 << 20 };
    KeyringBody { blob_id_key, gear_key, page_key, signing_seed, chunk, epochs: vec![(Epoch(1), key(5))] }
}

fn open(folder: &Path) -> Vault {
    let pool = Pool::open(mounted_in(folder).unwrap(), Access::Write).unwrap();
    let sealed = Sealed::open(Arc::new(pool), Env::new(Arc::new(Noon), Workers::Threads(1))).unwrap();
    sealed.unlock(&Unlock::Keyring(Box::new(keyring())), IndexPlace::Memory, &NoProgress).unwrap()
}

/// A vault with two snapshots of `practice`, one of `other` and one of the box's own; answers their ids.
pub(crate) fn make_vault(folder: &Path) -> [String; 4] {
    for n in 1..=2 {
        fs::create_dir_all(folder.join(format!("disk-{n}"))).unwrap();
    }
    let ids = PoolIds { vault: [9; 16], disks: vec![[1; 16], [2; 16]] };
    let pool = Pool::create(disks_up_to(folder, 2), ids, Layout::new(1, 1).unwrap()).unwrap();
    create(&pool, &NewVault::new(VaultId([9; 16])), &mut |bytes| getrandom::fill(bytes).unwrap()).unwrap();
    drop(pool);
    let vault = open(folder);
    let large = noise(LARGE);
    let mut entries: Vec<(&[u8], Kind, &[u8])> = vec![
        (b"letters", Kind::Folder, b""),
        (b"letters/..\\..\\evil.txt", Kind::File, b"evil"),
        (b"letters/C:autoexec.bat", Kind::File, b"drive"),
        (b"letters/Gr\xc3\xb6\xc3\x9fe.txt", Kind::File, b"as it was"),
        (b"letters/Meier \xff.txt", Kind::File, b"no UTF-8"),
        (b"letters/Meier", Kind::Folder, b""),
        (b"letters/Meier/old", Kind::Folder, b""),
        (b"letters/Meier/old/1.txt", Kind::File, b"one"),
        (b"letters/keepwell-receipt.txt", Kind::File, b"not ours"),
        (b"letters/link", Kind::Symlink, b"/etc/passwd"),
        (b"letters/open.doc", Kind::File, b"locked"),
        (b"letters/pipe", Kind::Fifo, b""),
        (b"scan.dcm", Kind::File, &large),
    ];
    let backup = |name: &str, entries: &[(&[u8], Kind, &[u8])]| {
        let options = BackupOptions { name: name.to_owned(), level: 3, reread: Reread::NONE, intended: true };
        vault.backup(&Tree::new(entries), &options, &NoProgress).unwrap().snapshot.to_string()
    };
    let first = backup("practice", &entries);
    entries[3].2 = b"as it is now";
    entries.push((b"new.txt", Kind::File, b"new"));
    entries.retain(|(path, ..)| *path != b"letters/Meier/old/1.txt");
    let second = backup("practice", &entries);
    let other = backup("other", &[(b"secret.txt", Kind::File, b"of others")]);
    let own = backup("keepwell-state", &[(b"users", Kind::File, b"proofs")]);
    [first, second, other, own]
}

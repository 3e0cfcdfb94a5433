//! A vault's inner parts for unit tests: fixed keys, one memory disk, an index. Only built for tests.

use std::sync::Arc;

use keepwell_format::keys::{ChunkSizes, KeyringBody};
use keepwell_format::{Epoch, Time, VaultId};
use keepwell_storage::{Io, Layout, MemoryDisk, Pool, PoolIds, Reserve};
use zeroize::Zeroizing;

use crate::VaultError;
use crate::blobs::{BlobReader, BlobWriter};
use crate::env::{Clock, Env, Workers};
use crate::index::MemoryIndex;
use crate::keys::Keys;
use crate::lanes::Lanes;
use crate::turns::Turns;

const VAULT: VaultId = VaultId([9; 16]);
pub(crate) const SMALL: ChunkSizes = ChunkSizes { min: 256, avg: 1024, max: 4096 };

/// Keys that are the same for ever.
pub(crate) fn keys(chunk: ChunkSizes) -> Keys {
    let key = |byte: u8| Zeroizing::new([byte; 32]);
    let epochs = vec![(Epoch(1), key(5))];
    let body = KeyringBody { blob_id_key: key(1), gear_key: key(2), page_key: key(3), signing_seed: key(4), chunk, epochs };
    Keys::new(VAULT, &body).expect("the body has an epoch")
}

struct Midnight;

impl Clock for Midnight {
    fn now(&self) -> Time {
        Time { seconds: 0, nanos: 0 }
    }
}

/// A place to store blobs in.
pub(crate) struct Scratch {
    pub(crate) keys: Keys,
    pool: Pool,
    index: MemoryIndex,
    turns: Turns,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let ids = PoolIds { vault: VAULT.0, disks: vec![[1; 16]] };
        let layout = Layout::new(1, 0).expect("a layout of one disk");
        let mut pool = Pool::create(vec![Arc::new(MemoryDisk::new("disk-1"))], ids, layout).expect("an empty disk").with_io(Io::Sequential);
        pool.set_reserve(Reserve::Bytes(0));
        Self { keys: keys(SMALL), pool, index: MemoryIndex::default(), turns: Turns::default() }
    }

    /// Lets `work` store blobs and makes them durable. Answers also how many were new.
    pub(crate) fn store<T>(&self, work: impl FnOnce(&mut BlobWriter<'_>) -> Result<T, VaultError>) -> (T, u64) {
        std::thread::scope(|scope| {
            let lanes = Lanes::start(scope, Workers::Inline);
            let env = Env { pack_target: 64 << 10, group: 2, ..Env::new(Arc::new(Midnight), Workers::Inline) };
            let mut writer =
                BlobWriter::new(&self.pool, &self.keys, (&self.index, &self.turns), lanes, &env, 1, (1, 0)).expect("the index answers");
            let result = work(&mut writer).expect("a memory disk takes it");
            writer.flush().expect("a memory disk takes it");
            (result, writer.new_blobs)
        })
    }

    pub(crate) fn reader(&self) -> BlobReader<'_> {
        BlobReader::new(&self.pool, &self.keys, &self.index)
    }
}

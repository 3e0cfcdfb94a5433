//! The vault, open as long as the program lives: opened as soon as there are disks and keyd has the keys, and told about when it can't be.
//!
//! The only place that holds data keys. Never writes without them: what needs the vault asks here first.

use std::io;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::available_parallelism;
use std::time::Duration;

use keepwell_api::error::chain;
use keepwell_api::keys::OpenVault;
use keepwell_api::recovery::COMING;
use keepwell_api::vault::Unready;
use keepwell_api::{Client, ClientError};
use keepwell_format::keys::KeyringBody;
use keepwell_format::{Time, VaultId};
use keepwell_storage::{Access, Disk, DiskState, Pool, PoolError, mounted_in};
use keepwell_vault::{Clock, Env, IndexPlace, NoProgress, Sealed, Unlock, Vault, VaultError, Workers};

use crate::bays::{self, Bay, Diskd};
use crate::clock::BoxClock;

/// keyd may have to ask the TPM.
const KEYD_PATIENCE: Duration = Duration::from_secs(60);

/// Where what the engine needs is found.
#[derive(Clone, Debug)]
pub struct Places {
    /// The folder in which the disks are mounted, unless diskd says where they are.
    pub pool: PathBuf,
    /// The program that has the disks; none where folders stand for them.
    pub diskd: Option<Diskd>,
    /// Where the index may lie.
    pub cache: PathBuf,
    /// keyd's socket.
    pub keyd: PathBuf,
}

/// Why the vault is not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotOpen {
    #[error("the disks of the vault can't be looked for at {}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("there are no disks of a vault at {}: nothing can be backed up or restored before they are mounted", .0.display())]
    NoDisks(PathBuf),
    #[error("diskd does not say where the disks of the vault are")]
    Diskd(#[source] ClientError),
    #[error("none of the box's disks is mounted: nothing can be backed up or restored before they are there")]
    NoneMounted,
    #[error(
        "{0} is connected, and its file system can't be read: nothing can be backed up or restored before enough disks of the vault are there. It is tried again by itself; erase none of them"
    )]
    Unreadable(String, #[source] Option<PoolError>),
    #[error("the vault's disks can't be used")]
    Pool(#[source] PoolError),
    #[error("keyd does not give the keys")]
    Keyd(#[source] ClientError),
    #[error("the vault can't be opened")]
    Vault(#[source] VaultError),
    #[error(
        "the vault is still being fetched from the other box: what is whole can be restored, and nothing new is backed up until all is there"
    )]
    Coming,
}

impl NotOpen {
    fn code(&self) -> &'static str {
        match self {
            Self::Folder { .. } | Self::NoDisks(_) | Self::Diskd(_) | Self::NoneMounted => "no-pool",
            Self::Pool(_) | Self::Unreadable(..) => "pool",
            Self::Keyd(ClientError::Refused(_)) => "locked",
            Self::Keyd(_) => "keyd-silent",
            Self::Vault(_) => "damaged",
            Self::Coming => COMING,
        }
    }
}

/// The vault, open or not.
pub struct Engine {
    places: Places,
    clock: Arc<BoxClock>,
    state: RwLock<Result<Arc<Vault>, Unready>>,
    opening: Mutex<()>,
    was_open: AtomicBool,
    making: AtomicBool,
    coming: Mutex<Option<Coming>>,
}

/// A vault that is not all there yet.
struct Coming {
    /// Its id.
    vault: String,
    /// What the marks on its disks said when it was read.
    marks: String,
    /// For reading what is whole; none as long as the keys, or the first of it, are not here.
    vault_now: Option<Arc<Vault>>,
}

/// What the vault may be opened with.
struct There {
    disks: Vec<Arc<dyn Disk>>,
    /// Disks of the box that are connected and can't be read.
    unreadable: Option<String>,
    /// What the marks say, where each disk has one: the vault is still being fetched.
    coming: Option<String>,
}

/// Nobody opens the vault as long as this lives: it is being made.
pub(crate) struct Making<'a>(&'a AtomicBool);

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Engine {
    /// Not open yet.
    pub fn new(places: Places, clock: Arc<BoxClock>) -> Self {
        let unready = Unready { code: "starting".into(), text: "the vault is being opened".into() };
        Self {
            places,
            clock,
            state: RwLock::new(Err(unready)),
            opening: Mutex::new(()),
            was_open: AtomicBool::new(false),
            making: AtomicBool::new(false),
            coming: Mutex::default(),
        }
    }

    /// The vault, or why it is not open.
    pub fn vault(&self) -> Result<Arc<Vault>, Unready> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The vault for reading: while it is still being fetched too, as far as it is whole.
    pub(crate) fn readable(&self) -> Result<Arc<Vault>, Unready> {
        let unready = match self.vault() {
            Ok(vault) => return Ok(vault),
            Err(unready) => unready,
        };
        self.arriving().ok_or(unready)
    }

    /// One that is still being fetched, as far as it is whole.
    pub(crate) fn arriving(&self) -> Option<Arc<Vault>> {
        self.came().as_ref().and_then(|coming| coming.vault_now.clone())
    }

    /// The id of one that is still being fetched.
    pub(crate) fn coming(&self) -> Option<String> {
        self.came().as_ref().map(|coming| coming.vault.clone())
    }

    fn came(&self) -> MutexGuard<'_, Option<Coming>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it was open since the program started.
    pub(crate) fn was_open(&self) -> bool {
        self.was_open.load(Ordering::Acquire)
    }

    /// Whether the first pool is being made.
    pub(crate) fn is_being_made(&self) -> bool {
        self.making.load(Ordering::Acquire)
    }

    /// Keeps everybody from opening a pool that is half made; none if the vault is open, or was.
    pub(crate) fn begin_making(&self) -> Option<Making<'_>> {
        let _nobody_opens = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if self.vault().is_ok() || self.was_open() {
            return None;
        }
        self.making.store(true, Ordering::Release);
        let unready = Unready { code: "making".into(), text: "the box's first pool is being made".into() };
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Err(unready);
        Some(Making(&self.making))
    }

    /// Closes it, so that it is opened with other disks than before. Who works with it goes on until its work is done; until then it can't be opened again.
    pub(crate) fn close(&self, why: &str) {
        let unready = Unready { code: "starting".into(), text: why.to_owned() };
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Err(unready);
    }

    /// Opens it unless it is open. Takes as long as keyd and the disks take.
    pub fn open(&self) -> Result<Arc<Vault>, Unready> {
        // Who came second would find the pool taken, by the first.
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if self.vault().is_ok() || self.is_being_made() {
            return self.vault();
        }
        self.opened()
    }

    /// Opens what was made. It is being made until it is open, or it is known why not.
    pub(crate) fn open_made(&self, making: Making<'_>) -> Result<Arc<Vault>, Unready> {
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = self.opened();
        drop(making);
        opened
    }

    fn opened(&self) -> Result<Arc<Vault>, Unready> {
        let opened = self.try_open().map(Arc::new).map_err(|error| {
            let unready = Unready { code: error.code().into(), text: chain(&error) };
            // It is tried again every few seconds, and said when there is something new to say.
            if self.vault().err().is_none_or(|before| before.text != unready.text) {
                tracing::warn!(code = error.code(), error = unready.text, "the vault is not open");
            }
            unready
        });
        self.was_open.fetch_or(opened.is_ok(), Ordering::AcqRel);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.clone_from(&opened);
        opened
    }

    fn try_open(&self) -> Result<Vault, NotOpen> {
        let There { disks, unreadable, coming } = self.disks()?;
        if let Some(marks) = coming {
            return Err(self.arrives(disks, marks));
        }
        let pool = Pool::open(disks, Access::Write).map_err(|error| match unreadable {
            Some(disks) => NotOpen::Unreadable(disks, Some(error)),
            None => NotOpen::Pool(error),
        })?;
        for disk in pool.health().disks.iter().filter(|disk| disk.state != DiskState::Present) {
            tracing::warn!(disk = disk.name, state = %disk.state, "a disk of the vault is not as it should be");
        }
        let workers = Workers::Threads(available_parallelism().map_or(1, NonZero::get));
        let env = Env::new(Arc::clone(&self.clock) as Arc<dyn Clock>, workers);
        let sealed = Sealed::open(Arc::new(pool), env).map_err(NotOpen::Vault)?;
        let keyring = self.keyring(&sealed)?;
        // Without it the index lies in memory.
        if let Err(error) = std::fs::create_dir_all(&self.places.cache) {
            tracing::warn!(%error, "no folder for the index");
        }
        let index = IndexPlace::File(self.places.cache.join("index.sqlite"));
        let vault = sealed.unlock(&Unlock::Keyring(Box::new(keyring)), index, &NoProgress).map_err(NotOpen::Vault)?;
        *self.came() = None;
        Ok(vault)
    }

    /// Opens what is there of a vault that is still being fetched, for reading alone. Whoever wants to write is told to wait.
    fn arrives(&self, disks: Vec<Arc<dyn Disk>>, marks: String) -> NotOpen {
        if self.came().as_ref().is_some_and(|coming| coming.marks == marks && coming.vault_now.is_some()) {
            return NotOpen::Coming;
        }
        let pool = match Pool::open(disks, Access::Read) {
            Ok(pool) => pool,
            Err(error) => return NotOpen::Pool(error),
        };
        let id = VaultId(pool.vault()).to_string();
        let open = || {
            let env = Env::new(Arc::clone(&self.clock) as Arc<dyn Clock>, Workers::Threads(2));
            let sealed = Sealed::open(Arc::new(pool), env).map_err(NotOpen::Vault)?;
            let keyring = self.keyring(&sealed)?;
            sealed.unlock(&Unlock::Keyring(Box::new(keyring)), IndexPlace::Memory, &NoProgress).map_err(NotOpen::Vault)
        };
        let vault_now = match open() {
            Ok(vault) => Some(Arc::new(vault)),
            // It may have come no further than its labels.
            Err(error) => {
                tracing::debug!(error = chain(&error), "nothing can be read yet of the vault that is being fetched");
                None
            }
        };
        let mut came = self.came();
        // What could be read before still can.
        let vault_now = vault_now.or_else(|| came.take().and_then(|before| before.vault_now));
        *came = Some(Coming { vault: id, marks, vault_now });
        NotOpen::Coming
    }

    /// All disks that there are.
    fn disks(&self) -> Result<There, NotOpen> {
        let Some(diskd) = self.places.diskd.as_ref().filter(|diskd| diskd.has_pool) else {
            let folder = &self.places.pool;
            let disks = mounted_in(folder).map_err(|source| NotOpen::Folder { path: folder.clone(), source })?;
            return if disks.is_empty() {
                Err(NotOpen::NoDisks(folder.clone()))
            } else {
                Ok(There { disks, unreadable: None, coming: None })
            };
        };
        let known = diskd.ask().map_err(NotOpen::Diskd)?;
        let mut bays = bays::mounted(&known);
        for disk in bays::unmounted(&known) {
            match diskd.mount(disk) {
                Ok(bay) => bays.push(bay),
                Err(error) => tracing::warn!(disk = %disk.serial, error = chain(&error), "a disk of this box could not be mounted"),
            }
        }
        let unreadable =
            Some(bays::unreadable(&known)).filter(|serials| !serials.is_empty()).map(|serials| format!("disk {}", serials.join(", disk ")));
        match (bays.is_empty(), unreadable) {
            (true, Some(disks)) => Err(NotOpen::Unreadable(disks, None)),
            (true, None) => Err(NotOpen::NoneMounted),
            (false, unreadable) => {
                // One that was away when the marks went has one still: the others know better.
                let coming = bays.iter().all(Bay::is_coming).then(|| marks(&bays));
                Ok(There { disks: bays.iter().map(Bay::disk).collect(), unreadable, coming })
            }
        }
    }

    fn keyring(&self, sealed: &Sealed) -> Result<KeyringBody, NotOpen> {
        let (slots, keyring) = sealed.locks().map_err(NotOpen::Vault)?;
        let request = OpenVault { vault: sealed.vault_id().to_string(), slots: slots.encode().into(), keyring: keyring.encode().into() };
        let keyd = Client::new("keepwell-keyd", &self.places.keyd, KEYD_PATIENCE);
        let body = keyd.post_for_bytes("/v1/open", &request).map_err(NotOpen::Keyd)?;
        KeyringBody::decode(&body).map_err(|source| NotOpen::Vault(VaultError::Format { what: "keyd's answer", source }))
    }
}

/// What stands in the marks.
fn marks(bays: &[Bay]) -> String {
    bays.iter().map(|bay| std::fs::read_to_string(bay.at.join(COMING)).unwrap_or_default()).collect()
}

impl Clock for BoxClock {
    fn now(&self) -> Time {
        Time { seconds: self.believed(), nanos: 0 }
    }
}

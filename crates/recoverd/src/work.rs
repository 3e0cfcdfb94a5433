//! What is under way. One at a time; what is cut goes on when the papers are typed again, because they are kept nowhere.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keepwell_api::disks::Serial;
use keepwell_api::error::chain;
use keepwell_api::recovery::{BeginRecovery, PoolPlaces, RecoverPool, RecoveryBegun, RecoveryPhase, RecoveryStatus};
use keepwell_api::vault::{PoolMaking, PoolPhase};
use keepwell_api::{Base64, Client};
use keepwell_crypt::KitFile;
use keepwell_format::{Time, VaultId};
use keepwell_recover::{Listener, Order, Papers, Patience, Recovered, recover};
use keepwell_storage::{Access, Pool, PoolError, disk_at};
use keepwell_vault::{Clock, IndexPlace};
use keepwell_wire::PlaceCode;
use tokio::sync::oneshot;

use crate::RecoverdError;
use crate::told::Told;

/// What vaultd knows without asking anybody.
const MOMENT: Duration = Duration::from_secs(30);
/// File systems on large, slow disks, beside each other.
const PREPARING: Duration = Duration::from_secs(3_600);
/// Papers lie in memory no longer than that, waiting for disks to be named.
const DISKS: Duration = Duration::from_secs(900);
/// For a connection.
const SOON: Duration = Duration::from_secs(20);
/// File: the code that was typed. It holds no secret.
const PLACE: &str = "place";

/// Where the disks come from that a person names.
type Waiting = Mutex<Receiver<Vec<Serial>>>;

/// The program's work.
#[derive(Debug)]
pub struct Work {
    folder: PathBuf,
    vaultd: Client,
    patience: Patience,
    told: Arc<Told>,
    /// Who waits for disks.
    go: Mutex<Option<SyncSender<Vec<Serial>>>>,
}

impl Work {
    /// With a folder of its own, and vaultd at this socket.
    pub fn new(folder: &Path, vaultd: &Path, patience: Patience) -> Self {
        let vaultd = Client::new("keepwell-vaultd", vaultd, MOMENT);
        Self { folder: folder.to_owned(), vaultd, patience, told: Arc::default(), go: Mutex::default() }
    }

    /// How far it is.
    pub fn status(&self) -> RecoveryStatus {
        let place = fs::read_to_string(self.folder.join(PLACE)).ok().map(|code| code.trim().to_owned());
        RecoveryStatus { place, ..self.told.status() }
    }

    /// Whether all is there.
    pub fn is_done(&self) -> bool {
        self.told.is(RecoveryPhase::Done)
    }

    /// Begins, or goes on after a cut; ends when the other box believes the papers, or says why not.
    pub async fn begin(self: &Arc<Self>, order: BeginRecovery) -> Result<RecoveryBegun, RecoverdError> {
        let place = PlaceCode::parse(&order.place)?;
        let papers = Papers::new(paper(&order.papers[0])?, paper(&order.papers[1])?)?;
        if papers.vault() != place.vault {
            return Err(RecoverdError::OtherVault(place.vault.to_string()));
        }
        let work = Arc::clone(self);
        let vault = place.vault;
        run_blocking(move || work.may_begin(vault)).await?;
        let address = order.address.unwrap_or_else(|| place.address.clone());
        answers(&address).await?;
        let (opened, locks) = oneshot::channel();
        if !self.told.begin(opened) {
            return Err(RecoverdError::UnderWay);
        }
        let (go, disks) = sync_channel(1);
        let disks = Mutex::new(disks);
        *self.go.lock().unwrap_or_else(PoisonError::into_inner) = Some(go);
        let work = Arc::clone(self);
        let running = tokio::spawn(async move { work.run(&papers, &place, &address, &disks).await });
        if let Ok(locks) = locks.await {
            return Ok(RecoveryBegun { locks });
        }
        match running.await {
            Ok(Ok(())) => Ok(RecoveryBegun { locks: None }),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                self.told.ended(Some(RecoverdError::Broken.to_string()), false);
                Err(RecoverdError::Broken)
            }
        }
    }

    /// Names the disks for what waits for them.
    pub fn go_on(&self, disks: Vec<Serial>) -> Result<(), RecoverdError> {
        let go = self.go.lock().unwrap_or_else(PoisonError::into_inner).take().filter(|_| self.told.is(RecoveryPhase::Proven));
        go.and_then(|go| go.try_send(disks).ok()).ok_or(RecoverdError::NothingWaits)
    }

    /// A box that has a vault asks nobody for another one: its own place elsewhere would be taken from it.
    fn may_begin(&self, vault: VaultId) -> Result<(), RecoverdError> {
        let making: PoolMaking = self.vaultd.get("/v1/pool/recovery").map_err(RecoverdError::Vaultd)?;
        match (making.phase, making.recovering) {
            (PoolPhase::None, _) => {
                // What another one left here is of no use: its disks are gone.
                let notes = self.notes(vault);
                if notes.join("finished").exists() {
                    fs::remove_dir_all(&notes).map_err(own(&notes))?;
                }
                Ok(())
            }
            (_, Some(coming)) if coming == vault.to_string() => Ok(()),
            (_, Some(coming)) => Err(RecoverdError::OtherVault(coming)),
            _ => Err(RecoverdError::HasVault),
        }
    }

    fn notes(&self, vault: VaultId) -> PathBuf {
        self.folder.join(vault.to_string())
    }

    async fn run(&self, papers: &Papers, place: &PlaceCode, address: &str, disks: &Waiting) -> Result<(), RecoverdError> {
        let done = self.fetch(papers, place, address, disks).await;
        let failed = done.as_ref().err().map(|error| chain(error));
        if let Some(failed) = &failed {
            tracing::warn!(error = failed, "the vault does not come any further; what came is kept");
        }
        self.told.ended(failed, done.is_ok());
        done
    }

    async fn fetch(&self, papers: &Papers, place: &PlaceCode, address: &str, disks: &Waiting) -> Result<(), RecoverdError> {
        let (notes, index) = (self.notes(place.vault), self.folder.join("index.sqlite"));
        let order = Order {
            address,
            receiver: place.receiver,
            papers,
            notes: &notes,
            index: IndexPlace::File(index.clone()),
            forgotten: false,
            until_first: false,
            patience: self.patience.clone(),
            clock: Arc::new(SystemClock),
        };
        let listener = Arc::clone(&self.told) as Arc<dyn Listener>;
        // Disks are waited for here, and so is the person who names them.
        let pool = |vault| tokio::task::block_in_place(|| self.pool(vault, place, disks));
        let done: Recovered = recover(&order, pool, listener).await?;
        if done.before {
            // It was cut between its end and the marks.
            tokio::task::block_in_place(|| self.places(place.vault, Vec::new())).map_err(RecoverdError::Vaultd)?;
        }
        self.told.unmark().map_err(|(path, source)| RecoverdError::Own { path, source })?;
        tracing::info!(snapshots = done.snapshots, damaged = done.damaged.len(), unreadable = done.unreadable.len(), "the vault is here");
        for left in [index, self.folder.join(PLACE)] {
            if let Err(error) = fs::remove_file(&left) {
                tracing::debug!(%error, "what is of no use any more stays");
            }
        }
        Ok(())
    }

    /// The pool on the disks that a person names.
    fn pool(&self, vault: VaultId, place: &PlaceCode, disks: &Waiting) -> Result<Pool, PoolError> {
        let invalid = |error: &dyn std::error::Error| PoolError::Invalid(chain(error));
        let chosen = disks.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(DISKS).map_err(|error| match error {
            RecvTimeoutError::Timeout => PoolError::Invalid("nobody named the disks: type the papers again".into()),
            RecvTimeoutError::Disconnected => PoolError::Invalid("nobody names the disks any more".into()),
        })?;
        self.told.goes_to(RecoveryPhase::Disks);
        keep(&self.folder.join(PLACE), &place.to_text()).map_err(|error| invalid(&error))?;
        let places = self.places(vault, chosen).map_err(|error| invalid(&error))?;
        let pool = Pool::open(places.disks.iter().map(|(name, at)| disk_at(name, Path::new(at))).collect(), Access::Write)?;
        self.told.goes_to(RecoveryPhase::Fetching);
        Ok(pool)
    }

    fn places(&self, vault: VaultId, disks: Vec<Serial>) -> Result<PoolPlaces, keepwell_api::ClientError> {
        let order = RecoverPool { vault: vault.to_string(), disks };
        let places: PoolPlaces = self.vaultd.within(PREPARING).post("/v1/pool/recovery", &order)?;
        self.told.at(places.disks.iter().map(|(_, at)| PathBuf::from(at)).collect());
        Ok(places)
    }
}

/// Somebody who stands before the box is told at once that an address is wrong; later, a line is waited for.
async fn answers(address: &str) -> Result<(), RecoverdError> {
    let tried = tokio::time::timeout(SOON, tokio::net::TcpStream::connect(address)).await;
    let tried = tried.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    tried.map(drop).map_err(|source| RecoverdError::NobodyThere { address: address.to_owned(), source })
}

fn paper(text: &Base64) -> Result<KitFile, RecoverdError> {
    let text = std::str::from_utf8(text.as_ref()).map_err(|_| RecoverdError::NoText)?;
    KitFile::parse(text).map_err(RecoverdError::Paper)
}

async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, RecoverdError> + Send + 'static) -> Result<T, RecoverdError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(RecoverdError::Broken))
}

fn keep(path: &Path, text: &str) -> Result<(), RecoverdError> {
    let new = path.with_extension("new");
    fs::write(&new, text).and_then(|()| fs::File::open(&new)?.sync_all()).and_then(|()| fs::rename(&new, path)).map_err(own(path))
}

fn own(path: &Path) -> impl Fn(io::Error) -> RecoverdError {
    let path = path.to_owned();
    move |source| RecoverdError::Own { path: path.clone(), source }
}

/// The machine's.
#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time { seconds: now.as_secs().cast_signed(), nanos: now.subsec_nanos() }
    }
}

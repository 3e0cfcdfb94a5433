//! The keys of the box while it runs, and every verb on them.
//!
//! Decides when something is sealed, opened, printed or signed. No key in memory, no verb that needs one: what has keys is [`Lock::Open`] and
//! nothing else. Never listens, never looks who asks: that is [`crate::service`]'s.

mod held;
mod identity;
mod papers;
mod recovery;
mod sealing;
mod standing;
mod vaults;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keepwell_api::keys::Notice;
use keepwell_api::state_locked::StateLocked;
use keepwell_crypt::Secret;
use keepwell_format::VaultId;
use keepwell_format::keys::{Keyring, Slots};
use keepwell_keys::Wrapping;

use crate::entropy::Entropy;
use crate::error::KeydError;
use crate::hex::Digest;
use crate::memory::MemoryWarning;
use crate::policy::{Authority, Policies, PolicyError, SignedPolicies, documents};
use crate::state::{Folder, IdentityRecord, OWN, OwnHalf, SealedState, StandIn, StateError, VaultRecord};
use crate::tpm::Tpm;
use held::Held;

/// Unix seconds.
pub type Clock = fn() -> i64;

/// What a keyd is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// TCTI of the TPM; none where a passphrase stands in.
    pub tpm: Option<String>,
    /// How long the TPM may take for one task.
    pub tpm_deadline: Duration,
    /// Files of signed policies that the image brings.
    pub policies: Vec<PathBuf>,
    /// File with the public key of the authority that the image trusts.
    pub authority: Option<PathBuf>,
    /// Where the firmware says whether Secure Boot is on (UEFI 2.10, 3.3): four bytes of attributes, and a one.
    pub secure_boot: PathBuf,
    /// What the system refused to keep the memory secluded.
    pub memory: Vec<MemoryWarning>,
    /// Why the box came up without its own state, if so: what is written is gone when it is switched off.
    pub state_locked: Option<StateLocked>,
    /// Unix seconds.
    pub clock: Clock,
}

/// The keys of the box.
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Keeper {
    folder: Folder,
    tpm: Option<Tpm>,
    images: Images,
    /// PCR 11 when keyd began.
    image_at_start: Option<Digest>,
    /// None if it is damaged; then all is locked until the kit opens it.
    own: Option<OwnHalf>,
    sealing: Sealing,
    identity: Option<IdentityRecord>,
    lock: Lock,
    vaults: BTreeMap<VaultId, Held>,
    /// There are records of vaults that can't be read.
    unread_vaults: bool,
    /// A file of a later release, which no verb of ours replaces.
    newer_state: Option<PathBuf>,
    /// There is an identity that can't be read now, and must not be replaced.
    identity_stays: bool,
    /// It signs nothing with the TPM that is there.
    identity_lost: bool,
    warnings: Vec<Notice>,
    state_locked: Option<StateLocked>,
    waiting: Option<Waiting>,
    /// Two papers opened a vault since the start.
    by_papers: bool,
    clock: Clock,
}

/// A vault that the engine has disks of, and this box no keys: it waits for two papers.
struct Waiting {
    slots: Slots,
    keyring: Keyring,
}

/// How the sealed half of the wrapping key is kept.
enum Sealing {
    Nothing,
    Tpm(SealedState),
    StandIn(StandIn),
    /// There is something, but it can't be read.
    Broken,
}

/// Whether the keys are in memory.
enum Lock {
    New,
    Locked(Notice),
    Open(Opened),
}

/// Both halves, and what they make.
struct Opened {
    secret: Secret,
    wrapping: Wrapping,
    /// Why the secret could not be sealed, if so.
    not_sealed: Option<Notice>,
}

/// What the image brings along.
struct Images {
    authority: Option<Authority>,
    policies: Vec<Policies>,
    complaints: Vec<PolicyError>,
}

impl Keeper {
    /// Reads the state and opens what opens by itself. Locked is no failure; a folder that can't be used is.
    pub fn start(folder: Folder, config: Config) -> Result<Self, KeydError> {
        let tpm = config.tpm.as_deref().map(|tcti| Tpm::at(tcti, config.tpm_deadline)).transpose().map_err(KeydError::Tpm)?;
        let mut warnings: Vec<Notice> = config.memory.iter().map(|warning| notice("memory", warning)).collect();
        if tpm.is_some() && !secure_boot_is_on(&config.secure_boot) {
            warnings.push(notice("secure-boot-off", &SECURE_BOOT_OFF));
        }
        let mut keeper = Self {
            folder,
            image_at_start: tpm.as_ref().and_then(|tpm| tpm.pcrs().ok()).map(|pcrs| pcrs.image),
            tpm,
            images: Images::load(&config),
            own: None,
            sealing: Sealing::Nothing,
            identity: None,
            lock: Lock::New,
            vaults: BTreeMap::new(),
            unread_vaults: false,
            newer_state: None,
            identity_stays: false,
            identity_lost: false,
            warnings,
            state_locked: config.state_locked,
            waiting: None,
            by_papers: false,
            clock: config.clock,
        };
        keeper.load_vaults()?;
        keeper.load_sealing();
        keeper.load_own()?;
        if matches!(keeper.lock, Lock::New) {
            keeper.lock = keeper.open_by_itself();
        }
        if let Some(why) = keeper.state_locked {
            keeper.lock = Lock::Locked(without_state(why));
        }
        if let Err(error) = keeper.settle() {
            keeper.warnings.push(error.notice());
        }
        keeper.load_identity()?;
        keeper.make_identity_if_none();
        keeper.look_at_identity();
        Ok(keeper)
    }

    fn opened(&self) -> Result<&Opened, KeydError> {
        match &self.lock {
            Lock::Open(opened) => Ok(opened),
            Lock::Locked(why) => Err(KeydError::Locked(why.clone())),
            Lock::New => Err(KeydError::Nothing),
        }
    }

    /// As [`Self::opened`], for what must still open after the next start.
    fn opened_for_good(&self) -> Result<&Opened, KeydError> {
        let opened = self.opened()?;
        opened.not_sealed.as_ref().map_or(Ok(opened), |why| Err(KeydError::NotSealed(why.clone())))
    }

    fn load_vaults(&mut self) -> Result<(), KeydError> {
        let (records, broken) = VaultRecord::all(&self.folder).map_err(KeydError::State)?;
        self.unread_vaults = !broken.is_empty();
        self.warnings.extend(broken.iter().map(|error| notice(error.code(), error)));
        self.vaults = records.into_iter().map(|record| (record.slots.vault, Held::of(record))).collect();
        Ok(())
    }

    /// The box's own half: made at the very first start, and never when something depends on one that is gone.
    fn load_own(&mut self) -> Result<(), KeydError> {
        let nothing_depends = self.vaults.is_empty() && !self.unread_vaults && matches!(self.sealing, Sealing::Nothing);
        match self.folder.read(OWN) {
            Ok(Some(own)) => self.own = Some(own),
            Ok(None) if nothing_depends => self.make_own()?,
            Ok(None) => self.lock = Lock::Locked(missing(&self.folder, OWN)),
            Err(error) => self.lock = Lock::Locked(self.told(error)),
        }
        Ok(())
    }

    /// Why a file of the state is not used, for the status.
    fn told(&mut self, error: StateError) -> Notice {
        let told = notice(error.code(), &error);
        if let StateError::Newer(path) = error {
            self.newer_state = Some(path);
        }
        told
    }

    fn make_own(&mut self) -> Result<(), KeydError> {
        let mut entropy = self.entropy()?;
        let own = OwnHalf::random(&mut |out| entropy.fill(out));
        self.folder.write(OWN, &own).map_err(KeydError::State)?;
        self.own = Some(own);
        Ok(())
    }

    /// From the system, and from the TPM where it answers.
    fn entropy(&self) -> Result<Entropy, KeydError> {
        let tpm = self.tpm.as_ref().and_then(|tpm| tpm.random().ok());
        Entropy::gather(tpm.as_deref()).map_err(KeydError::Entropy)
    }

    fn now(&self) -> i64 {
        (self.clock)()
    }
}

impl Images {
    fn load(config: &Config) -> Self {
        let mut images = Self { authority: None, policies: Vec::new(), complaints: Vec::new() };
        let Some(path) = &config.authority else { return images };
        match read_limited(path).and_then(|bytes| String::from_utf8_lossy(&bytes).parse().map_err(|_| malformed(path, "no public key"))) {
            Ok(authority) => images.authority = Some(authority),
            Err(error) => images.complaints.push(error),
        }
        let Some(authority) = images.authority else { return images };
        for path in &config.policies {
            if let Err(error) = read_limited(path).and_then(|bytes| images.take(&bytes, &authority)) {
                images.complaints.push(error);
            }
        }
        images
    }

    /// Each document of a file for itself: one that is not used is a complaint, and takes nothing from the others.
    fn take(&mut self, file: &[u8], authority: &Authority) -> Result<(), PolicyError> {
        for document in documents(file)? {
            match SignedPolicies::parse(document).and_then(|signed| signed.verify(authority)) {
                Ok(policies) => self.policies.push(policies),
                Err(error) => self.complaints.push(error),
            }
        }
        Ok(())
    }
}

fn read_limited(path: &Path) -> Result<Vec<u8>, PolicyError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| malformed(path, error))?;
    file.take(crate::policy::FILE_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| malformed(path, error))?;
    Ok(bytes)
}

fn malformed(path: &Path, why: impl std::fmt::Display) -> PolicyError {
    PolicyError::Malformed(format!("{}: {why}", path.display()))
}

/// For the status of a box that came up without its state.
fn without_state(why: StateLocked) -> Notice {
    let caution = why.caution().map_or_else(String::new, |caution| format!("{caution}. "));
    let text = format!(
        "{}. Backups that were made are on the pool's disks, unharmed. To put it right, {}. {caution}Two papers of the recovery kit open them until the box is switched off",
        why.happened(),
        why.to_do()
    );
    notice(keepwell_api::state_locked::CODE, &text)
}

const SECURE_BOOT_OFF: &str = "Secure Boot is off, or the firmware does not say that it is on: then the TPM opens the keys for any system that is started \
     the same way, and a stolen box is an open one. Switch it on in the firmware, and have the keys sealed again";

fn secure_boot_is_on(variable: &Path) -> bool {
    std::fs::read(variable).is_ok_and(|content| content.len() == 5 && content[4] == 1)
}

fn missing(folder: &Folder, name: &str) -> Notice {
    let error = StateError::Damaged { path: folder.path().join(name), source: None };
    notice(error.code(), &error)
}

fn notice(code: &str, text: &impl ToString) -> Notice {
    Notice { code: code.to_owned(), text: text.to_string() }
}

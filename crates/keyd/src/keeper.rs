//! The keys of the box while it runs, and every verb on them.
//!
//! Decides when something is sealed, opened, printed or signed. No key in memory, no verb that needs one: what has keys is [`Lock::Open`] and
//! nothing else. Never listens, never looks who asks: that is [`crate::service`]'s.

mod identity;
mod papers;
mod recovery;
mod sealing;
mod vaults;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keepwell_api::keys::{Keeper as KeeperKind, Notice, PaperStatus, Phase, Sealed, Status, VaultStatus};
use keepwell_crypt::Secret;
use keepwell_format::VaultId;
use keepwell_format::keys::Slots;
use keepwell_keys::Wrapping;

use crate::entropy::Entropy;
use crate::error::KeydError;
use crate::hex::{Digest, Hex};
use crate::memory::MemoryWarning;
use crate::policy::{Authority, Policies, PolicyError, SignedPolicies};
use crate::state::{Folder, IdentityRecord, OWN, OwnHalf, SealedState, StandIn, StateError, VaultRecord};
use crate::tpm::Tpm;
use papers::Pending;

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
    /// What the system refused to keep the memory secluded.
    pub memory: Vec<MemoryWarning>,
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
    vaults: BTreeMap<VaultId, VaultRecord>,
    pending: BTreeMap<VaultId, Pending>,
    warnings: Vec<Notice>,
    clock: Clock,
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
    /// Slots that were wrapped for a secret that could not be sealed: good until the box is switched off.
    session: BTreeMap<VaultId, Slots>,
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
        let warnings = config.memory.iter().map(|warning| notice("memory", warning)).collect();
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
            pending: BTreeMap::new(),
            warnings,
            clock: config.clock,
        };
        keeper.load_vaults()?;
        keeper.load_sealing()?;
        keeper.load_own()?;
        if matches!(keeper.lock, Lock::New) {
            keeper.lock = keeper.open_by_itself();
        }
        keeper.load_identity()?;
        keeper.ensure_identity();
        Ok(keeper)
    }

    /// How things are.
    pub fn status(&self) -> Status {
        let (phase, locked) = match &self.lock {
            Lock::New => (Phase::New, None),
            Lock::Locked(why) => (Phase::Locked, Some(why.clone())),
            Lock::Open(_) => (Phase::Open, None),
        };
        let sealed = match &self.sealing {
            Sealing::Tpm(state) => Some(Sealed {
                epoch: state.blobs.iter().map(|blob| blob.epoch.0).max().unwrap_or_default(),
                pcr7: state.blobs.iter().map(|blob| blob.pcr7.to_string()).collect(),
            }),
            _ => None,
        };
        Status {
            phase,
            locked,
            keeper: if self.stands_in() { KeeperKind::StandIn } else { KeeperKind::Tpm },
            sealed,
            box_id: self.own.as_ref().map(|own| Hex(own.box_id().to_vec()).to_string()),
            public_key: self.identity.as_ref().map(|identity| identity.current.point().to_string()),
            warnings: self.all_warnings(),
            vaults: self.vaults.iter().map(|(id, record)| self.vault_status(*id, record)).collect(),
        }
    }

    fn vault_status(&self, id: VaultId, record: &VaultRecord) -> VaultStatus {
        let slots = Slots::decode(&record.slots.0).ok();
        let paper = |paper: &crate::state::PaperRecord| PaperStatus {
            keeper: paper.keeper.clone(),
            confirmed_at: paper.confirmed_at,
            rehearsed_at: paper.rehearsed_at,
        };
        VaultStatus {
            vault: id.to_string(),
            owner: record.owner.clone(),
            test: slots.as_ref().is_some_and(|slots| slots.test_vault),
            epoch: slots.map_or(0, |slots| slots.epoch.0),
            set: record.kit.set,
            made_at: record.kit.made_at,
            papers: record.kit.papers.each_ref().map(paper),
            pending_set: self.pending.get(&id).map(|pending| pending.set()),
            invalid_sets: record.invalid_sets.clone(),
        }
    }

    fn all_warnings(&self) -> Vec<Notice> {
        let mut all = self.warnings.clone();
        all.extend(self.images.complaints.iter().map(|complaint| notice(complaint.code(), complaint)));
        if self.stands_in() {
            all.push(notice(
                "stand-in",
                &"no TPM guards the keys of this box: whoever copies its state can try passphrases on it elsewhere",
            ));
        }
        if let Lock::Open(Opened { not_sealed: Some(why), .. }) = &self.lock {
            all.push(notice(
                "not-sealed",
                &format!("the keys are open until the box is switched off, and could not be sealed: {}", why.text),
            ));
        }
        for record in self.vaults.values() {
            let on_paper = record.kit.papers.iter().filter(|paper| paper.confirmed_at.is_some()).count();
            if on_paper < 3 {
                let (vault, set) = (&record.vault, record.kit.set);
                let text = format!(
                    "only {on_paper} of the 3 papers of kit {set} of vault {vault} are known to exist: print and confirm the others, or re-issue the kit"
                );
                all.push(notice("kit-incomplete", &text));
            }
        }
        all
    }

    /// Whether a passphrase does what a TPM should.
    fn stands_in(&self) -> bool {
        self.tpm.is_none() || matches!(self.sealing, Sealing::StandIn(_))
    }

    fn opened(&self) -> Result<&Opened, KeydError> {
        match &self.lock {
            Lock::Open(opened) => Ok(opened),
            Lock::Locked(why) => Err(KeydError::Locked(why.clone())),
            Lock::New => Err(KeydError::Nothing),
        }
    }

    fn load_vaults(&mut self) -> Result<(), KeydError> {
        let (records, damaged) = VaultRecord::all(&self.folder).map_err(KeydError::State)?;
        self.warnings.extend(damaged.iter().map(|error| notice(error.code(), error)));
        self.vaults = records.into_iter().filter_map(|record| Some((record.vault.parse().ok()?, record))).collect();
        Ok(())
    }

    /// The box's own half: made at the very first start, and never when something depends on one that is gone.
    fn load_own(&mut self) -> Result<(), KeydError> {
        match self.folder.read(OWN) {
            Ok(Some(own)) => self.own = Some(own),
            Ok(None) if self.vaults.is_empty() && matches!(self.sealing, Sealing::Nothing) => self.make_own()?,
            Ok(None) => self.lock = Lock::Locked(missing(&self.folder, OWN)),
            Err(error @ (StateError::Damaged { .. } | StateError::Newer(_))) => self.lock = Lock::Locked(notice(error.code(), &error)),
            Err(error) => return Err(KeydError::State(error)),
        }
        Ok(())
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
            let verified = read_limited(path).and_then(|bytes| SignedPolicies::parse(&bytes)).and_then(|file| file.verify(&authority));
            match verified {
                Ok(policies) => images.policies.push(policies),
                Err(error) => images.complaints.push(error),
            }
        }
        images
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

fn missing(folder: &Folder, name: &str) -> Notice {
    let error = StateError::Damaged { path: folder.path().join(name), source: None };
    notice(error.code(), &error)
}

fn notice(code: &str, text: &impl ToString) -> Notice {
    Notice { code: code.to_owned(), text: text.to_string() }
}

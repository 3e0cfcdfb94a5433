//! The box's own state, kept in its vault: after each change, so that a new box with the same vault has the same shares, policies, users and history.

use std::fs;
use std::time::Duration;

use keepwell_api::Client;
use keepwell_api::offsite::{KeptShare, KeptShares, SHARES_FILE};
use keepwell_audit::{Event, Value};
use keepwell_duties::{Duty, DutyKind, Numbers};
use keepwell_format::manifest::Outcome;
use keepwell_format::port::{Encoding, Piece, ReadFile, Source, SourceInfo, Steady, Walk, Walked};
use keepwell_format::{Gap, GapReason, Key, Kind, Node};
use keepwell_vault::{BackupOptions, NoProgress, Reread, RestoreOptions, Vault};
use zeroize::Zeroizing;

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::scratch::Scratch;
use crate::state::{SETTLED, State};
use crate::steward::FULL;
use keepwell_api::error::chain;

/// What its snapshots are called; no share can be called so.
pub(crate) const NAME: &str = keepwell_api::offsite::STATE_NAME;
const STATE: &str = "state.sqlite";
const USERS: &str = "users";
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes the state into the vault, as it is now.
pub(crate) fn keep(appliance: &Appliance, vault: &Vault) -> Result<(), VaultdError> {
    let copy = appliance.config.state.join("state.copy");
    let _ = fs::remove_file(&copy);
    appliance.state.copy_to(&copy)?;
    let state = fs::read(&copy).map_err(VaultdError::Own)?;
    fs::remove_file(&copy).map_err(VaultdError::Own)?;
    let shares = appliance.state.shares()?.into_iter().map(|share| KeptShare { name: share.name, tier: share.tier.number() }).collect();
    let shares = serde_json::to_vec(&KeptShares { shares }).map_err(|error| VaultdError::Own(error.into()))?;
    // By name, as a walk has them.
    let mut files = vec![(SHARES_FILE, Zeroizing::new(shares)), (STATE, Zeroizing::new(state))];
    let authd = Client::new("keepwell-authd", &appliance.config.authd, PATIENCE);
    match authd.get_bytes("/v1/export") {
        Ok(users) => files.push((USERS, users)),
        Err(error) => tracing::warn!(error = chain(&error), "the users could not be kept with the state of the box; the shares were"),
    }
    let (whole, full) = (files.len() == 3, appliance.reserve.is_full());
    let options = BackupOptions { name: NAME.to_owned(), level: 3, reread: Reread::NONE, intended: true };
    vault.backup(&Files::new(files), &options, &NoProgress)?;
    let looked = match (whole, full) {
        (_, true) => Err((FULL, Numbers::new())),
        (false, _) => Err(("users", Numbers::new())),
        (true, false) => Ok(Numbers::new()),
    };
    appliance.watch.seen(&Duty::of_box(DutyKind::State), looked, appliance);
    Ok(())
}

/// Takes the newest state of the vault over, where this box has none of its own. Whether there was one.
pub(crate) fn adopt(appliance: &Appliance, vault: &Vault) -> Result<bool, VaultdError> {
    if !appliance.state.is_blank()? {
        return Ok(false);
    }
    let adopted = take_over(appliance, vault)?;
    // From now on what is not here was taken away by a person.
    appliance.state.note(SETTLED, &true)?;
    Ok(adopted)
}

fn take_over(appliance: &Appliance, vault: &Vault) -> Result<bool, VaultdError> {
    let snapshots = vault.snapshots()?;
    let Some(newest) = snapshots.iter().rfind(|s| s.body.name == NAME && s.body.outcome != Outcome::Held) else {
        return Ok(false);
    };
    let scratch = Scratch::new(&appliance.config.state.join("adopting")).map_err(VaultdError::Own)?;
    let report = vault.restore(newest, &RestoreOptions { read_back: true, ..RestoreOptions::default() }, &scratch, &NoProgress)?;
    let key = |name: &str| Key::from_path(name.as_bytes()).expect("a plain name");
    let Some(copy) = scratch.path(&key(STATE)).filter(|_| report.is_whole()) else {
        return Err(VaultdError::Invalid("the state of the box in the vault is not whole".into()));
    };
    // Opening it brings an older release's tables to this one's.
    drop(State::open(&copy)?);
    appliance.state.adopt(&copy)?;
    appliance.watch.reload(&appliance.state)?;
    if let Some(users) = scratch.path(&key(USERS)) {
        let users = Zeroizing::new(fs::read(users).map_err(VaultdError::Own)?);
        let authd = Client::new("keepwell-authd", &appliance.config.authd, PATIENCE);
        if let Err(error) = authd.post_bytes::<serde_json::Value>("/v1/import", &users) {
            tracing::error!(error = chain(&error), "the users of the box before could not be taken over: claim the box anew");
        }
    }
    appliance.record("vaultd", Event::StateRestored, vec![("snapshot".into(), Value::Text(newest.id.to_string()))])?;
    Ok(true)
}

/// A few files in memory, as a source.
struct Files {
    info: SourceInfo,
    files: Vec<(Key, Zeroizing<Vec<u8>>)>,
}

impl Files {
    fn new(files: Vec<(&str, Zeroizing<Vec<u8>>)>) -> Self {
        let info = SourceInfo { location: "the box itself".into(), identity: NAME.into(), encoding: Encoding::Bytes, parallel_reads: 1 };
        let key = |name: &str| Key::from_path(name.as_bytes()).expect("a plain name");
        Self { info, files: files.into_iter().map(|(name, bytes)| (key(name), bytes)).collect() }
    }
}

impl Source for Files {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn walk(&self) -> Result<Walk<'_>, Gap> {
        let root = Walked { key: Key::root(), node: Node::new(Kind::Folder), size: 0, streams: Vec::new() };
        let file = |(key, bytes): &(Key, Zeroizing<Vec<u8>>)| Walked {
            key: key.clone(),
            node: Node::new(Kind::File),
            size: bytes.len() as u64,
            streams: Vec::new(),
        };
        Ok(Box::new(std::iter::once(root).chain(self.files.iter().map(file)).map(Ok)))
    }

    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        let found = self.files.iter().find(|(key, _)| *key == entry.key);
        let gone = || Gap { reason: GapReason::Vanished, text: "it is not there".into() };
        Ok(Box::new(Reading { rest: found.ok_or_else(gone)?.1.as_slice() }))
    }
}

struct Reading<'a> {
    rest: &'a [u8],
}

impl ReadFile for Reading<'_> {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        let read = self.rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&self.rest[..read]);
        self.rest = &self.rest[read..];
        Ok(if read == 0 { Piece::End } else { Piece::Data(read) })
    }

    fn finish(&mut self, _node: &mut Node) -> Result<Steady, Gap> {
        Ok(Steady::Unchanged)
    }
}

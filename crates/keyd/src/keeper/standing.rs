//! How the keys stand, for a status: what is so, and what should be put right. Changes nothing.

use keepwell_api::keys::{Keeper as KeeperKind, Notice, PaperStatus, Phase, Sealed, Status, VaultStatus, WaitingVault};

use super::held::Held;
use super::{Keeper, Lock, Opened, Sealing, Waiting, notice};
use crate::hex::Hex;
use crate::state::PaperRecord;

/// With fewer papers than these, the vault is lost with the box.
const PAPERS_TO_OPEN: usize = 2;

impl Keeper {
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
            vaults: self.vaults.values().map(|held| self.vault_status(held)).collect(),
            waiting: self.waiting.as_ref().map(|Waiting { slots, .. }| WaitingVault { vault: slots.vault.to_string(), set: slots.kit.set }),
            by_papers: self.by_papers,
        }
    }

    fn vault_status(&self, held: &Held) -> VaultStatus {
        let record = held.record();
        let paper = |paper: &PaperRecord| PaperStatus {
            keeper: paper.keeper.clone(),
            confirmed_at: paper.confirmed_at,
            rehearsed_at: paper.rehearsed_at,
            failed_at: paper.failed_at,
        };
        let waiting = record.newer.as_ref().and_then(|newer| newer.kit.as_ref());
        VaultStatus {
            vault: record.vault.clone(),
            owner: record.owner.clone(),
            test: record.slots.test_vault,
            epoch: record.slots.epoch.0,
            open: self.opens(held),
            set: record.kit.set,
            made_at: record.kit.made_at,
            papers: record.kit.papers.each_ref().map(paper),
            pending_set: held.printing.as_ref().map(|printing| printing.set()).or(waiting.map(|kit| kit.set)),
            to_store: record.newer.is_some(),
            invalid_sets: record.invalid_sets.clone(),
        }
    }

    fn opens(&self, held: &Held) -> bool {
        self.opened().is_ok_and(|opened| held.open(&opened.wrapping).is_some())
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
        if self.identity_lost {
            all.push(notice(
                "identity-lost",
                &"the box's signing key is in another TPM, or its state is from before: it can't sign labels of disks. It comes back with that TPM; with two papers of the recovery kit the box gets a new one",
            ));
        }
        for held in self.vaults.values() {
            all.extend(self.warnings_of(held).into_iter().map(|(code, text)| notice(code, &text)));
        }
        all
    }

    fn warnings_of(&self, held: &Held) -> Vec<(&'static str, String)> {
        let (record, mut all) = (held.record(), Vec::new());
        let (vault, set) = (&record.vault, record.kit.set);
        if matches!(self.lock, Lock::Open(_)) && !self.opens(held) {
            let text =
                format!("the keys of vault {vault} are closed, although the box is open: two papers of its own recovery kit open it");
            all.push(("vault-closed", text));
        }
        let on_paper = record.kit.papers.iter().filter(|paper| paper.confirmed_at.is_some()).count();
        if on_paper < record.kit.papers.len() {
            let printing = held.printing.as_ref().is_some_and(|printing| printing.set() == set);
            let todo = if printing { "print and confirm the others" } else { "rehearse those that are there, or re-issue the kit" };
            let means = if on_paper < PAPERS_TO_OPEN { "; until two are, the backups are lost with this box" } else { "" };
            let text = format!("only {on_paper} of the 3 papers of kit {set} of vault {vault} are known to exist{means}: {todo}");
            all.push(("kit-incomplete", text));
        }
        if let Some(newer) = &record.newer {
            let means = newer.kit.as_ref().map_or_else(String::new, |kit| {
                format!(" Until it has them, the papers of kit {} open nothing: keep those of kit {set}", kit.set)
            });
            let text = format!(
                "the disks of vault {vault} are not known to have its newest key slots: `keepwell keys store` brings them there.{means}"
            );
            all.push(("slots-to-store", text));
        }
        for (number, _) in (1..).zip(&record.kit.papers).filter(|(_, paper)| paper.failed_at.is_some()) {
            let text = format!(
                "the last rehearsal of paper {number} of kit {set} of vault {vault} failed: rehearse it again, and re-issue the kit if it fails again"
            );
            all.push(("rehearsal-failed", text));
        }
        all
    }

    /// Whether a passphrase does what a TPM should.
    fn stands_in(&self) -> bool {
        self.tpm.is_none() || matches!(self.sealing, Sealing::StandIn(_))
    }
}

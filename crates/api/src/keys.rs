//! What keyd is asked and what it answers. Shapes only: who may ask what, and what opens, keyd decides.
//!
//! Digests, ids and public keys are hexadecimal digits; what may be a secret, or is long, is base64 and wiped.

use serde::{Deserialize, Serialize};

use crate::Base64;

/// Where keyd listens.
pub const SOCKET: &str = "/run/keepwell/keyd.sock";

/// How far the box is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Nothing was ever sealed on it: it has no vault yet.
    New,
    /// There is a vault, and no key in memory: nothing can be read or written.
    Locked,
    /// The keys are there.
    Open,
}

/// What opens the keys at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keeper {
    /// The TPM, by itself.
    Tpm,
    /// A person with the passphrase of a file: the box has no TPM, and a copy of its state can be tried elsewhere.
    StandIn,
}

/// Something to be said: a word for programs, a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Stable, such as `wrong-pcr-7`.
    pub code: String,
    /// What it means and what to do.
    pub text: String,
}

/// `GET /v1/status` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// How far the box is.
    pub phase: Phase,
    /// Why it is locked.
    pub locked: Option<Notice>,
    /// What opens the keys at start.
    pub keeper: Keeper,
    /// What the keys are sealed to; none with a stand-in, or when nothing is sealed.
    pub sealed: Option<Sealed>,
    /// The box, in its key slots.
    pub box_id: Option<String>,
    /// The box's signing key: SEC1, uncompressed.
    pub public_key: Option<String>,
    /// What should be put right, though keyd works.
    pub warnings: Vec<Notice>,
    /// The vaults whose keys were made or opened here.
    pub vaults: Vec<VaultStatus>,
    /// A vault whose disks are there and whose keys this box never had: two of its papers open it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<WaitingVault>,
    /// Two papers of a kit opened a vault in this start of keyd.
    #[serde(default)]
    pub by_papers: bool,
}

impl Status {
    /// Whether a box without an owner may get one. People can be lost while the keys are not: then the first who comes must not get an open vault.
    pub fn may_be_claimed(&self) -> bool {
        self.phase == Phase::New || self.by_papers
    }
}

/// A vault that waits for its papers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingVault {
    /// Its id.
    pub vault: String,
    /// Number of its valid kit, as on its papers.
    pub set: u16,
}

/// What the keys are sealed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Security epoch of the images that open them.
    pub epoch: u32,
    /// Values of PCR 7, any of which will do.
    pub pcr7: Vec<String>,
}

/// One vault's kit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultStatus {
    /// Its id.
    pub vault: String,
    /// Whose data it holds.
    pub owner: String,
    /// For trying things out.
    pub test: bool,
    /// Epoch of its newest key.
    pub epoch: u32,
    /// Whether its keys are in memory. A box that was opened with another vault's papers has this one's closed.
    #[serde(default)]
    pub open: bool,
    /// Number of the valid kit, as on its papers.
    pub set: u16,
    /// When it was made, Unix seconds.
    pub made_at: i64,
    /// Its papers 1, 2 and 3.
    pub papers: [PaperStatus; 3],
    /// A kit that is being printed, or whose slots are not known to be in the pool yet: until they are, the one above is valid.
    pub pending_set: Option<u16>,
    /// There are newer key slots than the pool is known to have: [`ToStore`].
    #[serde(default)]
    pub to_store: bool,
    /// Kits whose papers open nothing any more.
    pub invalid_sets: Vec<u16>,
}

/// One paper of the valid kit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaperStatus {
    /// Who keeps it; empty if that is not known here.
    pub keeper: String,
    /// When six of its words were typed back, Unix seconds; never if it is not known to exist on paper.
    pub confirmed_at: Option<i64>,
    /// When it was last rehearsed.
    pub rehearsed_at: Option<i64>,
    /// When a rehearsal of it failed, if none has succeeded since.
    #[serde(default)]
    pub failed_at: Option<i64>,
}

/// `POST /v1/seal-again`: seals what is open to the TPM as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealAgain {
    /// PCR 7 after a change that is planned: sealed to beside the one of now. Without it and without an epoch, only the one of now stays.
    #[serde(default)]
    pub pcr7: Option<String>,
    /// Security epoch; the present one if absent. Never goes back.
    #[serde(default)]
    pub epoch: Option<u32>,
}

/// `POST /v1/vaults`: keys and kit for a new vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewVault {
    /// Its id, chosen by who makes the pool.
    pub vault: String,
    /// For trying things out.
    #[serde(default)]
    pub test: bool,
    /// Whose data it will hold, for the papers.
    pub owner: String,
    /// A passphrase that opens it beside the kit, wherever its disks are.
    #[serde(default)]
    pub passphrase: Option<Base64>,
}

/// Its answer: what has to be stored in the new pool. The kit's papers are to be printed and confirmed next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultMade {
    /// Number of the kit.
    pub set: u16,
    /// The slots object.
    pub slots: Base64,
    /// The keyring object.
    pub keyring: Base64,
}

/// How a paper is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaperFormat {
    /// A page to print, with a QR code.
    Pdf,
    /// Plain text.
    Text,
}

/// `POST /v1/vaults/{vault}/papers/{1|2|3}`: the page, as bytes. One at a time: the next when this one is confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrintPaper {
    /// As what.
    pub format: PaperFormat,
    /// Who will keep it.
    pub keeper: String,
    /// Serial number of the box, for the page; may be empty.
    #[serde(default)]
    pub serial: String,
}

/// A word's place on a paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordPlace {
    /// 1 to 4.
    pub row: u8,
    /// 1 to 8.
    pub word: u8,
}

/// `GET /v1/vaults/{vault}/papers/{1|2|3}` answers: which words have to be typed back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaperQuestion {
    /// Number of the kit.
    pub set: u16,
    /// Where the words are.
    pub places: [WordPlace; 6],
}

/// `POST /v1/vaults/{vault}/papers/{1|2|3}/confirm`: the words that were asked for, in that order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmPaper {
    /// UTF-8.
    pub words: [Base64; 6],
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaperConfirmed {
    /// Papers that have still to be printed and confirmed. None: keyd has forgotten all shares.
    pub left: Vec<u8>,
    /// With the last paper of a re-issued kit: the slots object that has to be stored in the pool now. The kit is valid, and the one before is not any
    /// more, when keyd is told that they are there ([`InPool`]).
    pub slots: Option<Base64>,
}

/// `POST /v1/vaults/{vault}/stored`: the newest slots object that was read back from the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InPool {
    /// The slots object.
    pub slots: Base64,
}

/// Its answer, and that of `GET /v1/vaults/{vault}/slots`, as often as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToStore {
    /// The slots object that the pool has to get; none if it has the newest.
    pub slots: Option<Base64>,
}

/// `POST /v1/open`, for vaultd alone: the answer is the keyring's body (`docs/format.md` 5.4), as bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenVault {
    /// The vault.
    pub vault: String,
    /// Its newest slots object.
    pub slots: Base64,
    /// Its newest keyring object.
    pub keyring: Base64,
}

/// `POST /v1/unlock`: the passphrase of the stand-in. The first one makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unlock {
    /// Bytes as typed.
    pub passphrase: Base64,
}

/// `POST /v1/unlock-by-kit`: recovery. Opens the vault and seals its key to this box anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnlockByKit {
    /// The text of two papers, or of their QR codes.
    pub papers: [Base64; 2],
    /// The vault's newest slots object; without it, what this box knows of the vault, or the engine has shown of a vault that waits.
    #[serde(default)]
    pub slots: Option<Base64>,
    /// The vault's newest keyring object: then it is proven that the papers open it.
    #[serde(default)]
    pub keyring: Option<Base64>,
    /// With a stand-in: its new passphrase.
    #[serde(default)]
    pub passphrase: Option<Base64>,
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockedByKit {
    /// The vault.
    pub vault: String,
    /// The slots object that has to be stored in the pool now.
    pub slots: Base64,
    /// Why the keys could not be sealed, if so: they are open until the box is switched off, and then the kit is needed again.
    pub not_sealed: Option<Notice>,
}

/// `POST /v1/rehearse`: one paper. Needs neither TPM nor open keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rehearse {
    /// The text of a paper, or of its QR code.
    pub paper: Base64,
    /// The slots object that the pool has now; without it, keyd's own copy is looked at.
    #[serde(default)]
    pub slots: Option<Base64>,
}

/// Its answer: the paper is valid, and the kit opens the newest key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsed {
    /// The vault.
    pub vault: String,
    /// Number of the kit.
    pub set: u16,
    /// Which paper.
    pub paper: u8,
    /// Epoch of the key that was shown to be openable.
    pub epoch: u32,
}

/// `POST /v1/reissue`: a new kit. Print and confirm its papers next, and store the slots that come with the last;
/// then the old ones open nothing any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reissue {
    /// The vault.
    pub vault: String,
    /// The slots object that the pool has now, so that what another box has put in stays in; keyd's own copy counts where it is newer.
    #[serde(default)]
    pub slots: Option<Base64>,
}

/// Its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reissued {
    /// Number of the new kit.
    pub set: u16,
    /// Number of the one that it will replace.
    pub replaces: u16,
}

/// `POST /v1/identity/sign`: what a box puts its name to. keyd checks that each is what it says, and signs nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "object", deny_unknown_fields)]
pub enum Sign {
    /// That a disk was erased.
    EraseCertificate {
        /// JSON text of an [`crate::disks::Erasure`], signed as it is.
        statement: String,
    },
    /// That a disk belongs to this box.
    DiskLabel {
        /// The label without its signature (`docs/disks.md`).
        statement: Base64,
    },
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The box's key: SEC1, uncompressed.
    pub public_key: String,
    /// ECDSA P-256 with SHA-256: r and s.
    pub signature: String,
}

/// `GET /v1/identity` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The box's key: SEC1, uncompressed.
    pub public_key: String,
    /// Keys that it had before its TPM was cleared or replaced: they sign nothing any more, but what they signed stays its own.
    pub former: Vec<String>,
}

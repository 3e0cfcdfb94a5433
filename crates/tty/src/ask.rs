//! What the screen asks of the box's programs and of the machine, and what it is told. Shapes only: `neighbours` and `machine` carry them out.

use keepwell_api::Base64;
use keepwell_api::grants::Verb;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::network::{Fixed, Local};

/// A program of the box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    /// The engine.
    Vaultd,
    /// People and grants.
    Authd,
    /// Keys and papers.
    Keyd,
    /// Disks.
    Diskd,
    /// What brings a vault back to a blank box.
    Recoverd,
}

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// How the box is; asked again and again.
    Status,
    /// Whether it has an owner; asked again and again.
    People,
    /// The claim code; asked while there is no owner.
    ClaimCode,
    /// How the keys are; asked again and again.
    Keys,
    /// Signing in and out.
    SignIn,
    /// Whom somebody signed in as, and which shares are theirs.
    Session,
    /// The session is over, whatever comes back.
    SignOut,
    /// What can be restored.
    Shares,
    /// Of one share.
    Snapshots,
    /// Onto which a share can be restored.
    UsbDisks,
    /// One of them is made ready: all that is on it is gone.
    Prepare,
    /// What a restore would do.
    DryRun,
    /// The restore itself.
    Restore,
    /// How far it is.
    Progress,
    /// All of them.
    Restores,
    /// Two papers open the keys.
    Unlock,
    /// The passphrase of a box without a TPM opens them.
    Passphrase,
    /// Which disks there are, on a box without a vault of its own; asked again and again.
    Strangers,
    /// Those of another box become this one's.
    TakeOver,
    /// Whether the box has a pool; asked again and again.
    Pool,
    /// How far a vault is that comes back; asked again and again, as long as one does.
    Recovery,
    /// The box that keeps the backups is asked for them.
    BeginRecovery,
    /// Its papers open the keys of a vault that comes back.
    AwayKeys,
    /// It comes, onto these disks.
    GoOn,
    /// One paper is good.
    Rehearse,
    /// Whether the downtime share is open.
    Emergency,
    /// It is to be.
    OpenEmergency,
    /// It is not to be any more.
    CloseEmergency,
    /// A new sealed code.
    SealedCode,
    /// All disks.
    Disks,
    /// One of them blinks.
    Locate,
    /// It is recorded that the machine gets another address.
    Address,
}

impl About {
    /// Asked by the screen itself, and no person waits for it.
    pub(crate) fn is_background(self) -> bool {
        let of_the_box =
            matches!(self, Self::Status | Self::People | Self::ClaimCode | Self::Keys | Self::Strangers | Self::Pool | Self::Recovery);
        of_the_box || matches!(self, Self::Progress | Self::SignOut)
    }
}

/// By what right.
#[derive(Clone)]
pub(crate) enum Leave {
    /// It takes none but that this is the box's screen.
    None,
    /// A grant for a person who is signed in.
    Person {
        /// Theirs.
        session: Base64,
        /// For this.
        verb: Verb,
        /// What the authenticator shows, after it was asked for.
        code: Option<Base64>,
    },
    /// The sealed code, which is burnt by it.
    SealedCode(Base64),
}

/// One question to a program.
#[derive(Clone)]
pub(crate) struct Ask {
    /// No two have the same: an answer that nobody waits for any more is dropped.
    pub(crate) number: u64,
    /// For what.
    pub(crate) about: About,
    /// Whom.
    pub(crate) whom: Whom,
    /// Where.
    pub(crate) route: String,
    /// JSON to be posted; none to get.
    pub(crate) body: Option<Zeroizing<Vec<u8>>>,
    /// By what right.
    pub(crate) leave: Leave,
    /// What it does, for the person who is asked for a code.
    pub(crate) says: String,
}

/// Secrets travel in it, so only what it is for is printed.
impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ask({} {:?} {})", self.number, self.about, self.route)
    }
}

impl Ask {
    /// A question without a body.
    pub(crate) fn get(about: About, whom: Whom, route: impl Into<String>) -> Self {
        Self { number: 0, about, whom, route: route.into(), body: None, leave: Leave::None, says: String::new() }
    }

    /// A question with one.
    pub(crate) fn post(about: About, whom: Whom, route: impl Into<String>, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("requests are plain data");
        Self { body: Some(body.into()), ..Self::get(about, whom, route) }
    }

    /// The same by this right; `says` is what it does.
    #[must_use]
    pub(crate) fn by(self, leave: Leave, says: impl Into<String>) -> Self {
        Self { leave, says: says.into(), ..self }
    }
}

/// Something that the machine itself is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Start again.
    Restart,
    /// Off.
    PowerOff,
    /// An address that stays; none to take what the network gives.
    Address(Option<Fixed>),
    /// See which addresses it has.
    Look,
}

/// What is to be done outside of the state.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// A question.
    Ask(Ask),
    /// A deed.
    Do(Deed),
}

/// The word of a program that gave no answer.
pub(crate) const SILENT: &str = "silent";

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// The program's word; [`SILENT`] if it gave none.
    pub(crate) code: String,
    /// For a person.
    pub(crate) text: String,
}

/// What came of an order.
#[derive(Debug)]
pub(crate) enum Told {
    /// An answer, with its question.
    Answer(Ask, Result<Value, Trouble>),
    /// A deed was done, or not.
    Done(Deed, Result<(), Trouble>),
    /// The machine's addresses, and the fingerprint of the console's authority.
    Looked(Local),
}

/// What a program answered, as what was asked for.
pub(crate) fn read<T: DeserializeOwned>(answer: Value) -> Result<T, Trouble> {
    serde_json::from_value(answer).map_err(|_| Trouble {
        code: "unknown".into(),
        text: "The answer is not one that this screen knows. All programs of a box have to be of one release: start it again.".into(),
    })
}

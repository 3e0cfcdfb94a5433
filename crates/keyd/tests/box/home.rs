//! A box's state, the image's files, and a person who prints papers and types them back.

use std::path::PathBuf;
use std::time::Duration;

use keepwell_api::Base64;
use keepwell_api::keys::{ConfirmPaper, InPool, NewVault, PaperFormat, PaperQuestion, PrintPaper, Reissue, UnlockByKit, VaultMade};
use keepwell_keyd::error::KeydError;
use keepwell_keyd::keeper::{Config, Keeper};
use keepwell_keyd::policy::SignedPolicies;
use keepwell_keyd::state::Folder;

use super::{Builder, SoftTpm};

pub const VAULT: &str = "00112233445566778899aabbccddeeff";
pub const NOW: i64 = 1_795_305_600;

/// What survives a restart of keyd.
pub struct Home {
    pub folder: tempfile::TempDir,
    pub builder: Builder,
    tcti: Option<String>,
    policies: Vec<PathBuf>,
}

impl Home {
    /// A box with this TPM, or none, and an image of epoch 2.
    pub fn new(soft: Option<&SoftTpm>) -> Self {
        let builder = Builder::new();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("authority.pub"), format!("{}\n", builder.authority())).unwrap();
        std::fs::write(folder.path().join("SecureBoot"), [6, 0, 0, 0, 1]).unwrap();
        let mut home = Self { folder, builder, tcti: soft.map(SoftTpm::tcti), policies: Vec::new() };
        home.install(&[home.builder.file(2, &["image 1"])]);
        home
    }

    /// The files of another image.
    pub fn install(&mut self, files: &[SignedPolicies]) {
        let named = files.iter().enumerate().map(|(n, file)| {
            let path = self.folder.path().join(format!("policies-{n}.json"));
            std::fs::write(&path, serde_json::to_vec(file).unwrap()).unwrap();
            path
        });
        self.policies = named.collect();
    }

    /// The same as they come with an image: all in one object, which is systemd's otherwise.
    pub fn install_as_image(&mut self, documents: &[SignedPolicies]) {
        let path = self.folder.path().join("tpm2-pcr-signature.json");
        std::fs::write(&path, serde_json::json!({"sha256": [], "keepwell": documents}).to_string()).unwrap();
        self.policies = vec![path];
    }

    /// Another TPM in its place, or none.
    pub fn connect(&mut self, soft: Option<&SoftTpm>) {
        self.tcti = soft.map(SoftTpm::tcti);
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.state().join(name)
    }

    pub fn config(&self) -> Config {
        Config {
            tpm: self.tcti.clone(),
            tpm_deadline: Duration::from_secs(60),
            policies: self.policies.clone(),
            authority: Some(self.folder.path().join("authority.pub")),
            secure_boot: self.folder.path().join("SecureBoot"),
            memory: Vec::new(),
            state_locked: None,
            clock: || NOW,
        }
    }

    pub fn start(&self) -> Keeper {
        Keeper::start(Folder::open(&self.state()).unwrap(), self.config()).unwrap()
    }
}

pub fn new_vault() -> NewVault {
    NewVault { vault: VAULT.into(), test: true, owner: "Dr. Example".into(), passphrase: None }
}

pub fn reissued() -> Reissue {
    Reissue { vault: VAULT.into(), slots: None }
}

/// A vault, and its three papers as text, printed and confirmed.
pub fn make_vault(keeper: &mut Keeper) -> (VaultMade, [String; 3]) {
    let made = keeper.new_vault(&new_vault()).unwrap();
    let papers = [1, 2, 3].map(|paper| print_and_confirm(keeper, paper).unwrap());
    (made, papers)
}

pub fn page(keeper: &mut Keeper, paper: u8) -> Result<String, KeydError> {
    let request = PrintPaper { format: PaperFormat::Text, keeper: format!("keeper {paper}"), serial: String::new() };
    Ok(String::from_utf8(keeper.print(VAULT, paper, &request)?.to_vec()).unwrap())
}

pub fn print_and_confirm(keeper: &mut Keeper, paper: u8) -> Result<String, KeydError> {
    let text = page(keeper, paper)?;
    let words = typed(&text, &keeper.question(VAULT, paper)?);
    keeper.confirm(VAULT, paper, &words.each_ref().map(String::as_str))?;
    Ok(text)
}

/// What a person finds on the paper at the places that are asked for.
pub fn typed(text: &str, question: &PaperQuestion) -> [String; 6] {
    let rows = keepwell_paper::read(text).unwrap().share.to_words();
    question.places.map(|place| rows[usize::from(place.row - 1)][usize::from(place.word - 1)].to_uppercase())
}

pub fn confirmation(words: [String; 6]) -> ConfirmPaper {
    ConfirmPaper { words: words.map(|word| word.into_bytes().into()) }
}

/// The pool has these slots; what it is to get in their place is answered.
pub fn stored(keeper: &mut Keeper, slots: &Base64) -> Option<Base64> {
    keeper.in_pool(VAULT, &InPool { slots: slots.clone() }).unwrap().slots
}

/// What `keepwell keys store` does: the newest slots, until keyd has no newer ones.
pub fn store(keeper: &mut Keeper, pool: &mut Base64) {
    while let Some(slots) = stored(keeper, pool) {
        *pool = slots;
    }
}

pub fn by_kit(first: &str, second: &str) -> UnlockByKit {
    UnlockByKit { papers: [first, second].map(|paper| paper.as_bytes().to_vec().into()), slots: None, keyring: None, passphrase: None }
}

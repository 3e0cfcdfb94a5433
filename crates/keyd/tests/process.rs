//! The program itself, over its socket: who may ask, and that a crash leaves no key anywhere.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

mod r#box;

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::RangeInclusive;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use r#box::SoftTpm;
use r#box::home::{Home, VAULT, confirmation, new_vault, typed};
use keepwell_api::keys::{
    InPool, NewVault, OpenVault, PaperConfirmed, PaperFormat, PaperQuestion, Phase, PrintPaper, Rehearse, Rehearsed, Reissue, Reissued,
    SealAgain, Sealed, Status, ToStore, Unlock, UnlockedByKit, VaultMade,
};
use keepwell_api::{Client, ClientError};
use keepwell_format::keys::{KeyringBody, Slots};

/// A running keyd.
struct Running {
    child: Child,
    client: Client,
    log: PathBuf,
    /// Where it runs, and so where a core would be.
    place: PathBuf,
}

impl Running {
    fn start(home: &Home, soft: Option<&SoftTpm>, users: &[&str]) -> Self {
        let place = home.folder.path().join("place");
        fs::create_dir_all(&place).unwrap();
        let (log, socket) = (home.folder.path().join("log"), place.join("keyd.sock"));
        let mut command = Command::new("sh");
        // As somebody would who wants a core: the limit is keyd's own to lower.
        command.args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_keepwell-keyd"), "serve"]);
        command.arg("--state").arg(home.state()).arg("--socket").arg(&socket).args(users);
        command.arg("--authority").arg(home.folder.path().join("authority.pub"));
        command.arg("--policies").arg(home.folder.path().join("policies-0.json"));
        match soft {
            Some(soft) => command.args(["--tpm", &soft.tcti()]),
            None => command.arg("--without-tpm"),
        };
        command.env("RUST_LOG", "trace").env_remove("LISTEN_FDS").current_dir(&place).stdout(Stdio::null());
        let child = command.stderr(File::create(&log).unwrap()).spawn().unwrap();
        let running = Self { child, client: Client::new("keyd", socket, Duration::from_secs(120)), log, place };
        let until = Instant::now() + Duration::from_secs(60);
        while std::os::unix::net::UnixStream::connect(running.client.path()).is_err() {
            assert!(Instant::now() < until, "keyd does not listen: {}", fs::read_to_string(&running.log).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }

    fn made(&self) -> (VaultMade, Vec<String>) {
        (self.client.post("/v1/vaults", &new_vault()).unwrap(), self.printed())
    }

    /// The three papers, printed and confirmed.
    fn printed(&self) -> Vec<String> {
        self.papers("papers", 1..=3)
    }

    /// The same of a first kit, as vaultd.
    fn first_kit(&self, which: RangeInclusive<usize>) -> Vec<String> {
        self.papers("first-kit", which)
    }

    fn papers(&self, kit: &str, which: RangeInclusive<usize>) -> Vec<String> {
        let papers = which.map(|paper| {
            let route = format!("/v1/vaults/{VAULT}/{kit}/{paper}");
            let request = PrintPaper { format: PaperFormat::Text, keeper: "someone".into(), serial: String::new() };
            let text = String::from_utf8(self.client.post_for_bytes(&route, &request).unwrap().to_vec()).unwrap();
            let question: PaperQuestion = self.client.get(&route).unwrap();
            let confirmed: PaperConfirmed = self.client.post(&format!("{route}/confirm"), &confirmation(typed(&text, &question))).unwrap();
            assert_eq!(confirmed.left.len(), 3 - paper);
            assert!(confirmed.slots.is_none() || kit == "papers", "slots go to the pool alone");
            text
        });
        papers.collect()
    }

    fn open(&self, made: &VaultMade) -> Result<Vec<u8>, ClientError> {
        let request = OpenVault { vault: VAULT.into(), slots: made.slots.clone(), keyring: made.keyring.clone() };
        self.client.post_for_bytes("/v1/open", &request).map(|body| body.to_vec())
    }

    /// Whether the living process has these bytes in memory; None if nobody may look.
    fn remembers(&self, bytes: &[u8]) -> Option<bool> {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let maps = fs::read_to_string(process.join("maps")).ok()?;
        let mut memory = File::open(process.join("mem")).ok()?;
        let ranges = maps.lines().filter(|line| line.contains(" rw")).filter_map(|line| {
            let (from, to) = line.split_once(' ')?.0.split_once('-')?;
            Some((u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?))
        });
        let mut found = false;
        for (from, to) in ranges {
            let mut content = vec![0; (to - from) as usize];
            if memory.seek(SeekFrom::Start(from)).is_ok() && memory.read_exact(&mut content).is_ok() {
                found |= contains(&content, bytes);
            }
        }
        Some(found)
    }

    /// Whether these bytes go from memory: an answer is wiped when its connection ends, which may be a moment after we have it.
    fn forgets(&self, bytes: &[u8]) -> bool {
        let asked_again = || self.client.get::<Status>("/v1/status").is_ok();
        (0..50).any(|_| asked_again() && self.remembers(bytes) == Some(false))
    }

    fn process_status(&self, name: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].trim_matches([':', ' ', '\t']).to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn contains(content: &[u8], bytes: &[u8]) -> bool {
    content.windows(bytes.len()).any(|window| window == bytes)
}

/// A key as it is, in hexadecimal, and in each of the three ways in which base64 can cut it.
fn spellings(key: &[u8]) -> Vec<Vec<u8>> {
    let hex =
        |upper: bool| key.iter().map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") }).collect::<String>().into_bytes();
    let shifted = (0..3).map(|shift| {
        let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode([&vec![0; shift], key].concat()).into_bytes();
        text[4..text.len() - 2].to_vec()
    });
    [key.to_vec(), hex(false), hex(true)].into_iter().chain(shifted).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).filter(|path| path.is_file()).collect()
}

/// That the system writes cores at all, so that finding none means something.
fn cores_are_written() -> bool {
    let place = tempfile::tempdir().unwrap();
    let status = Command::new("sh").args(["-c", "ulimit -c unlimited; kill -ABRT $$"]).current_dir(place.path()).status().unwrap();
    status.core_dumped()
}

#[test]
fn a_crash_leaves_no_key_anywhere() {
    let Some(mut soft) = SoftTpm::new() else { return };
    soft.boot("our keys", "image 1");
    let home = Home::new(Some(&soft));
    let mut running = Running::start(&home, Some(&soft), &[]);
    let (made, papers) = running.made();
    let mut secrets = secrets(&running.open(&made).unwrap(), &made, &papers);
    secrets.push((HALF, own_half(&home)));
    let mistyped = papers[0].replacen("words-2: ", "words-2: mistypedword", 1);
    let rehearse = Rehearse { paper: mistyped.into_bytes().into(), slots: None };
    let told = running.client.post::<Rehearsed>("/v1/rehearse", &rehearse).unwrap_err();
    assert!(told.to_string().contains("mistypedword"), "whoever typed it is told: {told}");
    secrets.push(("word", b"mistypedword".to_vec()));

    // The search finds what is there: the half of the wrapping key, which an open keyd has in memory.
    match running.remembers(&own_half(&home)) {
        Some(found) => assert!(found, "the search does not find what has to be there"),
        None => eprintln!("skipped: the memory of keyd can be searched by root only"),
    }
    memory_is_kept_from_the_disk(&running);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(running.child.id() as i32), nix::sys::signal::Signal::SIGABRT).unwrap();
    let ended = running.child.wait().unwrap();
    assert_eq!(ended.signal(), Some(6));
    if !cores_are_written() {
        eprintln!("this system writes no cores, so that there is none here shows less than it should");
    }
    assert!(!ended.core_dumped());
    let left = files(&running.place);
    assert!(left.is_empty(), "{left:?}");

    assert!(fs::metadata(&running.log).unwrap().len() > 0);
    for path in files(home.folder.path()) {
        let content = fs::read(&path).unwrap();
        for (name, secret) in &secrets {
            // The half alone opens nothing, and this file is where it lives.
            let allowed = *name == HALF && path == home.file("box.json");
            let found = spellings(secret).iter().any(|spelling| contains(&content, spelling));
            assert_eq!(found, allowed, "{name} in {}", path.display());
        }
    }
}

const HALF: &str = "half";

/// What must be nowhere, by name.
fn secrets(body: &[u8], made: &VaultMade, papers: &[String]) -> Vec<(&'static str, Vec<u8>)> {
    let body = KeyringBody::decode(body).unwrap();
    let kits = papers.iter().map(|paper| keepwell_paper::read(paper).unwrap()).collect::<Vec<_>>();
    let vault_key = keepwell_keys::open_kit(&Slots::decode(made.slots.as_ref()).unwrap(), &kits[0], &kits[1]).unwrap();
    let keys = [&body.blob_id_key, &body.gear_key, &body.page_key, &body.signing_seed, &body.epochs[0].1];
    let mut secrets = vec![("vault key", vault_key.expose().to_vec())];
    secrets.extend(keys.map(|key| ("keyring", key.to_vec())));
    secrets.extend(kits.iter().map(|kit| ("words", kit.share.to_words()[1].join(" ").into_bytes())));
    secrets.extend(papers.iter().map(|paper| ("share", share_bytes(paper))));
    secrets
}

fn memory_is_kept_from_the_disk(running: &Running) {
    assert_eq!(running.process_status("VmSwap"), "0 kB");
    let status: Status = running.client.get("/v1/status").unwrap();
    let warned = status.warnings.iter().any(|warning| warning.code == "memory");
    assert!(warned || running.process_status("VmLck") != "0 kB", "memory is locked, or the status says that it is not");
    let limits = fs::read_to_string(format!("/proc/{}/limits", running.child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).collect::<Vec<_>>(), ["0", "0", "bytes"]);
}

fn own_half(home: &Home) -> Vec<u8> {
    let own: serde_json::Value = serde_json::from_slice(&fs::read(home.file("box.json")).unwrap()).unwrap();
    own["content"]["secret"].as_str().unwrap().parse::<keepwell_keyd::hex::Hex>().unwrap().0
}

#[test]
fn shares_and_keys_are_wiped_when_they_are_done_with() {
    let home = Home::new(None);
    let running = Running::start(&home, None, &[]);
    let _: Status = running.client.post("/v1/unlock", &Unlock { passphrase: b"a long enough passphrase".to_vec().into() }).unwrap();
    let made: VaultMade = running.client.post("/v1/vaults", &new_vault()).unwrap();
    let mut kits = Vec::new();
    for paper in 1..=3 {
        let route = format!("/v1/vaults/{VAULT}/papers/{paper}");
        let request = PrintPaper { format: PaperFormat::Text, keeper: "someone".into(), serial: String::new() };
        let text = String::from_utf8(running.client.post_for_bytes(&route, &request).unwrap().to_vec()).unwrap();
        let share = share_bytes(&text);
        let Some(found) = running.remembers(&share) else { return eprintln!("skipped: the memory of keyd can be searched by root only") };
        assert!(found, "before it is confirmed it has to be there");
        let pdf = PrintPaper { format: PaperFormat::Pdf, ..request.clone() };
        assert!(running.client.post_for_bytes(&route, &pdf).unwrap().starts_with(b"%PDF-"));
        let question: PaperQuestion = running.client.get(&route).unwrap();
        let _: PaperConfirmed = running.client.post(&format!("{route}/confirm"), &confirmation(typed(&text, &question))).unwrap();
        assert!(running.forgets(&share), "confirmed share {paper} is still in memory");
        for row in keepwell_paper::read(&text).unwrap().share.to_words() {
            assert!(running.forgets(row.join(" ").as_bytes()), "words of share {paper} are still in memory");
        }
        kits.push(keepwell_paper::read(&text).unwrap());
    }
    let body = KeyringBody::decode(&running.open(&made).unwrap()).unwrap();
    assert!(running.forgets(&body.signing_seed[..]), "the keyring's keys are still in memory");
    let vault_key = keepwell_keys::open_kit(&Slots::decode(made.slots.as_ref()).unwrap(), &kits[0], &kits[1]).unwrap();
    assert!(running.forgets(vault_key.expose()), "the vault key is still in memory");
    // A paper that a person types in passes through buffers of the HTTP library.
    let paper = keepwell_paper::text(&kits[1], &keepwell_paper::Facts::default());
    let rehearse = Rehearse { paper: paper.as_bytes().to_vec().into(), slots: None };
    let _: Rehearsed = running.client.post("/v1/rehearse", &rehearse).unwrap();
    for spelling in spellings(kits[1].share.to_words()[2].join(" ").as_bytes()) {
        assert!(running.forgets(&spelling), "a paper that was typed in is still in memory");
    }
}

/// The share's 32 bytes, as the format spells them: bits 24 to 279 of the words (`docs/format.md` 5.3).
fn share_bytes(text: &str) -> Vec<u8> {
    let kit = keepwell_paper::read(text).unwrap();
    let list = bip39::Language::English.word_list();
    let rows = kit.share.to_words();
    let bits: Vec<bool> = rows
        .iter()
        .flat_map(|row| &row[..7])
        .flat_map(|word| {
            let index = list.iter().position(|known| known == word).unwrap();
            (0..11).rev().map(move |bit| index >> bit & 1 == 1)
        })
        .collect();
    bits[24..280].chunks(8).map(|byte| byte.iter().fold(0, |value, bit| value << 1 | u8::from(*bit))).collect()
}

#[test]
fn each_route_is_for_its_callers() {
    let Some(mut soft) = SoftTpm::new() else { return };
    soft.boot("our keys", "image 1");
    let home = Home::new(Some(&soft));
    let stranger = (nix::unistd::geteuid().as_raw() + 4711).to_string();
    let refused = |outcome: Result<(), ClientError>| matches!(outcome, Err(ClientError::Refused(refusal)) if refusal.status == 403);

    // We are an admin, and not vaultd.
    let running = Running::start(&home, Some(&soft), &["--vaultd-uid", &stranger]);
    let (made, papers) = running.made();
    assert!(refused(running.open(&made).map(drop)));
    let rehearse = Rehearse { paper: papers[1].as_bytes().to_vec().into(), slots: None };
    assert_eq!(running.client.post::<Rehearsed>("/v1/rehearse", &rehearse).unwrap().paper, 2);
    drop(running);

    // We set up boxes, and don't sit at the screen: the first kit of a vault that is new, and no other.
    let running = Running::start(&home, Some(&soft), &["--screen-uid", &stranger, "--vaultd-uid", &stranger]);
    assert!(running.client.get::<ToStore>(&format!("/v1/vaults/{VAULT}/slots")).is_ok());
    let reissue = Reissue { vault: VAULT.into(), slots: None };
    assert!(refused(running.client.post::<Reissued>("/v1/reissue", &reissue).map(drop)));
    assert!(refused(running.client.post::<Rehearsed>("/v1/rehearse", &rehearse).map(drop)));
    let recover = r#box::home::by_kit(&papers[0], &papers[1]);
    assert!(refused(running.client.post::<UnlockedByKit>("/v1/unlock-by-kit", &recover).map(drop)));
    assert!(running.client.post::<Sealed>("/v1/seal-again", &SealAgain::default()).is_ok());
    drop(running);

    // We are vaultd, and not an admin.
    let running = Running::start(&home, Some(&soft), &["--admin-uid", &stranger, "--screen-uid", &stranger]);
    let status: Status = running.client.get("/v1/status").unwrap();
    assert_eq!(status.phase, Phase::Open);
    assert!(KeyringBody::decode(&running.open(&made).unwrap()).is_ok());
    assert!(refused(running.client.post::<Sealed>("/v1/seal-again", &SealAgain::default()).map(drop)));
    assert!(refused(running.client.post::<Rehearsed>("/v1/rehearse", &rehearse).map(drop)));
    assert!(refused(running.client.post::<VaultMade>("/v1/vaults", &new_vault()).map(drop)));
    assert!(refused(running.client.post_for_bytes("/v1/identity/sign", &serde_json::json!({})).map(drop)));
    drop(running);

    // We are nobody.
    let running = Running::start(&home, Some(&soft), &["--admin-uid", &stranger, "--vaultd-uid", &stranger, "--screen-uid", &stranger]);
    assert!(refused(running.client.get::<Status>("/v1/status").map(drop)));
    assert!(refused(running.open(&made).map(drop)));
}

fn papers_are_refused(running: &Running) {
    let refused = |outcome: Result<(), ClientError>| matches!(outcome, Err(ClientError::Refused(refusal)) if refusal.status == 403 && refusal.code == "not-you");
    for paper in 1..=3 {
        let route = format!("/v1/vaults/{VAULT}/papers/{paper}");
        let request = PrintPaper { format: PaperFormat::Text, keeper: String::new(), serial: String::new() };
        assert!(refused(running.client.post_for_bytes(&route, &request).map(drop)));
        assert!(refused(running.client.get::<PaperQuestion>(&route).map(drop)));
        let words = confirmation(["zoo"; 6].map(str::to_owned));
        assert!(refused(running.client.post::<PaperConfirmed>(&format!("{route}/confirm"), &words).map(drop)));
    }
    assert!(refused(running.client.post::<Reissued>("/v1/reissue", &Reissue { vault: VAULT.into(), slots: None }).map(drop)));
}

/// What is refused as not this caller's.
fn denied<T>(asked: Result<T, ClientError>) -> bool {
    matches!(asked, Err(ClientError::Refused(refusal)) if refusal.status == 403 && refusal.code == "not-you")
}

/// All that a first kit can be asked for.
fn first_kit_is_refused(running: &Running) {
    for paper in 1..=3 {
        let route = format!("/v1/vaults/{VAULT}/first-kit/{paper}");
        let request = PrintPaper { format: PaperFormat::Text, keeper: String::new(), serial: String::new() };
        assert!(denied(running.client.post_for_bytes(&route, &request)));
        assert!(denied(running.client.get::<PaperQuestion>(&route)));
        let words = confirmation(["zoo"; 6].map(str::to_owned));
        assert!(denied(running.client.post::<PaperConfirmed>(&format!("{route}/confirm"), &words)));
    }
    assert!(denied(running.client.post::<Reissued>("/v1/first-kit", &Reissue { vault: VAULT.into(), slots: None })));
}

/// A console in hostile hands gets no paper at any time, and vaultd, which looks at grants, those of the first kit until it is confirmed.
#[test]
fn papers_go_to_vaultd_for_the_first_kit_alone_and_to_no_console() {
    let Some(mut soft) = SoftTpm::new() else { return };
    soft.boot("our keys", "image 1");
    let home = Home::new(Some(&soft));
    let own = nix::unistd::geteuid().as_raw();
    let (own, stranger) = (own.to_string(), (own + 4711).to_string());
    let as_users = |vaultd: &str, screen: &str, console: &str| {
        let users = ["--admin-uid", &stranger, "--vaultd-uid", vaultd, "--screen-uid", screen, "--consoled-uid", console];
        Running::start(&home, Some(&soft), &users)
    };

    // As vaultd: the first vault, with what opens every vault, and no second one.
    let running = as_users(&own, &stranger, &stranger);
    let make = |request: &NewVault| running.client.post::<VaultMade>("/v1/vaults", request);
    let first = NewVault { test: false, ..new_vault() };
    assert!(denied(make(&new_vault())));
    assert!(denied(make(&NewVault { passphrase: Some(b"a long enough passphrase".to_vec().into()), ..first.clone() })));
    let made = make(&first).unwrap();
    assert_eq!(make(&first).unwrap(), made, "who did not get the answer gets it again");
    let other = make(&NewVault { vault: "ff".repeat(16), ..first.clone() });
    assert!(matches!(other, Err(ClientError::Refused(refusal)) if refusal.code == "vault-exists"));
    let kept = running.first_kit(1..=1);
    papers_are_refused(&running);
    assert!(
        denied(running.client.post::<Reissued>("/v1/first-kit", &Reissue { vault: VAULT.into(), slots: None })),
        "they can be printed still"
    );
    drop(running);

    // As the console: how the keys are, and nothing else, while the first kit is not finished.
    let running = as_users(&stranger, &stranger, &own);
    assert!(running.client.get::<Status>("/v1/status").unwrap().vaults[0].papers[0].confirmed_at.is_some());
    assert!(denied(running.client.get::<ToStore>(&format!("/v1/vaults/{VAULT}/slots"))) && denied(running.open(&made)));
    assert!(denied(running.client.post::<VaultMade>("/v1/vaults", &first)));
    papers_are_refused(&running);
    first_kit_is_refused(&running);
    drop(running);

    // As vaultd: its papers went from memory, so the whole kit comes once more. What confirmed the old one confirms nothing now.
    let running = as_users(&own, &stranger, &stranger);
    let new: Reissued = running.client.post("/v1/first-kit", &Reissue { vault: VAULT.into(), slots: None }).unwrap();
    let all = running.first_kit(1..=3);
    assert!(all.len() == 3 && !all.contains(&kept[0]));
    first_kit_is_refused(&running);
    papers_are_refused(&running);
    let slots: ToStore = running.client.get(&format!("/v1/vaults/{VAULT}/slots")).unwrap();
    let stored: ToStore = running.client.post(&format!("/v1/vaults/{VAULT}/stored"), &InPool { slots: slots.slots.unwrap() }).unwrap();
    assert_eq!(stored.slots, None);
    let status: Status = running.client.get("/v1/status").unwrap();
    assert!(status.vaults[0].set == new.set && status.vaults[0].papers.iter().all(|paper| paper.confirmed_at.is_some()));
    drop(running);
    first_kit_is_refused(&as_users(&own, &own, &stranger));
}

#[test]
fn the_builders_tool_makes_what_the_box_takes() {
    use keepwell_keyd::policy::SignedPolicies;
    let folder = tempfile::tempdir().unwrap();
    let tool = |words: &[&str]| {
        let run = Command::new(env!("CARGO_BIN_EXE_keepwell-keyd")).args(words).current_dir(folder.path()).output().unwrap();
        (run.status.success(), run.stdout)
    };
    assert!(tool(&["make-authority", "--out", "authority"]).0);
    assert!(!tool(&["make-authority", "--out", "authority"]).0, "a key is never replaced");
    let key = folder.path().join("authority/authority.key");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(key).unwrap()) & 0o777, 0o600);
    let pcr11 = "07".repeat(32);
    let sign = ["sign-policy", "--key", "authority/authority.key", "--epoch", "4", "--phase", "enter-initrd", "--pcr11", &pcr11];
    let (done, file) = tool(&sign);
    assert!(done);
    assert_eq!(tool(&sign), (true, file.clone()), "an image made twice is the same image");
    let authority = fs::read_to_string(folder.path().join("authority/authority.pub")).unwrap().parse().unwrap();
    let policies = SignedPolicies::parse(&file).unwrap().verify(&authority).unwrap();
    assert_eq!(policies.epoch.0, 4);
    assert!(policies.approving(&pcr11.parse().unwrap()).is_some());
    assert!(!tool(&[&sign[..], &["--phase", "sysinit"]].concat()).0, "a phase without its value");
}

/// What the service manager hears: that it is ready, and then again and again that it goes on; nothing more when it hangs.
#[test]
fn the_service_manager_hears_signs_of_life() {
    use std::os::unix::net::UnixDatagram;
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("notify");
    let manager = UnixDatagram::bind(&told).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let user = nix::unistd::geteuid().as_raw().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_keepwell-keyd"));
    command.args(["serve", "--without-tpm", "--vaultd-uid", &user, "--admin-uid", &user]).arg("--state").arg(folder.path().join("state"));
    command.arg("--socket").arg(folder.path().join("keyd.sock")).env("NOTIFY_SOCKET", &told).env("WATCHDOG_USEC", "400000");
    command.env_remove("LISTEN_FDS").env_remove("WATCHDOG_PID").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let hear = || {
        let mut said = [0; 200];
        manager.recv(&mut said).map(|length| String::from_utf8_lossy(&said[..length]).trim().to_owned())
    };
    assert_eq!(hear().unwrap(), "READY=1");
    for _ in 0..5 {
        assert_eq!(hear().unwrap(), "WATCHDOG=1");
    }
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    manager.set_nonblocking(true).unwrap();
    while hear().is_ok() {}
    manager.set_nonblocking(false).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    // One that was on its way when it was stopped.
    let late = (0..2).filter(|_| hear().is_ok()).count();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(late < 2, "signs of life of a program that is stopped");
}

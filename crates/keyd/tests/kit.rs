//! The kit's life where something goes wrong between keyd and the pool: an answer is lost, changes cross, slots are forged.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

mod r#box;

use r#box::SoftTpm;
use r#box::home::{Home, VAULT, by_kit, make_vault, page, print_and_confirm, reissued, store, stored, typed};
use keepwell_api::Base64;
use keepwell_api::keys::{NewVault, Phase, Rehearse, SealAgain, UnlockByKit, VaultMade};
use keepwell_crypt::{KitFile, KitSeed, split};
use keepwell_format::keys::{SlotKind, Slots};
use keepwell_keyd::error::KeydError;
use keepwell_keyd::keeper::Keeper;
use keepwell_keys::NewKit;

const OTHER: &str = "ffeeddccbbaa99887766554433221100";

struct Clinic {
    soft: SoftTpm,
    home: Home,
    made: VaultMade,
    papers: [String; 3],
}

fn clinic() -> Option<Clinic> {
    let mut soft = SoftTpm::new()?;
    soft.boot("our keys", "image 1");
    let home = Home::new(Some(&soft));
    let (made, papers) = make_vault(&mut home.start());
    Some(Clinic { soft, home, made, papers })
}

impl Clinic {
    fn with_slots(&self, first: usize, second: usize, slots: &Base64) -> UnlockByKit {
        UnlockByKit { slots: Some(slots.clone()), ..by_kit(&self.papers[first], &self.papers[second]) }
    }
}

fn opens(keeper: &mut Keeper, made: &VaultMade, slots: &Base64) -> bool {
    keeper.open(VAULT, slots.as_ref(), made.keyring.as_ref()).is_ok()
}

fn rehearse(paper: &str, slots: Option<&Base64>) -> Rehearse {
    Rehearse { paper: paper.as_bytes().to_vec().into(), slots: slots.cloned() }
}

fn new_kit(keeper: &mut Keeper) -> [String; 3] {
    keeper.reissue(&reissued()).unwrap();
    [1, 2, 3].map(|paper| print_and_confirm(keeper, paper).unwrap())
}

fn decoded(slots: &Base64) -> Slots {
    Slots::decode(slots.as_ref()).unwrap()
}

fn warned(keeper: &Keeper, code: &str) -> bool {
    keeper.status().warnings.iter().any(|warning| warning.code == code)
}

/// Review 1: nobody got the answer to the last confirmation. The old papers stay valid until the pool has the new slots, which can be had again.
#[test]
fn a_lost_answer_loses_no_kit() {
    let Some(mut c) = clinic() else { return };
    let mut keeper = c.home.start();
    let new = new_kit(&mut keeper);
    drop(keeper);

    let mut keeper = c.home.start();
    let told = keeper.status().vaults[0].clone();
    assert_eq!((told.set, told.invalid_sets.len(), told.to_store), (c.made.set, 0, true));
    assert!(warned(&keeper, "slots-to-store"));
    keeper.rehearse(&rehearse(&c.papers[0], Some(&c.made.slots))).expect("the pool still has the old kit");
    keeper.rehearse(&rehearse(&new[1], None)).expect("what is printed of the new one is right");
    assert!(matches!(keeper.reissue(&reissued()), Err(KeydError::NotStored { .. })));

    let again = keeper.slots(VAULT).unwrap().slots.unwrap();
    assert_eq!(stored(&mut keeper, &c.made.slots), Some(again.clone()));
    assert_eq!(stored(&mut keeper, &again), None);
    let told = keeper.status().vaults[0].clone();
    assert_eq!((told.invalid_sets, told.to_store), (vec![c.made.set], false));
    assert!(told.papers.iter().all(|paper| paper.confirmed_at.is_some()));
    assert!(keeper.rehearse(&rehearse(&c.papers[0], Some(&again))).is_err());
    keeper.rehearse(&rehearse(&new[0], Some(&again))).unwrap();
    c.made.slots = again;
    assert!(keeper.status().warnings.is_empty(), "{:?}", keeper.status().warnings);
    keeper.reissue(&reissued()).unwrap();
}

/// Review 1: who asks the same again gets the same again.
#[test]
fn a_confirmation_can_be_repeated() {
    use keepwell_api::keys::{PaperFormat, PrintPaper};
    let Some(c) = clinic() else { return };
    let mut keeper = c.home.start();
    keeper.reissue(&reissued()).unwrap();
    for paper in 1..=3 {
        let request = PrintPaper { format: PaperFormat::Text, keeper: String::new(), serial: String::new() };
        let text = String::from_utf8(keeper.print(VAULT, paper, &request).unwrap().to_vec()).unwrap();
        let words = typed(&text, &keeper.question(VAULT, paper).unwrap());
        let words = words.each_ref().map(String::as_str);
        let first = keeper.confirm(VAULT, paper, &words).unwrap();
        assert_eq!(keeper.confirm(VAULT, paper, &words).unwrap(), first);
        assert_eq!(first.slots.is_some(), paper == 3);
        assert!(keeper.confirm(VAULT, paper, &["zoo"; 6]).is_err());
    }
}

/// Review 1: vaultd opens with the new slots, so the pool has them.
#[test]
fn opening_with_the_new_slots_shows_that_the_pool_has_them() {
    let Some(c) = clinic() else { return };
    let mut keeper = c.home.start();
    new_kit(&mut keeper);
    assert!(opens(&mut keeper, &c.made, &c.made.slots));
    assert_eq!(keeper.status().vaults[0].set, c.made.set);
    let new = keeper.slots(VAULT).unwrap().slots.unwrap();
    assert!(opens(&mut keeper, &c.made, &new));
    assert_eq!(keeper.status().vaults[0].invalid_sets, [c.made.set]);
}

/// Review 2: revoked papers and an old copy of the pool do not turn the status around.
#[test]
fn revoked_papers_with_old_slots_change_nothing() {
    let Some(mut c) = clinic() else { return };
    let mut keeper = c.home.start();
    let new = new_kit(&mut keeper);
    let mut pool = c.made.slots.clone();
    store(&mut keeper, &mut pool);
    drop(keeper);
    c.soft.boot("other keys", "image 1");
    let mut keeper = c.home.start();
    let before = keeper.status().vaults;
    let refused = keeper.unlock_by_kit(&c.with_slots(0, 1, &c.made.slots)).expect_err("revoked").to_string();
    assert!(refused.contains(&c.made.set.to_string()), "{refused}");
    assert_eq!((keeper.status().phase, keeper.status().vaults), (Phase::Locked, before));
    // Papers that are valid open with an old copy of the pool too: the copy here counts.
    let done = keeper.unlock_by_kit(&UnlockByKit { slots: Some(c.made.slots.clone()), ..by_kit(&new[0], &new[1]) }).unwrap();
    assert!(decoded(&done.slots).revision > decoded(&pool).revision);
    let told = &keeper.status().vaults[0];
    assert!(!told.invalid_sets.contains(&told.set) && told.invalid_sets == [c.made.set]);
}

fn other_vault(keeper: &mut Keeper) -> VaultMade {
    keeper.new_vault(&NewVault { vault: OTHER.into(), test: true, owner: "another".into(), passphrase: None }).unwrap()
}

/// Review 3: the box is opened with papers of one vault; another one, whose kit is on no paper yet, opens again when Secure Boot is put back.
#[test]
fn recovering_one_vault_leaves_what_opens_another() {
    let Some(mut c) = clinic() else { return };
    let mut keeper = c.home.start();
    let other = other_vault(&mut keeper);
    drop(keeper);
    let opens_other = |keeper: &mut Keeper| keeper.open(OTHER, other.slots.as_ref(), other.keyring.as_ref()).is_ok();

    c.soft.boot("other keys", "image 1");
    let mut keeper = c.home.start();
    let recovered = keeper.unlock_by_kit(&by_kit(&c.papers[0], &c.papers[1])).unwrap();
    assert_eq!(recovered.not_sealed, None);
    assert!(!opens_other(&mut keeper) && warned(&keeper, "vault-closed"));
    let open = |keeper: &Keeper| keeper.status().vaults.iter().map(|vault| (vault.vault.clone(), vault.open)).collect::<Vec<_>>();
    assert_eq!(open(&keeper), [(VAULT.to_owned(), true), (OTHER.to_owned(), false)]);
    keeper.seal_again(&SealAgain::default()).unwrap();
    drop(keeper);
    assert!(opens(&mut c.home.start(), &c.made, &recovered.slots));

    c.soft.boot("our keys", "image 1");
    let mut keeper = c.home.start();
    assert!(opens_other(&mut keeper), "{:?}", keeper.status());
    // Both again, with papers of the first; then nothing hangs on the earlier secret any more.
    keeper.unlock_by_kit(&by_kit(&c.papers[0], &c.papers[1])).unwrap();
    assert!(open(&keeper).iter().all(|(_, open)| *open));
    keeper.seal_again(&SealAgain::default()).unwrap();
    drop(keeper);
    let mut keeper = c.home.start();
    assert!(opens_other(&mut keeper) && open(&keeper).iter().all(|(_, open)| *open));
    assert!(!std::fs::read_to_string(c.home.file("sealed.json")).unwrap().contains("former"));
}

/// Review 3: the same where a passphrase stands in: what is replaced is kept.
#[test]
fn a_new_passphrase_leaves_the_old_one_beside_it() {
    let home = Home::new(None);
    let mut keeper = home.start();
    keeper.unlock(b"a long enough passphrase").unwrap();
    let (_, papers) = make_vault(&mut keeper);
    let other = other_vault(&mut keeper);
    drop(keeper);
    let mut keeper = home.start();
    let passphrase = Some(b"another long passphrase".to_vec().into());
    keeper.unlock_by_kit(&UnlockByKit { passphrase, ..by_kit(&papers[0], &papers[1]) }).unwrap();
    assert!(keeper.open(OTHER, other.slots.as_ref(), other.keyring.as_ref()).is_err());
    drop(keeper);
    std::fs::rename(home.file("stand-in.json.before-1"), home.file("stand-in.json")).unwrap();
    let mut keeper = home.start();
    keeper.unlock(b"a long enough passphrase").unwrap();
    assert!(keeper.open(OTHER, other.slots.as_ref(), other.keyring.as_ref()).is_ok());
}

/// Review 4: one start under another TPM costs the box nothing of its identity; that TPM's return brings it back.
#[test]
fn an_identity_is_replaced_by_papers_alone_and_comes_back() {
    let Some(mut c) = clinic() else { return };
    let key = c.home.start().identity().unwrap();
    let blob = std::fs::read(c.home.file("identity.json")).unwrap();
    let mut other = SoftTpm::new().unwrap();
    other.boot("our keys", "image 1");
    c.home.connect(Some(&other));
    let mut keeper = c.home.start();
    assert_eq!(keeper.identity().unwrap(), key);
    assert!(warned(&keeper, "identity-lost"));
    assert_eq!(std::fs::read(c.home.file("identity.json")).unwrap(), blob);
    keeper.unlock_by_kit(&by_kit(&c.papers[0], &c.papers[1])).unwrap();
    let new = keeper.identity().unwrap();
    assert_eq!(new.former, std::slice::from_ref(&key.public_key));
    assert!(!warned(&keeper, "identity-lost"));
    drop(keeper);

    c.home.connect(Some(&c.soft));
    let mut keeper = c.home.start();
    keeper.unlock_by_kit(&by_kit(&c.papers[0], &c.papers[1])).unwrap();
    let back = keeper.identity().unwrap();
    assert_eq!((back.public_key, back.former), (key.public_key, vec![new.public_key]));
}

/// Review 5a: the copy here gets ahead of the pool by sealing again; re-issue and rehearsal go on.
#[test]
fn changes_that_never_reached_the_pool_are_in_nobodys_way() {
    let Some(mut c) = clinic() else { return };
    c.soft.off();
    let mut keeper = c.home.start();
    keeper.unlock_by_kit(&by_kit(&c.papers[0], &c.papers[1])).unwrap();
    // Review 5b: what is made now would open nothing at the next start.
    assert!(matches!(keeper.reissue(&reissued()), Err(KeydError::NotSealed(_))));
    let other = NewVault { vault: OTHER.into(), test: true, owner: String::new(), passphrase: None };
    assert!(matches!(keeper.new_vault(&other), Err(KeydError::NotSealed(_))));
    c.soft.boot("our keys", "image 1");
    keeper.seal_again(&SealAgain::default()).unwrap();
    keeper.rehearse(&rehearse(&c.papers[2], Some(&c.made.slots))).unwrap();
    let mut request = reissued();
    request.slots = Some(c.made.slots.clone());
    keeper.reissue(&request).unwrap();
    // Review 5c: whatever happens to the slots before the last paper is confirmed stays in.
    keeper.seal_again(&SealAgain::default()).unwrap();
    (1..=3).for_each(|paper| drop(print_and_confirm(&mut keeper, paper).unwrap()));
    let mut pool = c.made.slots.clone();
    store(&mut keeper, &mut pool);
    drop(keeper);
    assert!(opens(&mut c.home.start(), &c.made, &pool));
    assert!(decoded(&pool).kit.set != c.made.set);
}

/// Review 5e: one file that can't be written loses no other vault's slot.
#[test]
fn a_failed_write_loses_no_slot_of_another_vault() {
    use keepwell_keyd::state::{Crash, Folder};
    let Some(mut c) = clinic() else { return };
    let other = other_vault(&mut c.home.start());
    c.soft.off();
    for steps in 0..40 {
        let folder = Folder::open(&c.home.state()).unwrap().failing(Crash::after(steps));
        let mut keeper = Keeper::start(folder, c.home.config()).unwrap();
        let recovered = keeper.unlock_by_kit(&by_kit(&c.papers[0], &c.papers[1])).is_ok();
        c.soft.boot("our keys", "image 1");
        let sealed = recovered && keeper.seal_again(&SealAgain::default()).is_ok();
        drop(keeper);
        let mut keeper = c.home.start();
        assert!(opens(&mut keeper, &c.made, &c.made.slots), "after {steps} steps");
        if !sealed {
            assert!(keeper.open(OTHER, other.slots.as_ref(), other.keyring.as_ref()).is_ok() || warned(&keeper, "vault-closed"));
        }
        drop(keeper);
        if sealed {
            return;
        }
        c.soft.off();
    }
    panic!("it never got through");
}

/// Review 5d: two objects of one revision, one of another box. What is made here is above both.
#[test]
fn what_another_box_put_in_stays_in_and_is_passed() {
    let Some(c) = clinic() else { return };
    let mut soft = SoftTpm::new().unwrap();
    soft.boot("keys", "image 1");
    let second = Home::new(Some(&soft));
    let theirs = second.start().unlock_by_kit(&c.with_slots(0, 1, &c.made.slots)).unwrap().slots;
    let mut keeper = c.home.start();
    let ours = new_kit_slots(&mut keeper);
    assert_eq!(decoded(&ours).revision, decoded(&theirs).revision, "they cross");
    let merged = stored(&mut keeper, &theirs).expect("ours on top of theirs");
    assert!(decoded(&merged).revision > decoded(&theirs).revision);
    assert_eq!(stored(&mut keeper, &merged), None);
    assert_eq!(keeper.status().vaults[0].invalid_sets, [c.made.set]);
    assert!(opens(&mut keeper, &c.made, &merged) && opens(&mut second.start(), &c.made, &merged));
}

fn new_kit_slots(keeper: &mut Keeper) -> Base64 {
    new_kit(keeper);
    keeper.slots(VAULT).unwrap().slots.unwrap()
}

/// Review 6: no number is given to two kits, whatever was printed of the first.
#[test]
fn no_two_kits_have_one_number() {
    let Some(c) = clinic() else { return };
    let mut sets = vec![c.made.set];
    for _ in 0..3 {
        let mut keeper = c.home.start();
        sets.push(keeper.reissue(&reissued()).unwrap().set);
        print_and_confirm(&mut keeper, 1).unwrap();
    }
    sets.sort_unstable();
    sets.dedup();
    assert_eq!(sets.len(), 4);
}

/// Review 9: a slot that was wrapped for the kit by somebody else.
#[test]
fn forged_slots_are_not_blessed() {
    let Some(mut c) = clinic() else { return };
    let body = c.home.start().open(VAULT, c.made.slots.as_ref(), c.made.keyring.as_ref()).unwrap().to_vec();
    let mut forged = decoded(&c.made.slots);
    let key = keepwell_crypt::Secret::from_bytes([0x66; 32]);
    let payload = keepwell_format::keys::KitPayload { vault: forged.vault, epoch: forged.epoch, vault_key: (*key.expose()).into() };
    let sealed = keepwell_crypt::wrap_for_recipient(&forged.kit.recipient, &payload.encode()).unwrap();
    forged.slots.iter_mut().find(|slot| slot.kind == SlotKind::Kit).unwrap().payload = sealed;
    forged.revision += 1;
    let forged: Base64 = forged.encode().into();

    c.soft.boot("other keys", "image 1");
    let mut keeper = c.home.start();
    assert!(matches!(keeper.unlock_by_kit(&c.with_slots(0, 1, &forged)), Err(KeydError::ForeignSlot)));
    assert_eq!(keeper.status().phase, Phase::Locked);
    keeper.unlock_by_kit(&by_kit(&c.papers[0], &c.papers[1])).unwrap();
    assert_eq!(keeper.open(VAULT, c.made.slots.as_ref(), c.made.keyring.as_ref()).unwrap().to_vec(), body);
    assert!(keeper.in_pool(VAULT, &keepwell_api::keys::InPool { slots: forged.clone() }).is_err());

    // A box that does not know the vault: the keyring says that the key is not its own.
    let blank = Home::new(None);
    let mut keeper = blank.start();
    let request = |slots: &Base64| UnlockByKit { keyring: Some(c.made.keyring.clone()), ..c.with_slots(0, 1, slots) };
    assert!(matches!(keeper.unlock_by_kit(&request(&forged)), Err(KeydError::Keys(_))));
    assert!(keeper.status().vaults.is_empty());
    keeper.unlock_by_kit(&request(&c.made.slots)).unwrap();
}

/// Review 10: a number or commitment that was changed in the pool is found by the papers it concerns, and not by luck.
#[test]
fn a_rehearsal_finds_what_was_changed_for_another_paper() {
    let Some(c) = clinic() else { return };
    let mut keeper = c.home.start();
    let mut slots = decoded(&c.made.slots);
    slots.kit.commitments[2][0] ^= 1;
    let slots: Base64 = slots.encode().into();
    assert!(matches!(keeper.rehearse(&rehearse(&c.papers[0], Some(&slots))), Err(KeydError::ForeignSlot)));
    keeper.rehearse(&rehearse(&c.papers[2], Some(&slots))).expect_err("its commitment is gone");
    let failed = |keeper: &Keeper| keeper.status().vaults[0].papers.each_ref().map(|paper| paper.failed_at.is_some());
    assert_eq!(failed(&keeper), [true, false, true]);
    keeper.rehearse(&rehearse(&c.papers[0], Some(&c.made.slots))).unwrap();
    assert_eq!(failed(&keeper), [false, false, true]);
}

/// Review 11: bytes that nobody can read, and the highest revision there is.
#[test]
fn foreign_bytes_do_not_lock_the_box() {
    let Some(mut c) = clinic() else { return };
    let mut slots = decoded(&c.made.slots);
    slots.slots.insert(0, keepwell_format::keys::Slot { kind: SlotKind::Tpm, payload: vec![1, 2, 3] });
    assert!(opens(&mut c.home.start(), &c.made, &slots.encode().into()));
    let sealed = std::fs::read(c.home.file("sealed.json")).unwrap();
    slots.revision = u32::MAX;
    c.soft.boot("other keys", "image 1");
    let mut keeper = c.home.start();
    let refused = keeper.unlock_by_kit(&c.with_slots(0, 1, &slots.encode().into())).expect_err("nothing is above it");
    assert_eq!(refused.code().0, "slots-worn");
    assert_eq!(std::fs::read(c.home.file("sealed.json")).unwrap(), sealed);
    assert!(NewKit::of(&slots).is_some());
}

/// A browser that sends the form of a paper once more does not confirm a paper of the next kit.
#[test]
fn what_confirmed_a_paper_confirms_none_of_a_new_kit() {
    let home = Home::new(None);
    let mut keeper = home.start();
    keeper.unlock(b"a long enough passphrase").unwrap();
    keeper.new_vault(&r#box::home::new_vault()).unwrap();
    let text = page(&mut keeper, 1).unwrap();
    let words = typed(&text, &keeper.question(VAULT, 1).unwrap());
    let words = words.each_ref().map(String::as_str);
    keeper.confirm(VAULT, 1, &words).unwrap();
    assert_eq!(keeper.confirm(VAULT, 1, &words).unwrap().left, [2, 3], "who did not get the answer gets it again");
    keeper.reissue(&reissued()).unwrap();
    assert!(matches!(keeper.confirm(VAULT, 1, &words), Err(KeydError::NotPrinted(1))));
}

/// Row checks and set are no secret: a paper that somebody made up says nothing of the real one.
#[test]
fn a_made_up_paper_marks_none_as_failed() {
    let Some(Clinic { home, papers, made, soft: _soft }) = clinic() else { return };
    let mut keeper = home.start();
    let real = keepwell_paper::read(&papers[0]).unwrap();
    let share = split(&KitSeed::from_bytes([7; 32]), real.set, &mut |out| out.fill(9)).into_iter().next().unwrap();
    let made_up = KitFile { vault: real.vault, set: real.set, share };
    let text = keepwell_paper::text(&made_up, &keepwell_paper::Facts::default());
    for slots in [None, Some(&made.slots)] {
        assert_eq!(keeper.rehearse(&rehearse(&text, slots)).expect_err("it is of no kit").code().0, "wrong-key");
        assert!(keeper.status().vaults[0].papers.iter().all(|paper| paper.failed_at.is_none()));
    }
    keeper.rehearse(&rehearse(&papers[0], None)).unwrap();
}

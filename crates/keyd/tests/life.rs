//! A box's keys from the first vault to a fire, on a TPM in software: what the TPM refuses, the kit opens.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

mod r#box;

use r#box::home::{Home, VAULT, by_kit, make_vault, new_vault, page, print_and_confirm, reissued, store, typed};
use r#box::{SoftTpm, pcr_of};
use keepwell_api::keys::{PaperFormat, Phase, PrintPaper, Rehearse, SealAgain, VaultMade};
use keepwell_keyd::error::KeydError;
use keepwell_keyd::keeper::Keeper;

struct Started {
    soft: SoftTpm,
    home: Home,
    made: VaultMade,
    papers: [String; 3],
    body: Vec<u8>,
}

/// A box with a vault, switched on with image 1.
fn started() -> Option<Started> {
    let mut soft = SoftTpm::new()?;
    soft.boot("our keys", "image 1");
    let home = Home::new(Some(&soft));
    let mut keeper = home.start();
    assert_eq!(keeper.status().phase, Phase::New);
    let (made, papers) = make_vault(&mut keeper);
    let body = open(&mut keeper, &made).unwrap();
    assert!(keeper.status().warnings.is_empty(), "{:?}", keeper.status().warnings);
    Some(Started { soft, home, made, papers, body })
}

fn open(keeper: &mut Keeper, made: &VaultMade) -> Result<Vec<u8>, KeydError> {
    keeper.open(VAULT, made.slots.as_ref(), made.keyring.as_ref()).map(|body| body.to_vec())
}

impl Started {
    /// keyd is started anew and finds its vault open.
    #[track_caller]
    fn opens(&self) -> Keeper {
        let mut keeper = self.home.start();
        assert_eq!(keeper.status().phase, Phase::Open, "{:?}", keeper.status().locked);
        assert_eq!(open(&mut keeper, &self.made).unwrap(), self.body);
        keeper
    }

    /// keyd is started anew, is locked with this word, gives no key, and opens with two papers; after that it opens by itself.
    #[track_caller]
    fn locked_until_the_kit(&mut self, code: &str) {
        let mut keeper = self.home.start();
        let status = keeper.status();
        assert_eq!((status.phase, status.locked.unwrap().code.as_str()), (Phase::Locked, code));
        assert!(matches!(open(&mut keeper, &self.made), Err(KeydError::Locked(_))));
        let recovered = keeper.unlock_by_kit(&by_kit(&self.papers[2], &self.papers[0])).unwrap();
        assert_eq!(recovered.not_sealed, None);
        self.made.slots = recovered.slots;
        assert_eq!(open(&mut keeper, &self.made).unwrap(), self.body);
        assert!(keeper.identity().is_ok());
        drop(keeper);
        self.opens();
    }
}

#[test]
fn opens_by_itself_after_a_restart_and_with_a_newly_signed_image() {
    let Some(mut box_) = started() else { return };
    box_.soft.boot("our keys", "image 1");
    box_.opens();
    let sealed = std::fs::read(box_.home.file("sealed.json")).unwrap();
    box_.soft.boot("our keys", "image 2");
    box_.home.install(&[box_.home.builder.file(2, &["image 2"])]);
    box_.opens();
    assert_eq!(std::fs::read(box_.home.file("sealed.json")).unwrap(), sealed, "nothing was sealed again");
}

#[test]
fn a_wrong_secure_boot_state_is_for_the_kit() {
    let Some(mut box_) = started() else { return };
    box_.soft.boot("other keys", "image 1");
    box_.locked_until_the_kit("wrong-pcr-7");
}

#[test]
fn another_tpm_is_for_the_kit() {
    let Some(mut box_) = started() else { return };
    let key = box_.home.start().identity().unwrap().public_key;
    let mut other = SoftTpm::new().unwrap();
    other.boot("our keys", "image 1");
    box_.home.connect(Some(&other));
    box_.locked_until_the_kit("other-tpm");
    let identity = box_.home.start().identity().unwrap();
    assert_ne!(identity.public_key, key, "the old key is in the old TPM");
    assert_eq!(identity.former, [key]);
}

#[test]
fn a_cleared_tpm_is_for_the_kit() {
    let Some(mut box_) = started() else { return };
    box_.soft.clear();
    box_.soft.boot("our keys", "image 1");
    box_.locked_until_the_kit("tpm-cleared");
}

#[test]
fn a_tampered_state_is_for_the_kit() {
    let Some(mut box_) = started() else { return };
    for (name, code) in [("sealed.json", "state-damaged"), ("box.json", "state-damaged")] {
        let path = box_.home.file(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        box_.locked_until_the_kit(code);
        assert!(box_.home.file(&format!("{name}.damaged")).exists());

        std::fs::remove_file(&path).unwrap();
        box_.locked_until_the_kit(code);
    }
}

#[test]
fn a_state_of_another_box_opens_nothing() {
    let Some(box_) = started() else { return };
    // The same TPM, another half: as if the state partition had been swapped for one of the thief's.
    let thief = Home::new(Some(&box_.soft));
    drop(thief.start());
    std::fs::copy(thief.file("box.json"), box_.home.file("box.json")).unwrap();
    let mut keeper = box_.home.start();
    assert_eq!(keeper.status().phase, Phase::Open, "the TPM's half alone");
    assert!(matches!(open(&mut keeper, &box_.made), Err(KeydError::Keys(_))));
}

#[test]
fn an_unapproved_image_opens_with_the_kit_until_it_is_switched_off() {
    let Some(mut box_) = started() else { return };
    box_.soft.boot("our keys", "image nobody signed");
    let mut keeper = box_.home.start();
    assert_eq!(keeper.status().locked.unwrap().code, "wrong-pcr-11");
    let recovered = keeper.unlock_by_kit(&by_kit(&box_.papers[0], &box_.papers[1])).unwrap();
    assert_eq!(recovered.not_sealed.unwrap().code, "wrong-pcr-11");
    assert_eq!(recovered.slots, box_.made.slots, "what the pool has stays good");
    assert_eq!(open(&mut keeper, &box_.made).unwrap(), box_.body);
    assert!(keeper.status().warnings.iter().any(|warning| warning.code == "not-sealed"));
    drop(keeper);
    assert_eq!(box_.home.start().status().phase, Phase::Locked);
    box_.soft.boot("our keys", "image 1");
    box_.opens();
}

#[test]
fn a_box_without_its_tpm_opens_with_the_kit_until_it_is_switched_off() {
    let Some(mut box_) = started() else { return };
    box_.soft.off();
    let mut keeper = box_.home.start();
    assert_eq!(keeper.status().locked.unwrap().code, "no-tpm");
    let recovered = keeper.unlock_by_kit(&by_kit(&box_.papers[0], &box_.papers[1])).unwrap();
    assert_eq!(recovered.not_sealed.unwrap().code, "no-tpm");
    assert_eq!(open(&mut keeper, &box_.made).unwrap(), box_.body);
}

#[test]
fn what_the_kit_opened_without_the_tpm_is_sealed_when_it_is_back() {
    let Some(mut box_) = started() else { return };
    box_.soft.clear();
    box_.soft.off();
    let mut keeper = box_.home.start();
    keeper.unlock_by_kit(&by_kit(&box_.papers[0], &box_.papers[1])).unwrap();
    box_.soft.boot("our keys", "image 1");
    keeper.seal_again(&SealAgain::default()).expect_err("it is not the TPM that it was sealed by");
    let recovered = keeper.unlock_by_kit(&by_kit(&box_.papers[0], &box_.papers[1])).unwrap();
    assert_eq!(recovered.not_sealed, None);
    box_.made.slots = recovered.slots;
    store(&mut keeper, &mut box_.made.slots);
    assert!(keeper.status().warnings.is_empty(), "{:?}", keeper.status().warnings);
    drop(keeper);
    box_.opens();

    box_.soft.off();
    let mut keeper = box_.home.start();
    keeper.unlock_by_kit(&by_kit(&box_.papers[0], &box_.papers[1])).unwrap();
    box_.soft.boot("our keys", "image 1");
    keeper.seal_again(&SealAgain::default()).unwrap();
    assert_eq!(keeper.status().warnings.iter().map(|warning| &warning.code[..]).collect::<Vec<_>>(), ["slots-to-store"]);
    drop(keeper);
    // The pool was told nothing: the copy of the slots counts.
    box_.opens();
}

#[test]
fn policies_that_are_not_the_makers_are_named() {
    let Some(mut box_) = started() else { return };
    let good = box_.home.builder.file(2, &["image 1"]);
    box_.home.install(&[r#box::Builder::new().file(2, &["image 1"])]);
    assert_eq!(box_.home.start().status().locked.unwrap().code, "unknown-authority");
    let mut forged = serde_json::to_value(&good).unwrap();
    forged["epoch"] = 3.into();
    box_.home.install(&[serde_json::from_value(forged).unwrap()]);
    assert_eq!(box_.home.start().status().locked.unwrap().code, "bad-signature");
    box_.home.install(&[box_.home.builder.file(1, &["image 1"])]);
    assert_eq!(box_.home.start().status().locked.unwrap().code, "old-epoch");
    // One that is not the maker's takes nothing from the other, in files or in what an image brings.
    let stranger = r#box::Builder::new().file(2, &["image 1"]);
    box_.home.install_as_image(std::slice::from_ref(&stranger));
    assert_eq!(box_.home.start().status().locked.unwrap().code, "unknown-authority");
    box_.home.install_as_image(&[stranger, good.clone()]);
    box_.opens();
    box_.home.install(&[good]);
    box_.opens();
}

#[test]
fn sealing_again_follows_secure_boot_and_epochs() {
    let Some(mut box_) = started() else { return };
    let mut keeper = box_.opens();
    let planned = pcr_of("our new keys").to_string();
    let sealed = keeper.seal_again(&SealAgain { pcr7: Some(planned.clone()), epoch: None }).unwrap();
    assert_eq!(sealed.pcr7, [pcr_of("our keys").to_string(), planned.clone()]);
    drop(keeper);
    box_.opens();
    box_.soft.boot("our new keys", "image 1");
    let mut keeper = box_.opens();
    assert_eq!(keeper.seal_again(&SealAgain::default()).unwrap().pcr7, [planned]);
    drop(keeper);
    box_.opens();
    box_.soft.boot("our keys", "image 1");
    assert_eq!(box_.home.start().status().locked.unwrap().code, "wrong-pcr-7");

    box_.soft.boot("our new keys", "image 1");
    box_.home.install(&[box_.home.builder.file(2, &["image 1"]), box_.home.builder.file(3, &["image 1"])]);
    let mut keeper = box_.opens();
    assert_eq!(keeper.seal_again(&SealAgain { pcr7: None, epoch: Some(3) }).unwrap().epoch, 3);
    assert!(matches!(keeper.seal_again(&SealAgain { pcr7: None, epoch: Some(2) }), Err(KeydError::Downgrade(3))));
    drop(keeper);
    box_.home.install(&[box_.home.builder.file(2, &["image 1"])]);
    assert_eq!(box_.home.start().status().locked.unwrap().code, "old-epoch");
}

#[test]
fn no_vault_is_made_on_a_box_that_can_not_seal() {
    let Some(mut soft) = SoftTpm::new() else { return };
    soft.boot("our keys", "image nobody signed");
    let home = Home::new(Some(&soft));
    let refused = home.start().new_vault(&new_vault()).expect_err("its keys would be gone at the next start");
    assert_eq!(refused.code().0, "wrong-pcr-11");
    assert!(!home.file("sealed.json").exists());
    soft.off();
    assert!(home.start().new_vault(&new_vault()).is_err());
}

/// Approved are early phases only, so that nothing opens when the start has gone on. What is sealed then opens at the next start.
#[test]
fn a_vault_is_made_when_the_start_has_gone_on() {
    let Some(mut soft) = SoftTpm::new() else { return };
    soft.boot("our keys", "image 1");
    let home = Home::new(Some(&soft));
    let mut keeper = home.start();
    soft.measure(11, "ready");
    let (made, papers) = make_vault(&mut keeper);
    let body = open(&mut keeper, &made).unwrap();
    keeper.seal_again(&SealAgain::default()).unwrap();
    drop(keeper);
    assert_eq!(home.start().status().locked.unwrap().code, "wrong-pcr-11");
    soft.boot("our keys", "image 1");
    Started { soft, home, made, papers, body }.opens();
}

#[test]
fn papers_come_one_at_a_time_and_are_typed_back() {
    let Some(mut soft) = SoftTpm::new() else { return };
    soft.boot("our keys", "image 1");
    let home = Home::new(Some(&soft));
    let mut keeper = home.start();
    let mut made = keeper.new_vault(&new_vault()).unwrap();
    assert_eq!(keeper.new_vault(&new_vault()).unwrap(), made, "who did not get the answer gets it again");
    keeper.open(VAULT, made.slots.as_ref(), made.keyring.as_ref()).unwrap();
    assert!(matches!(keeper.new_vault(&new_vault()), Err(KeydError::VaultExists(_))), "a pool has it");
    assert!(matches!(page(&mut keeper, 2), Err(KeydError::OutOfTurn(1))));
    assert!(matches!(keeper.question(VAULT, 1), Err(KeydError::NotPrinted(1))));
    assert!(matches!(page(&mut keeper, 0), Err(KeydError::NoPaper { .. })));
    let broken = PrintPaper { format: PaperFormat::Text, keeper: "somebody\nset: 7".into(), serial: String::new() };
    assert!(matches!(keeper.print(VAULT, 1, &broken), Err(KeydError::Malformed(_))));
    let text = page(&mut keeper, 1).unwrap();
    assert!(text.contains("Dr. Example") && text.contains("2026-11-22") && text.contains("keeper 1"), "{text}");
    let pdf = PrintPaper { format: PaperFormat::Pdf, keeper: "keeper 1".into(), serial: "KW-1".into() };
    assert!(keeper.print(VAULT, 1, &pdf).unwrap().starts_with(b"%PDF-"));

    let mut words = typed(&text, &keeper.question(VAULT, 1).unwrap());
    let place = keeper.question(VAULT, 1).unwrap().places[3];
    words[3] = "zoo".into();
    match keeper.confirm(VAULT, 1, &words.each_ref().map(String::as_str)) {
        Err(KeydError::WrongWord { paper: 1, row, word }) => assert_eq!((row, word), (place.row, place.word)),
        other => panic!("{other:?}"),
    }
    print_and_confirm(&mut keeper, 1).unwrap();
    assert!(matches!(page(&mut keeper, 1), Err(KeydError::NoPaper { .. })), "the share is gone from memory");
    assert!(keeper.status().warnings.iter().any(|warning| warning.code == "kit-incomplete"));
    assert_eq!(keeper.status().vaults[0].pending_set, Some(keeper.status().vaults[0].set));
    drop(keeper);

    // A restart forgets what was not printed; what was stays confirmed, and a new kit can be had.
    let mut keeper = home.start();
    assert!(matches!(page(&mut keeper, 2), Err(KeydError::NoPaper { .. })));
    let told = &keeper.status().vaults[0];
    assert_eq!(told.papers.each_ref().map(|paper| paper.confirmed_at.is_some()), [true, false, false]);
    assert_eq!(told.papers[0].keeper, "keeper 1");
    keeper.reissue(&reissued()).unwrap();
    assert!((1..=3).all(|paper| print_and_confirm(&mut keeper, paper).is_ok()));
    assert!(keeper.status().warnings.iter().any(|warning| warning.code == "slots-to-store"));
    store(&mut keeper, &mut made.slots);
    assert!(keeper.status().warnings.is_empty(), "{:?}", keeper.status().warnings);
}

#[test]
fn a_kit_is_rehearsed_with_the_tpm_off_and_re_issued() {
    let Some(mut box_) = started() else { return };
    box_.soft.off();
    let mut keeper = box_.home.start();
    let rehearse = |paper: &str| Rehearse { paper: paper.as_bytes().to_vec().into(), slots: None };
    for (n, paper) in box_.papers.iter().enumerate() {
        let rehearsed = keeper.rehearse(&rehearse(paper)).unwrap();
        assert_eq!((usize::from(rehearsed.paper), rehearsed.set, rehearsed.epoch), (n + 1, box_.made.set, 1));
    }
    assert!(keeper.status().vaults[0].papers.iter().all(|paper| paper.rehearsed_at.is_some()));
    assert!(keeper.status().phase == Phase::Locked);
    drop(keeper);

    box_.soft.boot("our keys", "image 1");
    let mut keeper = box_.opens();
    let new = keeper.reissue(&reissued()).unwrap();
    assert_eq!(new.replaces, box_.made.set);
    keeper.rehearse(&rehearse(&box_.papers[0])).unwrap();
    let mut papers = Vec::new();
    for paper in 1..=3 {
        let text = page(&mut keeper, paper).unwrap();
        let words = typed(&text, &keeper.question(VAULT, paper).unwrap());
        let confirmed = keeper.confirm(VAULT, paper, &words.each_ref().map(String::as_str)).unwrap();
        assert_eq!(confirmed.slots.is_some(), paper == 3);
        papers.push(text);
    }
    store(&mut keeper, &mut box_.made.slots);
    let told = keeper.status().vaults[0].clone();
    assert_eq!((told.set, told.invalid_sets, told.pending_set), (new.set, vec![new.replaces], None));
    keeper.rehearse(&rehearse(&papers[1])).unwrap();
    let refused = keeper.rehearse(&rehearse(&box_.papers[0])).expect_err("of the old kit").to_string();
    assert!(refused.contains(&new.replaces.to_string()) && refused.contains(&new.set.to_string()), "{refused}");
    drop(keeper);
    box_.papers = papers.try_into().unwrap();
    box_.soft.boot("other keys", "image 1");
    box_.locked_until_the_kit("wrong-pcr-7");
}

#[test]
fn a_slot_that_was_not_wrapped_here_fails_the_rehearsal() {
    use keepwell_format::keys::{SlotKind, Slots};
    let Some(box_) = started() else { return };
    let mut keeper = box_.home.start();
    let mut slots = Slots::decode(box_.made.slots.as_ref()).unwrap();
    let kit = slots.slots.iter_mut().find(|slot| slot.kind == SlotKind::Kit).unwrap();
    *kit.payload.last_mut().unwrap() ^= 1;
    let request = |slots: &Slots| Rehearse { paper: box_.papers[0].as_bytes().to_vec().into(), slots: Some(slots.encode().into()) };
    assert!(matches!(keeper.rehearse(&request(&slots)), Err(KeydError::ForeignSlot)));
    assert!(keeper.status().vaults[0].papers[0].failed_at.is_some());
    assert!(keeper.status().warnings.iter().any(|warning| warning.code == "rehearsal-failed"));
    slots.revision = 0;
    assert!(matches!(keeper.rehearse(&request(&slots)), Err(KeydError::StaleSlots)));
}

#[test]
fn a_blank_box_opens_a_vault_with_two_papers_and_its_slots() {
    let Some(box_) = started() else { return };
    let mut soft = SoftTpm::new().unwrap();
    soft.boot("keys", "image 1");
    let blank = Home::new(Some(&soft));
    let mut keeper = blank.start();
    assert!(matches!(keeper.unlock_by_kit(&by_kit(&box_.papers[0], &box_.papers[1])), Err(KeydError::NeedSlots(_))));
    let mut request = by_kit(&box_.papers[0], &box_.papers[1]);
    request.slots = Some(box_.made.slots.clone());
    let recovered = keeper.unlock_by_kit(&request).unwrap();
    assert_eq!((recovered.vault.as_str(), recovered.not_sealed), (VAULT, None));
    let made = VaultMade { slots: recovered.slots, ..box_.made.clone() };
    drop(keeper);
    let mut keeper = blank.start();
    assert_eq!(open(&mut keeper, &made).unwrap(), box_.body);
    drop(keeper);
    // Both boxes have a slot of their own now.
    assert_eq!(open(&mut box_.home.start(), &made).unwrap(), box_.body);
    let mut twice = by_kit(&box_.papers[0], &box_.papers[0]);
    twice.slots = Some(box_.made.slots.clone());
    assert!(blank.start().unlock_by_kit(&twice).is_err());
}

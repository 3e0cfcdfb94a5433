//! How two boxes meet (`docs/wire.md` 3), from both sides: who was invited becomes a tenant, whom this box was invited by becomes its receiver.

use std::sync::Weak;

use keepwell_format::VaultId;
use keepwell_format::keys::Slots;
use keepwell_link::Caller;
use keepwell_offsite::keeping::FLOOR_MIN;
use keepwell_offsite::{Keeping, Tenant, Terms, objects_for};
use keepwell_wire::pairing::{Between, PairAnswer, PairRequest, Side};
use keepwell_wire::recover::{RecoverProof, RecoverRequest};
use keepwell_wire::shorten::{CancelOrder, GiveOrder, Orders};
use keepwell_wire::{Invitation, KeyName};

use crate::courier::SILENCE;
use crate::error::Error;
use crate::house::{House, lock};
use crate::orders;
use crate::receiver::{Admission, NotNow, NotTaken};
use crate::sender::{SendError, taken};
use crate::store::{Happened, ReceiverRow, TenantRow};
use crate::succession;

/// Hours, days, weeks, months of which the first snapshot is kept beyond the floor.
const KEEPERS: [u32; 4] = [24, 30, 8, 12];

/// Lets in who was invited.
pub(crate) struct Door(pub(crate) Weak<House>);

impl Admission for Door {
    fn pair(&self, between: &Between, request: &[u8]) -> Result<Option<Vec<u8>>, NotNow> {
        let house = self.0.upgrade().ok_or(NotNow)?;
        let decoded = PairRequest::decode(request).ok().and_then(|(request, said, proof)| {
            let slots = Slots::decode(&request.slots).ok().filter(|slots| slots.vault == request.vault)?;
            Some((request, slots, said, proof))
        });
        let Some((request, slots, said, proof)) = decoded else { return Ok(None) };
        let now = house.steady();
        let Some(open) = lock(&house.invitations).take(between, said, &proof, now) else {
            house.refused(between.source, "invitation");
            return Ok(None);
        };
        let tenants = house.store.tenants().map_err(failed)?;
        let same = |row: &&TenantRow| row.name == between.source.0 || row.vault == request.vault.0;
        let known = tenants.iter().find(same);
        // Another box takes the place of one only with that one's papers (section 8), whoever invited it.
        if known.is_some_and(|row| row.name != between.source.0 || row.vault != request.vault.0) {
            house.refused(between.source, "vault");
            return Ok(None);
        }
        let quota = open.terms.quota;
        let row = match known {
            // People at both boxes met again: the papers of now speak for it too. A second key that is known stays.
            Some(row) => {
                let second_key = row.second_key.clone().or(open.terms.second_key.clone());
                let mut recipients = row.recipients.clone();
                if !recipients.contains(&slots.kit.recipient) {
                    recipients.push(slots.kit.recipient);
                }
                TenantRow { quota, practice: request.practice, recipients, second_key, ended_at: None, ..row.clone() }
            }
            None => TenantRow {
                name: between.source.0,
                vault: request.vault.0,
                verify_key: slots.verify_key,
                recipients: vec![slots.kit.recipient],
                practice: request.practice,
                quota,
                floor: FLOOR_MIN,
                keepers: KEEPERS,
                began: house.tick().map_err(failed)?,
                since: house.world.wall(),
                second_key: open.terms.second_key.clone(),
                ended_at: None,
            },
        };
        if let Err(error) = take_in(&house, &row, known.is_some()) {
            lock(&house.invitations).give_back(open);
            return Err(failed(error));
        }
        let answer = PairAnswer { receipt_key: house.receipt_key, quota, floor: row.floor, place: open.terms.place.clone() };
        let mut bytes = answer.encode();
        let proof = between.proof(&open.token, Side::Receiver, &bytes);
        bytes.extend_from_slice(&proof);
        Ok(Some(bytes))
    }

    fn challenge(&self, between: &Between, request: &RecoverRequest) -> Result<Option<Vec<u8>>, NotNow> {
        succession::challenge(self.0.upgrade().ok_or(NotNow)?.as_ref(), between, request)
    }

    fn prove(&self, between: &Between, proof: &RecoverProof) -> Result<bool, NotNow> {
        succession::prove(self.0.upgrade().ok_or(NotNow)?.as_ref(), between, proof)
    }

    fn order_challenge(&self, between: &Between, request: &RecoverRequest) -> Result<Option<Vec<u8>>, NotNow> {
        orders::challenge(self.0.upgrade().ok_or(NotNow)?.as_ref(), between, request)
    }

    fn order(&self, between: &Between, given: &GiveOrder) -> Result<Result<Orders, NotTaken>, NotNow> {
        orders::take(self.0.upgrade().ok_or(NotNow)?.as_ref(), between, given)
    }

    fn cancel(&self, between: &Between, cancelled: &CancelOrder) -> Result<Result<Orders, NotTaken>, NotNow> {
        orders::cancel(self.0.upgrade().ok_or(NotNow)?.as_ref(), between, cancelled)
    }

    fn orders(&self, name: KeyName) -> Result<Option<Orders>, NotNow> {
        orders::of_key(self.0.upgrade().ok_or(NotNow)?.as_ref(), name)
    }
}

fn take_in(house: &House, row: &TenantRow, is_known: bool) -> Result<(), Error> {
    if is_known {
        // Closed, so that the next look opens it with the new terms: what is under way goes on with the old ones.
        house.receiver.expect(KeyName(row.name), row.began);
    } else {
        let pool = house.shelves.create(row.vault, &house.random()).map_err(|error| Error::Invalid(keepwell_api::error::chain(&error)))?;
        admit(house, row, pool)?;
    }
    let event = Happened::new(house.world.wall(), "tenant-paired")
        .with("tenant", KeyName(row.name))
        .with("vault", VaultId(row.vault))
        .with("quota", row.quota);
    Ok(house.store.put_tenant(row, &event)?)
}

/// Opens what is kept for a tenant.
pub(crate) fn admit(house: &House, row: &TenantRow, pool: keepwell_storage::Pool) -> Result<(), Error> {
    let terms = Terms {
        receiver: house.identity.name(),
        verify_key: row.verify_key,
        quota: row.quota,
        objects: objects_for(row.quota),
        keeping: Keeping::new(row.floor, row.keepers),
    };
    let elapsed = house.tick()?.saturating_sub(row.began);
    let now = keepwell_offsite::Moment { wall: house.world.wall(), elapsed };
    let mut tenant = Tenant::open(pool, terms, now).map_err(|error| Error::Invalid(keepwell_api::error::chain(&error)))?;
    orders::shorten(house, row, &mut tenant)?;
    if row.ended_at.is_some() {
        tenant.end();
    }
    house.receiver.admit(KeyName(row.name), tenant, row.began);
    Ok(())
}

fn failed(error: impl std::error::Error) -> NotNow {
    tracing::error!(error = keepwell_api::error::chain(&error), "an invited box could not be taken in");
    NotNow
}

/// Asks whoever made an invitation to keep for this box, and remembers it.
pub(crate) async fn ask(house: &House, order: &keepwell_api::offsite::Pair) -> Result<ReceiverRow, Error> {
    let text = std::str::from_utf8(order.invitation.as_ref()).map_err(|_| Error::Invalid("an invitation is text".into()))?;
    let invitation = Invitation::parse(text).map_err(Error::NoInvitation)?;
    if invitation.receiver == house.identity.name() {
        return Err(Error::OwnInvitation);
    }
    if order.practice.len() > keepwell_wire::pairing::MAX_NAME || order.practice.trim().is_empty() {
        return Err(Error::Invalid("the name of the practice has 1 to 200 bytes".into()));
    }
    let slots = Slots::decode(order.slots.as_ref()).map_err(|_| Error::Invalid("these are no key slots".into()))?;
    let request = PairRequest { vault: slots.vault, slots: order.slots.as_ref().to_vec(), practice: order.practice.clone() };
    let caller = Caller::connect(&invitation.address, &house.identity, invitation.receiver, SILENCE).await.map_err(Error::Link)?;
    let between = caller.pairing();
    let mut said = request.encode();
    let proof = between.proof(&invitation.token, Side::Source, &said);
    said.extend_from_slice(&proof);
    let answered = caller.ask(hyper::Method::POST, "/v1/pair", hyper::HeaderMap::new(), said.into()).await.map_err(Error::Link)?;
    let bytes = taken(answered).map_err(Error::Meeting)?;
    let nonsense = |why: String| Error::Meeting(SendError::Nonsense(why));
    let (answer, said, proof) = PairAnswer::decode(&bytes).map_err(|error| nonsense(error.to_string()))?;
    if !between.is_proven(&invitation.token, Side::Receiver, said, &proof) {
        return Err(nonsense("it does not prove that it made the invitation".into()));
    }
    if answer.floor < FLOOR_MIN {
        return Err(nonsense("it keeps for a shorter time than any box may".into()));
    }
    let row = ReceiverRow {
        name: invitation.receiver.0,
        receipt_key: answer.receipt_key,
        vault: slots.vault.0,
        address: invitation.address.clone(),
        place: answer.place,
        quota: answer.quota,
        floor: answer.floor,
        paired_at: house.world.wall(),
    };
    let event = Happened::new(house.world.wall(), "paired").with("receiver", invitation.receiver).with("quota", row.quota);
    house.store.put_receiver(&row, &event)?;
    Ok(row)
}

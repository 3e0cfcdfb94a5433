//! One of each message, for the vectors and for those that write them.

use keepwell_format::{FormatError, PackId, PackSeq, SnapshotId, VaultId};
use keepwell_wire::challenge::{Answer, Asked, Challenge};
use keepwell_wire::pairing::{Between, PairAnswer, PairRequest, Side};
use keepwell_wire::recover::{RecoverProof, RecoverRequest, RecoverSecret};
use keepwell_wire::shorten::{
    Cancel, CancelOrder, GiveOrder, OrderId, OrderSecret, OrderState, OrderTold, Orders, Right, Shorten, SignedOrder, What,
};
use keepwell_wire::snapshots::{PackRef, SnapshotRef, decode_missing, decode_packs, encode_missing, encode_packs, fingerprint};
use keepwell_wire::survey::{Survey, decode_answer, encode_answer};
use keepwell_wire::uploads::{Upload, decode_uploads, encode_uploads};
use keepwell_wire::{Branch, Class, Invitation, KeyName, PlaceCode, Prefix, Receipt, SliceProof, Token};

/// Of a structure: what the bytes say, in words, and their encoding.
pub(crate) fn decode(structure: &str, bytes: &[u8]) -> Result<(String, Vec<u8>), FormatError> {
    let text = || std::str::from_utf8(bytes).map_err(|_| FormatError::Id("text"));
    Ok(match structure {
        "pair-request" => {
            let (request, said, proof) = PairRequest::decode(bytes)?;
            let proven = between().is_proven(&token(), Side::Source, said, &proof);
            (format!("{request:?}, proven: {proven}"), [&request.encode()[..], &proof].concat())
        }
        "pair-answer" => {
            let (answer, said, proof) = PairAnswer::decode(bytes)?;
            let proven = between().is_proven(&token(), Side::Receiver, said, &proof);
            (format!("{answer:?}, proven: {proven}"), [&answer.encode()[..], &proof].concat())
        }
        "invitation" => {
            let invitation = Invitation::parse(text()?).map_err(|_| FormatError::Id("invitation"))?;
            (format!("{invitation:?}"), invitation.to_text().into_bytes())
        }
        "place" => {
            let place = PlaceCode::parse(text()?).map_err(|_| FormatError::Id("place"))?;
            (format!("{place:?}"), place.to_text().into_bytes())
        }
        "survey" => Survey::decode(bytes).map(|survey| (format!("{survey:?}"), survey.encode()))?,
        "survey-answer" => decode_answer(bytes, &survey()).map(|branches| (format!("{branches:?}"), encode_answer(&branches)))?,
        "snapshot" => SnapshotRef::decode(bytes).map(|reference| (format!("{reference:?}"), reference.encode()))?,
        "missing" => decode_missing(bytes).map(|seqs| (format!("{seqs:?}"), encode_missing(&seqs)))?,
        "packs" => decode_packs(bytes).map(|packs| (format!("{packs:?}"), encode_packs(&packs)))?,
        "uploads" => decode_uploads(bytes).map(|uploads| (format!("{uploads:?}"), encode_uploads(&uploads)))?,
        "receipt" => Receipt::decode(bytes).map(|(receipt, signature)| (format!("{receipt:?}"), receipt.encode(&signature)))?,
        "challenge" => Challenge::decode(bytes).map(|challenge| (format!("{challenge:?}"), challenge.encode()))?,
        "challenge-answer" => {
            let answer = Answer::decode(bytes, &challenge())?;
            let lost = answer.lost(&challenge()).len();
            (format!("{} proofs, {lost} lost", answer.proofs.len()), answer.encode())
        }
        "recover-request" => RecoverRequest::decode(bytes).map(|request| (format!("{request:?}"), request.encode()))?,
        "recover-proof" => {
            let proof = RecoverProof::decode(bytes)?;
            let proven = RecoverSecret::from_bytes([6; 32]).is_proven(&between(), &proof.proof);
            (format!("{:?}, proven: {proven}", proof.vault), proof.encode())
        }
        "order" => SignedOrder::decode(bytes).map(|signed| (format!("{signed:?}"), signed.encode()))?,
        "order-given" => {
            let given = GiveOrder::decode(bytes)?;
            let proven = order_secret().is_proven(&between(), &given.signed.order.encode(), &given.proof);
            (format!("{:?}, proven: {proven}", given.signed.order.id), given.encode())
        }
        "order-cancelled" => {
            let cancelled = CancelOrder::decode(bytes)?;
            let proven = match cancelled.right {
                Right::Papers(proof) => order_secret().is_proven(&between(), &cancelled.cancel.encode(), &proof),
                Right::Tenant | Right::Second(_) => true,
            };
            (format!("{:?}, proven: {proven}", cancelled.cancel), cancelled.encode())
        }
        "orders" => Orders::decode(bytes).map(|orders| (format!("{orders:?}"), orders.encode()))?,
        other => panic!("no structure {other}"),
    })
}

/// A valid one of each structure.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    let request = PairRequest { vault: VaultId([0x11; 16]), slots: b"slots".to_vec(), practice: "Praxis Dr. Öz".into() }.encode();
    let answer = PairAnswer { receipt_key: [0x22; 32], quota: 4 << 40, floor: 90 * 86_400, place: "Northside".into() }.encode();
    let receipt = Receipt {
        receiver: KeyName([0x44; 32]),
        vault: VaultId([0x11; 16]),
        manifest: SnapshotId([0x55; 32]),
        sequence: 1201,
        number: 2,
        previous: [0x66; 32],
        received: 1_790_000_000,
        elapsed: 86_400,
        kept_until: 91 * 86_400,
        packs: 700,
        bytes: 40 << 30,
    };
    let packs = [
        PackRef { seq: PackSeq(3), id: PackId([0x77; 32]), length: 4096 },
        PackRef { seq: PackSeq(9), id: PackId([0x78; 32]), length: 1 << 20 },
    ];
    let uploads = [
        Upload { class: Class::Pack, id: [0x77; 32], here: 32_768 },
        Upload { class: Class::Pack, id: [0x78; 32], here: 1 << 20 },
        Upload { class: Class::Manifest, id: [0x55; 32], here: 100 },
    ];
    let object = object();
    let proofs =
        challenge().asked.iter().map(|one| (one.class == Class::Pack).then(|| SliceProof::of(&object, one.slice)).flatten()).collect();
    let proof = RecoverSecret::from_bytes([6; 32]).proof(&between());
    vec![
        ("pair-request", [&request[..], &between().proof(&token(), Side::Source, &request)].concat()),
        ("pair-answer", [&answer[..], &between().proof(&token(), Side::Receiver, &answer)].concat()),
        (
            "invitation",
            Invitation { receiver: KeyName([0x44; 32]), token: token(), address: "192.0.2.7:8443".into() }.to_text().into_bytes(),
        ),
        (
            "place",
            PlaceCode { vault: VaultId([0x11; 16]), receiver: KeyName([0x44; 32]), address: "192.0.2.7:8484".into() }
                .to_text()
                .into_bytes(),
        ),
        ("survey", survey().encode()),
        ("survey-answer", encode_answer(&survey().prefixes.iter().map(|prefix| Branch::of(*prefix, &ids())).collect::<Vec<_>>())),
        ("snapshot", SnapshotRef { manifest: SnapshotId([0x55; 32]), packs: fingerprint(packs) }.encode()),
        ("missing", encode_missing(&[PackSeq(1), PackSeq(300)])),
        ("packs", encode_packs(&packs)),
        ("uploads", encode_uploads(&uploads)),
        ("receipt", receipt.encode(&[0x99; 64])),
        ("challenge", challenge().encode()),
        ("challenge-answer", Answer { nonce: challenge().nonce, proofs }.encode()),
        ("recover-request", RecoverRequest { vault: VaultId([0x11; 16]), recipient: "age1qqqq".into() }.encode()),
        ("recover-proof", RecoverProof { vault: VaultId([0x11; 16]), proof }.encode()),
        ("order", order().encode()),
        ("order", SignedOrder { order: Shorten { what: What::Floor(30 * 86_400), ..order().order }, signature: None }.encode()),
        ("order-given", GiveOrder { proof: order_secret().proof(&between(), &order().order.encode()), signed: order() }.encode()),
        (
            "order-cancelled",
            CancelOrder { cancel: cancel(), right: Right::Papers(order_secret().proof(&between(), &cancel().encode())) }.encode(),
        ),
        ("orders", orders().encode()),
    ]
}

fn order() -> SignedOrder {
    let what = What::Snapshots(vec![SnapshotId([0x55; 32]), SnapshotId([0x56; 32])]);
    let (vault, receiver) = (VaultId([0x11; 16]), KeyName([0x44; 32]));
    let order = Shorten { id: OrderId([0xaa; 16]), vault, receiver, head: [0x66; 32], expires: 9 * 86_400, what };
    SignedOrder { order, signature: Some([0x77; 64]) }
}

fn cancel() -> Cancel {
    Cancel { id: OrderId([0xaa; 16]), vault: VaultId([0x11; 16]), receiver: KeyName([0x44; 32]) }
}

fn orders() -> Orders {
    let told = OrderTold {
        signed: order(),
        state: OrderState::Pending,
        from: 14 * 86_400,
        given: 1_790_000_000,
        snapshots: 2,
        came: [1_780_000_000, 1_781_000_000],
    };
    Orders { second_key: Some([0x88; 32]), elapsed: 7 * 86_400, orders: vec![told] }
}

fn order_secret() -> OrderSecret {
    OrderSecret::from_bytes([6; 32])
}

fn token() -> Token {
    Token::from_bytes([9; 16])
}

fn between() -> Between {
    Between { source: KeyName([0x33; 32]), receiver: KeyName([0x44; 32]), exporter: [3; 32] }
}

fn survey() -> Survey {
    let prefix = Prefix::ALL.then(0xa).and_then(|prefix| prefix.then(3)).and_then(|prefix| prefix.then(7)).expect("digits");
    Survey { class: Class::Pack, prefixes: vec![Prefix::ALL, prefix] }
}

fn ids() -> Vec<[u8; 32]> {
    let mut ids: Vec<[u8; 32]> = (0..400_u32).map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes()).collect();
    ids.push([[0xa3, 0x7f].as_slice(), &[0; 30]].concat().try_into().expect("32 bytes"));
    ids.sort_unstable();
    ids
}

fn object() -> Vec<u8> {
    (0..10_000_u32).map(|n| (n % 251).to_le_bytes()[0]).collect()
}

fn challenge() -> Challenge {
    let (id, length) = (*blake3::hash(&object()).as_bytes(), object().len() as u64);
    let asked = |class, slice| Asked { class, id, length, slice };
    Challenge { nonce: [0xcc; 32], asked: vec![asked(Class::Pack, 0), asked(Class::Manifest, 1), asked(Class::Pack, 2)] }
}

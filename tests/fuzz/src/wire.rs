//! What another box says. The first byte says which message.

use keepwell_wire::challenge::{Answer, Asked, Challenge};
use keepwell_wire::pairing::{PairAnswer, PairRequest};
use keepwell_wire::recover::{RecoverProof, RecoverRequest};
use keepwell_wire::shorten::{CancelOrder, GiveOrder, Orders, SignedOrder};
use keepwell_wire::snapshots::{SnapshotRef, decode_missing, decode_packs, encode_missing, encode_packs};
use keepwell_wire::survey::{Survey, decode_answer, encode_answer};
use keepwell_wire::uploads::{decode_uploads, encode_uploads};
use keepwell_wire::{Class, Invitation, Prefix, Receipt};

/// Messages of both ends.
pub fn wire_message(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    let encoded = match kind {
        b'p' => PairRequest::decode(bytes).ok().map(|(request, _, proof)| [&request.encode()[..], &proof].concat()),
        b'q' => PairAnswer::decode(bytes).ok().map(|(answer, _, proof)| [&answer.encode()[..], &proof].concat()),
        b's' => Survey::decode(bytes).ok().map(|survey| survey.encode()),
        b't' => decode_answer(bytes, &survey()).ok().map(|branches| encode_answer(&branches)),
        b'n' => SnapshotRef::decode(bytes).ok().map(|reference| reference.encode()),
        b'm' => decode_missing(bytes).ok().map(|seqs| encode_missing(&seqs)),
        b'l' => decode_packs(bytes).ok().map(|packs| encode_packs(&packs)),
        b'u' => decode_uploads(bytes).ok().map(|uploads| encode_uploads(&uploads)),
        b'r' => Receipt::decode(bytes).ok().map(|(receipt, signature)| receipt.encode(&signature)),
        b'c' => Challenge::decode(bytes).ok().map(|challenge| challenge.encode()),
        b'd' => Answer::decode(bytes, &challenge()).ok().map(|answer| {
            assert!(answer.lost(&challenge()).len() <= challenge().asked.len());
            answer.encode()
        }),
        b'v' => RecoverRequest::decode(bytes).ok().map(|request| request.encode()),
        b'w' => RecoverProof::decode(bytes).ok().map(|proof| proof.encode()),
        b'o' => SignedOrder::decode(bytes).ok().map(|signed| signed.encode()),
        b'g' => GiveOrder::decode(bytes).ok().map(|given| given.encode()),
        b'x' => CancelOrder::decode(bytes).ok().map(|cancelled| cancelled.encode()),
        b'y' => Orders::decode(bytes).ok().map(|orders| orders.encode()),
        _ => return,
    };
    if let Some(encoded) = encoded {
        assert_eq!(encoded, bytes);
    }
}

/// What a person typed.
pub fn wire_invitation(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    if let Ok(invitation) = Invitation::parse(text) {
        assert_eq!(Invitation::parse(&invitation.to_text()), Ok(invitation));
    }
}

/// What was asked before the answers.
pub fn survey() -> Survey {
    let prefix = Prefix::ALL.then(0xa).expect("a digit");
    Survey { class: Class::Pack, prefixes: vec![Prefix::ALL, prefix] }
}

/// What was asked before the answers: two slices of [`challenged`].
pub fn challenge() -> Challenge {
    let (id, length) = (*blake3::hash(&challenged()).as_bytes(), challenged().len() as u64);
    Challenge { nonce: [0; 32], asked: [0, 2].map(|slice| Asked { class: Class::Pack, id, length, slice }).to_vec() }
}

/// The object that is asked for.
pub fn challenged() -> Vec<u8> {
    vec![7; 9000]
}

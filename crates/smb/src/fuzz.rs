//! Foreign bytes into each parser of the transport, for fuzzing. Owns nothing that the product uses; nothing here may panic.

use crate::auth::{self, SignIn};
use crate::wire::negotiate::{Agreement, Offer, is_validated};
use crate::wire::{session_setup, tree};
use crate::{Credentials, Options, connection};

/// A received frame: unprotected, sealed, signed.
pub fn frame(bytes: &[u8]) {
    connection::fuzz::frame(bytes);
}

/// An answer to NEGOTIATE, header included, and the validation of one.
pub fn negotiate(bytes: &[u8]) {
    let offer = Offer::new(&Options::default(), "server", [1; 16], [2; 32]).expect("the default options are sound");
    if let Ok(agreement) = Agreement::read(bytes, &offer) {
        let _ = is_validated(bytes, &agreement);
    }
}

/// Answers to SESSION_SETUP and TREE_CONNECT.
pub fn session(bytes: &[u8]) {
    let _ = session_setup::Reply::read(bytes);
    let _ = tree::Reply::read(bytes);
}

/// The server's tokens of a sign-in: as they come, and as an NTLM challenge wrapped rightly.
pub fn spnego(bytes: &[u8]) {
    let _ = auth::offers_ntlm(bytes);
    for token in [bytes.to_vec(), auth::wrap(bytes)] {
        let mut sign_in = SignIn::new(&Credentials::new(Some("domain"), "user", "password")).expect("the credentials are sound");
        let _ = sign_in.first().expect("needs no server");
        if sign_in.next(&token).is_ok() {
            let _ = sign_in.finish(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::NtStatus;
    use crate::wire::header::tests::answer;

    /// An NTLM challenge with a list of target information (MS-NLMP 2.2.1.2).
    fn challenge() -> Vec<u8> {
        let info = [2, 0, 2, 0, b'D', 0, 7, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0];
        let mut bytes = b"NTLMSSP\0\x02\0\0\0\0\0\0\0\x38\0\0\0\x15\x82\x8A\x62challeng\0\0\0\0\0\0\0\0".to_vec();
        bytes.extend([info.len() as u8, 0, info.len() as u8, 0, 0x38, 0, 0, 0]);
        bytes.extend([6, 1, 0, 0, 0, 0, 0, 15]);
        bytes.extend(info);
        bytes
    }

    fn all(bytes: &[u8]) {
        frame(bytes);
        negotiate(bytes);
        session(bytes);
        spnego(bytes);
    }

    #[test]
    fn the_example_challenge_is_one() {
        let mut sign_in = SignIn::new(&Credentials::new(None, "user", "password")).unwrap();
        sign_in.first().unwrap();
        assert!(sign_in.next(&auth::wrap(&challenge())).is_ok());
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            all(&bytes);
        }

        #[test]
        fn nothing_panics_on_what_is_nearly_right(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            body in prop::collection::vec(any::<u8>(), 0..200),
            id in 0_u64..10,
            command in 0_u16..19,
        ) {
            let mut message = answer(command, NtStatus::SUCCESS, 0, id, 1, 3);
            message.extend(body);
            for mut bytes in [message, challenge(), auth::wrap(&challenge())] {
                for (place, value) in &changes {
                    let place = place.index(bytes.len());
                    bytes[place] = *value;
                }
                all(&bytes);
            }
        }
    }
}

//! What browsers and authenticators say of passkeys, which comes from the network.

use keepwell_api::auth::passkey::Answer;
use keepwell_authd::webauthn::{ClientData, Known, PublicKey, answered, made};

/// A passkey's answer as text. No key has signed any of these.
pub fn passkey(data: &[u8]) {
    let Some(answer) = std::str::from_utf8(data).ok().and_then(Answer::parse) else { return };
    assert_eq!(answer.to_code().as_bytes(), data, "an answer has one text");
    let Ok(client) = ClientData::read(&answer.client_data) else { return };
    let Some(host) = client.host() else { return };
    let key = PublicKey::Eddsa(vec![7; 32].into());
    let known = Known { key: &key, counter: 0, can_be_copied: false };
    assert!(answered(&answer, &client, &known, &host).is_err(), "nobody has signed it");
    if let Ok(new) = made(&client, &answer.authenticator_data, &host) {
        assert!(!new.id.is_empty() && new.key.is_plausible());
    }
}

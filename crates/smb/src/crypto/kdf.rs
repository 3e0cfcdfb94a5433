//! From the session key to the keys of signing and sealing (MS-SMB2 3.1.4.2, NIST SP 800-108 in counter mode). Owns the labels.

use std::sync::Arc;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::{Opener, Preauth, Sealer, SessionKey, Signer};
use crate::wire::negotiate::Agreement;
use crate::{Cipher, Dialect};

/// The keys of a session.
pub(crate) struct Keys {
    pub(crate) signer: Arc<Signer>,
    /// Where a cipher was agreed on.
    pub(crate) sealing: Option<(Sealer, Opener)>,
}

/// Derives the keys of session `session_id`. `preauth` is the hash up to the last request of the sign-in; only SMB 3.1.1 uses it.
pub(crate) fn derive(session_key: &SessionKey, agreement: &Agreement, preauth: &Preauth, session_id: u64) -> Keys {
    let key = session_key.0.as_slice();
    let [signing, sealing, opening] = purposes(agreement.dialect, preauth.value());
    let signing_key = match agreement.dialect {
        Dialect::Smb210 => Zeroizing::new(key.to_vec()),
        _ => counter_mode(key, signing, 16),
    };
    let sealing = agreement.cipher.map(|cipher| {
        let length = if matches!(cipher, Cipher::Aes256Ccm | Cipher::Aes256Gcm) { 32 } else { 16 };
        let sealer = Sealer::new(cipher, &counter_mode(key, sealing, length), session_id);
        (sealer, Opener::new(cipher, &counter_mode(key, opening, length), session_id))
    });
    Keys { signer: Arc::new(Signer::new(agreement.signing, &signing_key)), sealing }
}

/// Label and context of the keys that sign, encrypt and decrypt on the client's side.
fn purposes(dialect: Dialect, preauth: &[u8]) -> [(&[u8], &[u8]); 3] {
    match dialect {
        Dialect::Smb311 => [(b"SMBSigningKey\0", preauth), (b"SMBC2SCipherKey\0", preauth), (b"SMBS2CCipherKey\0", preauth)],
        _ => [(b"SMB2AESCMAC\0", b"SmbSign\0"), (b"SMB2AESCCM\0", b"ServerIn \0"), (b"SMB2AESCCM\0", b"ServerOut\0")],
    }
}

/// HMAC-SHA256 in counter mode with a 32-bit counter and length; at most 32 bytes, so one round is enough.
fn counter_mode(key: &[u8], (label, context): (&[u8], &[u8]), length: usize) -> Zeroizing<Vec<u8>> {
    let mut hmac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    hmac.update(&1_u32.to_be_bytes());
    hmac.update(label);
    hmac.update(&[0]);
    hmac.update(context);
    hmac.update(&(length as u32 * 8).to_be_bytes());
    Zeroizing::new(hmac.sign().as_ref()[..length].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// Microsoft, "SMB 2 and SMB 3 security in Windows 10: the anatomy of signing and cryptographic keys", its examples of keys.
    #[test]
    fn keys_as_microsoft_publishes_them() {
        let preauth = "0DD13628CC3ED218EF9DF9772D436D0887AB9814BFAE63A80AA845F36909DB79\
                       28622DDDAD522D9751640A459762C5A9D6BB084CBB3CE6BDADEF5D5BCE3C6C01";
        for (dialect, session_key, keys) in [
            (
                Dialect::Smb300,
                "7CD451825D0450D235424E44BA6E78CC",
                ["0B7E9C5CAC36C0F6EA9AB275298CEDCE", "FAD27796665B313EBB578F388632B4F7", "B0F0427F7CEB416D1D9DCC0CD4F99447"],
            ),
            (
                Dialect::Smb311,
                "270E1BA896585EEB7AF3472D3B4C75A7",
                ["73FE7A9A77BEF0BDE49C650D8CCB5F76", "629BCBC54422A0F572B97F45989B6073", "E2AF0DCEFAC68DA71A0DFBD0D1350D74"],
            ),
        ] {
            for (purpose, key) in purposes(dialect, &bytes(preauth)).into_iter().zip(keys) {
                assert_eq!(*counter_mode(&bytes(session_key), purpose, 16), bytes(key), "{dialect}");
            }
        }
    }
}

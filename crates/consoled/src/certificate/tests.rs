//! An uploaded certificate: what fits, for whom and until when; what does not changes nothing.

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use time::OffsetDateTime;

use super::*;

const DAY: i64 = 86_400;
/// In 2026.
const NOW: i64 = 1_795_300_000;

/// By the machine's clock alone.
fn at(wall: i64) -> Moment {
    Moment { wall, reckoned: None }
}

fn names() -> BTreeSet<String> {
    BTreeSet::from(["box.practice.example".to_owned(), "localhost".to_owned()])
}

fn made(names: &[&str], (from, until): (i64, i64), kind: &'static rcgen::SignatureAlgorithm) -> (String, String) {
    let key = KeyPair::generate_for(kind).unwrap();
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    let at = |at| OffsetDateTime::from_unix_timestamp(at).unwrap();
    (params.not_before, params.not_after) = (at(from), at(until));
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn good(name: &str) -> (String, String) {
    made(&[name], (NOW - DAY, NOW + DAY), &PKCS_ECDSA_P256_SHA256)
}

#[test]
fn one_that_fits_is_shown_for_its_names_until_it_expires_and_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let uploaded = Uploaded::open(folder.path(), &names(), at(NOW));
    assert!(uploaded.told().is_none() && uploaded.for_name("localhost", at(NOW)).is_none());
    for kind in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let (chain, key) = made(&["box.practice.example", "elsewhere.example"], (NOW - DAY, NOW + DAY), kind);
        uploaded.replace(chain.as_bytes(), key.as_bytes(), at(NOW)).unwrap().unwrap();
    }
    let told = uploaded.told().unwrap();
    assert_eq!((told.names.as_slice(), told.until, told.fingerprint.len()), (&["box.practice.example".to_owned()][..], NOW + DAY, 64));
    let path = folder.path().join(FILE);
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);
    let again = Uploaded::open(folder.path(), &names(), at(NOW));
    assert_eq!(again.told(), Some(told));
    let shown = |name: &str, now| again.for_name(name, at(now)).is_some();
    assert!(shown("box.practice.example", NOW + DAY) && shown("BOX.practice.example.", NOW));
    assert!(!shown("box.practice.example", NOW + DAY + 1) && !shown("localhost", NOW) && !shown("elsewhere.example", NOW));
    again.remove().unwrap();
    again.remove().unwrap();
    assert!(again.told().is_none() && !path.exists() && fs::read_dir(folder.path()).unwrap().count() == 0);
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let uploaded = Uploaded::open(folder.path(), &names(), at(NOW));
    let (chain, key) = good("localhost");
    uploaded.replace(chain.as_bytes(), key.as_bytes(), at(NOW)).unwrap().unwrap();
    let before = uploaded.told();
    let (other, other_key) = good("localhost");
    let (elsewhere, elsewhere_key) = good("elsewhere.example");
    let (old, old_key) = made(&["localhost"], (NOW - 2 * DAY, NOW - DAY), &PKCS_ECDSA_P256_SHA256);
    let (early, early_key) = made(&["localhost"], (NOW + DAY, NOW + 2 * DAY), &PKCS_ECDSA_P256_SHA256);
    for (chain, key, why) in [
        ("", &*key, Unfit::NoCertificate),
        ("no PEM at all", &key, Unfit::NoCertificate),
        (&*chain.replace("MII", "!!!"), &key, Unfit::NoCertificate),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key, Unfit::Unreadable),
        (&chain.repeat(9), &key, Unfit::TooMany),
        (&chain, "", Unfit::NoKey),
        (&chain, &chain, Unfit::NoKey),
        (&chain, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", Unfit::Kind),
        (&chain, &other_key, Unfit::OtherKey),
        // They would not fit any more when they are read together at the next start.
        (&format!("{other_key}{chain}"), &key, Unfit::OtherKey),
        (&chain, &format!("{key}{}", chain.repeat(8)), Unfit::TooMany),
        (&format!("{other}{chain}"), &key, Unfit::OtherKey),
        (&elsewhere, &elsewhere_key, Unfit::Name),
        (&old, &old_key, Unfit::Time),
        (&early, &early_key, Unfit::Time),
    ] {
        assert_eq!(uploaded.replace(chain.as_bytes(), key.as_bytes(), at(NOW)).unwrap(), Err(why));
        assert_eq!(uploaded.check(chain.as_bytes(), key.as_bytes(), at(NOW)), Err(why));
    }
    assert_eq!(uploaded.told(), before);
    // What is damaged on the disk is no reason not to start.
    fs::write(folder.path().join(FILE), "damaged").unwrap();
    assert!(Uploaded::open(folder.path(), &names(), at(NOW)).told().is_none());
}

#[test]
fn by_either_clock_that_it_is_good_by() {
    let folder = tempfile::tempdir().unwrap();
    let uploaded = Uploaded::open(folder.path(), &names(), at(0));
    let (chain, key) = good("localhost");
    for (wall, reckoned, is_good) in [
        (NOW, Some(NOW), true),
        // The machine's clock is years away, and then the box's own reckoning.
        (NOW + 5_000 * DAY, Some(NOW), true),
        (0, Some(NOW), true),
        (NOW, Some(NOW + 5_000 * DAY), true),
        (NOW + 2 * DAY, Some(NOW + 3 * DAY), false),
        (NOW + 5_000 * DAY, None, false),
    ] {
        let now = Moment { wall, reckoned };
        assert_eq!(uploaded.check(chain.as_bytes(), key.as_bytes(), now).is_ok(), is_good, "{now:?}");
        uploaded.replace(chain.as_bytes(), key.as_bytes(), at(NOW)).unwrap().unwrap();
        assert_eq!(uploaded.for_name("localhost", now).is_some(), is_good, "{now:?}");
    }
}

#[test]
fn a_wildcard_speaks_for_a_name_below_it() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = good("*.practice.example");
    let told = Uploaded::open(folder.path(), &names(), at(NOW)).check(chain.as_bytes(), key.as_bytes(), at(NOW)).unwrap();
    assert_eq!(told.names, ["box.practice.example"]);
}

#[test]
fn dates_are_read_as_they_stand_and_what_is_cut_is_none() {
    for until in [NOW, 2_524_607_999, 2_524_608_000, 7_258_118_400] {
        let (chain, _) = made(&["localhost"], (0, until), &PKCS_ECDSA_P256_SHA256);
        let der = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
        assert_eq!(validity::of(&der), Some((0, until)));
        for n in 0..der.len() {
            assert_eq!(validity::of(&der[..n]), None, "the outermost is cut");
        }
    }
    for bad in [&[0x30, 0x84, 0, 0, 0, 1, 0][..], &[0x30, 0x80], &[0x30, 0x83, 0xff, 0xff, 0xff], &[0x30]] {
        assert_eq!(validity::of(bad), None);
    }
}

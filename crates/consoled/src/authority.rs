//! The box's own certificate authority, and the certificate that its console shows. The authority may speak for the box's own names and for addresses that
//! are nobody's on the internet, so that a computer that trusts it trusts nothing else by that. Keys lie in the console's state, readable by its user alone.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;

use crate::certificate::{ByName, Uploaded};
use crate::error::ConsoleError;
use crate::reckoning::Moment;

const DAY_S: i64 = 86_400;
/// The authority is good from 2020 to the end of 2049, the last day that certificates say in one way (RFC 5280, 4.1.2.5). By no clock: that of a
/// new box may be years away, and an authority that browsers find too early or over would stay so.
const AUTHORITY_S: (i64, i64) = (1_577_836_800, 2_524_607_999);
/// Browsers take no more than 398.
const LEAF_DAYS: i64 = 90;
/// A new one is made when this is left.
const RENEW_DAYS: i64 = 30;
/// A computer whose clock is behind gets in all the same.
const BEFORE_DAYS: i64 = 2;
/// Addresses in one certificate.
const ADDRESSES_MAX: usize = 16;

/// What the authority was made for.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    common_name: String,
    made_at: i64,
    names: BTreeSet<String>,
}

/// What the certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Leaf {
    /// None: one of before this was written down.
    #[serde(default)]
    from: Option<i64>,
    until: i64,
    names: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
}

/// The authority, and the certificate of the moment.
pub struct Authority {
    state: PathBuf,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    uploaded: Arc<Uploaded>,
    now: Mutex<(Leaf, Arc<ServerConfig>)>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Authority {
    /// That of the state folder, made if there is none. `names` are the box's, lower case.
    pub fn open(state: &Path, names: &BTreeSet<String>, now: Moment) -> Result<Self, ConsoleError> {
        if !state.join("authority.pem").exists() {
            make(state, names, now.wall)?;
        }
        let made: Made = read_json(&state.join("authority.json"))?;
        if let Some(name) = names.iter().find(|name| !made.names.contains(*name)) {
            return Err(ConsoleError::Name { name: name.clone(), state: state.to_owned() });
        }
        let issuer = Issuer::new(authority_params(&made)?, read_key(&state.join("authority.key"))?);
        let certificate = read_certificate(&state.join("authority.pem"))?;
        let uploaded = Arc::new(Uploaded::open(state, names, now));
        let wanted = Leaf { from: None, until: 0, names: names.clone(), addresses: BTreeSet::new() };
        let kept = read_json(&state.join("leaf.json")).ok().filter(|leaf: &Leaf| leaf.names == *names && !is_old(leaf, now));
        let kept = kept.and_then(|leaf| Some((leaf, config(state, &certificate, &uploaded).ok()?)));
        let now = Mutex::new(match kept {
            Some(kept) => kept,
            None => sign((state, &uploaded), &issuer, &certificate, wanted, now)?,
        });
        Ok(Self { state: state.to_owned(), certificate, issuer, uploaded, now })
    }

    /// What a connection that came in at this address of the box is met with. An address that the certificate lacks gets into it.
    pub fn config(&self, local: IpAddr, now: Moment) -> Arc<ServerConfig> {
        self.uploaded.asked_at(now);
        let mut current = self.lock();
        let mut wanted = current.0.clone();
        let local = local.to_canonical();
        let renews = is_old(&current.0, now);
        let lacks = may_speak_for(local) && !wanted.addresses.contains(&local);
        if renews || (lacks && wanted.addresses.len() >= ADDRESSES_MAX) {
            // Those that the box still has come in again when they are asked.
            wanted.addresses.clear();
        }
        if may_speak_for(local) {
            wanted.addresses.insert(local);
        }
        if wanted != current.0 || renews {
            match sign((&self.state, &self.uploaded), &self.issuer, &self.certificate, wanted, now) {
                Ok(made) => *current = made,
                // The old one is better than none.
                Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "no new certificate could be made"),
            }
        }
        Arc::clone(&current.1)
    }

    /// SHA-256 of the authority's certificate, as browsers show it.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.certificate)
    }

    /// The authority's certificate, to be trusted by the practice's computers.
    pub fn pem(&self) -> Result<String, ConsoleError> {
        let path = self.state.join("authority.pem");
        fs::read_to_string(&path).map_err(ConsoleError::file(&path))
    }

    /// What an owner has uploaded in its place, for names.
    pub fn uploaded(&self) -> &Arc<Uploaded> {
        &self.uploaded
    }

    fn lock(&self) -> MutexGuard<'_, (Leaf, Arc<ServerConfig>)> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The fingerprint of the authority in a state folder.
pub fn fingerprint_in(state: &Path) -> Result<String, ConsoleError> {
    read_certificate(&state.join("authority.pem")).map(|certificate| fingerprint(&certificate))
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
    digest.as_ref().iter().enumerate().fold(String::new(), |mut text, (at, byte)| {
        let _ = write!(text, "{}{byte:02X}", if at == 0 { "" } else { ":" });
        text
    })
}

/// Whether the authority can be believed for an address: this computer's own, a private network's, a link's.
pub fn may_speak_for(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    }
}

fn permitted(names: &BTreeSet<String>) -> NameConstraints {
    let v4 = [([10, 0, 0, 0], 8), ([172, 16, 0, 0], 12), ([192, 168, 0, 0], 16), ([169, 254, 0, 0], 16), ([127, 0, 0, 0], 8)];
    let v4 = v4.map(|(network, prefix)| CidrSubnet::from_addr_prefix(Ipv4Addr::from(network).into(), prefix));
    let v6 = [([0xfc00, 0], 7), ([0xfe80, 0], 10)];
    let v6 = v6.map(|([first, _], prefix)| CidrSubnet::from_addr_prefix(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0).into(), prefix));
    let own = CidrSubnet::V6(Ipv6Addr::LOCALHOST.octets(), [0xff; 16]);
    let addresses = v4.into_iter().chain(v6).chain([own]).map(GeneralSubtree::IpAddress);
    let names = names.iter().cloned().map(GeneralSubtree::DnsName);
    NameConstraints { permitted_subtrees: names.chain(addresses).collect(), excluded_subtrees: Vec::new() }
}

fn authority_params(made: &Made) -> Result<CertificateParams, ConsoleError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, made.common_name.as_str());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.name_constraints = Some(permitted(&made.names));
    (params.not_before, params.not_after) = (moment(AUTHORITY_S.0), moment(AUTHORITY_S.1));
    Ok(params)
}

/// The certificate is written last: what is there without it is made again.
fn make(state: &Path, names: &BTreeSet<String>, now: i64) -> Result<(), ConsoleError> {
    let mut word = [0; 4];
    getrandom::fill(&mut word).map_err(ConsoleError::Random)?;
    let made = Made {
        common_name: format!("Keepwell box {} (own authority)", keepwell_api::hex::encode(&word)),
        made_at: now,
        names: names.clone(),
    };
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(ConsoleError::Certificate)?;
    let certificate = authority_params(&made)?.self_signed(&key).map_err(ConsoleError::Certificate)?;
    write(&state.join("authority.key"), key.serialize_pem().as_bytes())?;
    write(&state.join("authority.json"), &json(&made))?;
    write(&state.join("authority.pem"), certificate.pem().as_bytes())
}

fn sign(
    (state, uploaded): (&Path, &Arc<Uploaded>),
    issuer: &Issuer<'static, KeyPair>,
    authority: &CertificateDer<'static>,
    wanted: Leaf,
    now: Moment,
) -> Result<(Leaf, Arc<ServerConfig>), ConsoleError> {
    // Where the two clocks differ, nobody knows which one people's computers agree with: it is good by both.
    let (earliest, latest) = now.span();
    let (from, until) = (earliest - BEFORE_DAYS * DAY_S, latest + LEAF_DAYS * DAY_S);
    // The machine's clock alone says little: what the one before was good for, this one is too.
    let (from, until) = match wanted.from {
        Some(before) if now.reckoned.is_none() => (from.min(before), until.max(wanted.until)),
        _ => (from, until),
    };
    let leaf = Leaf { from: Some(from), until, ..wanted };
    let names: Vec<_> = leaf.names.iter().cloned().chain(leaf.addresses.iter().map(IpAddr::to_string)).collect();
    let mut params = CertificateParams::new(names).map_err(ConsoleError::Certificate)?;
    params.distinguished_name.push(DnType::CommonName, "Keepwell console");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = (moment(from), moment(until));
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(ConsoleError::Certificate)?;
    let certificate = params.signed_by(&key, issuer).map_err(ConsoleError::Certificate)?;
    // What describes them goes first and comes last, so that it never speaks of another pair.
    let _ = fs::remove_file(state.join("leaf.json"));
    write(&state.join("leaf.key"), key.serialize_pem().as_bytes())?;
    write(&state.join("leaf.pem"), certificate.pem().as_bytes())?;
    write(&state.join("leaf.json"), &json(&leaf))?;
    tracing::info!(names = ?leaf.names, addresses = ?leaf.addresses, "a certificate was made");
    Ok((leaf, config(state, authority, uploaded)?))
}

fn config(state: &Path, authority: &CertificateDer<'static>, uploaded: &Arc<Uploaded>) -> Result<Arc<ServerConfig>, ConsoleError> {
    let key = state.join("leaf.key");
    let chain = vec![read_certificate(&state.join("leaf.pem"))?, authority.clone()];
    let key = PrivateKeyDer::from_pem_file(&key).map_err(ConsoleError::damaged(&key))?;
    let provider = Arc::new(default_provider());
    let own = Arc::new(CertifiedKey::from_der(chain, key, &provider).map_err(ConsoleError::Tls)?);
    let by_name = Arc::new(ByName { own, uploaded: Arc::clone(uploaded) });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ConsoleError::Tls)?
        .with_no_client_auth()
        .with_cert_resolver(by_name);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Near its end, or not yet good, or good for longer than one made now would be: it was made while the clock was wrong. As long as only the
/// machine's clock is known, it stays: that one may be years away.
fn is_old(leaf: &Leaf, now: Moment) -> bool {
    if now.reckoned.is_none() {
        return false;
    }
    let (earliest, latest) = now.span();
    let from = leaf.from.unwrap_or(leaf.until - (BEFORE_DAYS + LEAF_DAYS) * DAY_S);
    let whole = latest - earliest + (BEFORE_DAYS + LEAF_DAYS) * DAY_S;
    let good = from <= earliest && leaf.until - latest >= RENEW_DAYS * DAY_S;
    !good || leaf.until - from > whole + BEFORE_DAYS * DAY_S
}

fn moment(at: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data becomes JSON")
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ConsoleError> {
    let content = fs::read(path).map_err(ConsoleError::file(path))?;
    serde_json::from_slice(&content).map_err(ConsoleError::damaged(path))
}

fn read_certificate(path: &Path) -> Result<CertificateDer<'static>, ConsoleError> {
    let content = fs::read(path).map_err(ConsoleError::file(path))?;
    CertificateDer::from_pem_slice(&content).map_err(ConsoleError::damaged(path))
}

fn read_key(path: &Path) -> Result<KeyPair, ConsoleError> {
    let text = zeroize::Zeroizing::new(fs::read_to_string(path).map_err(ConsoleError::file(path))?);
    KeyPair::from_pem(&text).map_err(ConsoleError::damaged(path))
}

/// Readable by this user alone, and never half.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), ConsoleError> {
    let new = path.with_extension("new");
    let write = || -> io::Result<()> {
        let _ = fs::remove_file(&new);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|error| {
        // What can't be kept is not left behind: it may be a key.
        let _ = fs::remove_file(&new);
        ConsoleError::file(path)(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(from: i64, until: i64) -> Leaf {
        Leaf { from: Some(from * DAY_S), until: until * DAY_S, names: BTreeSet::new(), addresses: BTreeSet::new() }
    }

    fn at(wall: i64, reckoned: i64) -> Moment {
        Moment { wall: wall * DAY_S, reckoned: Some(reckoned * DAY_S) }
    }

    #[test]
    fn a_certificate_is_made_anew_before_its_end_and_when_the_clock_was_ahead() {
        let old = |days: i64| is_old(&leaf(days - 92, days), at(0, 0));
        assert_eq!([-1, 29, 30, 90, 92, 93, 4_000].map(old), [true, true, false, false, false, true, true]);
        let unwritten = Leaf { from: None, ..leaf(0, 90) };
        assert!(!is_old(&unwritten, at(0, 0)) && is_old(&unwritten, at(61, 61)));
    }

    #[test]
    fn a_certificate_is_good_by_both_clocks_and_short_again_afterwards() {
        let (good, both) = (leaf(-2, 90), leaf(-2, 4_090));
        // Until it is told how the box reckons, a jump makes no new one.
        assert!(!is_old(&good, Moment { wall: 4_000 * DAY_S, reckoned: None }));
        assert!(is_old(&good, at(4_000, 0)) && !is_old(&both, at(4_000, 0)) && !is_old(&both, at(4_060, 60)));
        assert!(is_old(&both, at(0, 0)) && is_old(&both, at(4_000, 4_000)));
        // A clock that is years behind.
        assert!(is_old(&good, at(-20_000, 0)) && !is_old(&leaf(-20_002, 90), at(-20_000, 0)) && is_old(&leaf(-20_002, 90), at(1, 1)));
    }

    #[test]
    fn the_authority_is_for_servers_alone() {
        let made = Made { common_name: "box".into(), made_at: 0, names: BTreeSet::new() };
        let params = authority_params(&made).expect("it can be made");
        assert_eq!(params.extended_key_usages, [ExtendedKeyUsagePurpose::ServerAuth]);
    }
}

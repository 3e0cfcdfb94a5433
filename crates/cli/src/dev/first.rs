//! What makes a folder a box, and opens it again at each start: passphrase, vault, owner, session. Each secret is random, and lies in a file that only this
//! user can read: for boxes that are tried out.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keepwell_api::auth::{Claim, ClaimCode, Enrolled, Status};
use keepwell_api::keys::{self, Phase};
use keepwell_api::{Base64, Client, ClientError};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::args::DevArgs;
use super::{Home, write_secret};
use crate::appliance::session;
use crate::args::InitArgs;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::random::Random;
use crate::unlock::secret_line;
use crate::{init, keys as cli_keys};

const OWNER: &str = "owner";

/// Opens the keys behind the stand-in's passphrase, which the first start makes.
pub(crate) fn open_keys(home: &Home) -> Result<(), CliError> {
    let file = passphrase_file(home);
    secret_in(&file)?;
    open(&cli_keys::keyd(&home.socket("keyd")), &file)
}

/// The same for a keyd that was started again. Nobody waits for it, so it tries until keyd listens.
pub(crate) fn open_again(socket: &Path, passphrase: &Path) {
    for _ in 0..100 {
        match open(&cli_keys::keyd(socket), passphrase) {
            Ok(()) => return,
            Err(CliError::Api(error)) if matches!(*error, ClientError::Refused(_)) => break,
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
    tracing::warn!("keyd was started again, and its keys could not be opened");
}

/// Where the stand-in's passphrase lies.
pub(crate) fn passphrase_file(home: &Home) -> PathBuf {
    home.at("owner/passphrase")
}

fn open(keyd: &Client, file: &Path) -> Result<(), CliError> {
    let status: keys::Status = keyd.get("/v1/status")?;
    if status.phase != Phase::Open {
        let _: keys::Status = keyd.post("/v1/unlock", &keys::Unlock { passphrase: Base64(secret_line(file, "passphrase")?) })?;
    }
    Ok(())
}

/// A vault on new disks, unless there is one.
pub(crate) fn make_vault(args: &DevArgs, home: &Home, answer: &mut Answer) -> Result<(), CliError> {
    let vault = home.at("disks");
    if vault.exists() {
        return Ok(());
    }
    let init = InitArgs {
        vault,
        disks: Some(args.disks),
        layout: args.layout,
        kit_out: None,
        keyd: Some(home.socket("keyd")),
        owner: Some("a box for trying out".into()),
        passphrase_file: None,
        test: true,
    };
    init::run(&init, answer).map(|_: Exit| ())
}

/// Signs the owner in, who is claimed at the first start.
pub(crate) fn sign_in(home: &Home) -> Result<(), CliError> {
    let (place, password_file, totp_file) = (home.place(), home.at("owner/password"), home.at("owner/totp"));
    let password = secret_in(&password_file)?;
    let status: Status = place.authd().get("/v1/status")?;
    if !status.claimed {
        let claim = Claim { user: OWNER.into(), password: password.clone(), code: None };
        match place.authd().post::<Enrolled>("/v1/claim", &claim) {
            Ok(enrolled) => write_secret(&totp_file, enrolled.otpauth.as_ref())?,
            // The users came back from the vault meanwhile, this owner among them.
            Err(ClientError::Refused(refusal)) if refusal.code == "claimed" && totp_file.exists() => {}
            Err(error) => return Err(error.into()),
        }
    }
    session::begin(&place, OWNER, password, None, Some(&totp_file)).map(|_| ())
}

/// What a new box's own screen would show; none once somebody owns it.
pub(crate) fn claim_code(home: &Home) -> Result<Option<String>, CliError> {
    let authd = home.place().authd();
    let status: Status = authd.get("/v1/status")?;
    if status.claimed {
        return Ok(None);
    }
    let shown: ClaimCode = authd.get("/v1/claim-code")?;
    Ok(Some(String::from_utf8_lossy(shown.code.as_ref()).into_owned()))
}

/// The command that signs the owner in.
pub(crate) fn how_to_sign_in(home: &Home) -> String {
    let [password, totp] = ["owner/password", "owner/totp"].map(|part| home.at(part).display().to_string());
    format!("sign-in --user {OWNER} --password-file {password} --totp-file {totp}")
}

/// The same for programs.
pub(crate) fn owner_fields(home: &Home) -> Value {
    let at = |part: &str| home.at(part).to_string_lossy().into_owned();
    json!({ "user": OWNER, "password_file": at("owner/password"), "totp_file": at("owner/totp"), "session_file": at("session") })
}

/// The secret in a file, made if it is not there: 24 random bytes in hexadecimal digits.
fn secret_in(file: &Path) -> Result<Base64, CliError> {
    if !file.exists() {
        let mut bytes = Zeroizing::new([0; 24]);
        Random::new()?.fill(&mut *bytes);
        let mut text = Zeroizing::new(String::with_capacity(49));
        for byte in bytes.iter() {
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
        write_secret(file, text.as_bytes())?;
    }
    Ok(Base64(secret_line(file, "secret")?))
}

//! Where a box's programs are reached, and how one asks what takes a grant. The grant is for the very bytes that are sent; it is asked for, used once, and
//! kept nowhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keepwell_api::auth::{AskGrant, Granted};
use keepwell_api::client::Dial;
use keepwell_api::grants::{Verb, digest};
use keepwell_api::{Client, auth, hex, vault};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::far::Far;
use super::session;
use crate::exit::CliError;

/// Longest wait for an answer of vaultd: a big catalog has to be read for some.
const VAULTD_PATIENCE: Duration = Duration::from_secs(120);
/// Longest wait for one of authd, where people may have to queue for a password's work.
const AUTHD_PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for the log to be checked.
const LOG_PATIENCE: Duration = Duration::from_secs(3_600);

/// A box: the one of this machine, one that lives in a folder, or one elsewhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    folder: Option<PathBuf>,
    far: Option<Arc<Far>>,
}

impl Place {
    /// The box in the folder of `--box`, else of `KEEPWELL_BOX`, else the machine's.
    pub(crate) fn new(folder: Option<&Path>) -> Self {
        let named = || std::env::var_os("KEEPWELL_BOX").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        Self { folder: folder.map(Path::to_owned).or_else(named), far: None }
    }

    /// The one elsewhere, if there is one.
    pub(crate) fn or_far(self, far: Option<Far>) -> Self {
        Self { far: far.map(Arc::new), ..self }
    }

    /// The socket `NAME.sock` of a folder's box; `default` on a machine that is a box.
    pub(crate) fn socket(&self, name: &str, default: &str) -> PathBuf {
        self.folder.as_ref().map_or_else(|| default.into(), |folder| folder.join("run").join(format!("{name}.sock")))
    }

    /// vaultd.
    pub(crate) fn vaultd(&self) -> Client {
        match &self.far {
            None => Client::new("keepwell-vaultd", self.socket("vaultd", vault::SOCKET), VAULTD_PATIENCE),
            Some(far) => Client::through("the box", Arc::clone(far) as Arc<dyn Dial>, far.url(), VAULTD_PATIENCE),
        }
    }

    /// vaultd, for what takes long.
    pub(crate) fn patient_vaultd(&self) -> Client {
        self.vaultd().within(LOG_PATIENCE)
    }

    /// authd.
    pub(crate) fn authd(&self) -> Client {
        Client::new("keepwell-authd", self.socket("authd", auth::SOCKET), AUTHD_PATIENCE)
    }

    /// Where the session of whoever signed in here is kept.
    pub(crate) fn session_file(&self) -> Result<PathBuf, CliError> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let file = set("KEEPWELL_SESSION").or_else(|| self.folder.as_ref().map(|folder| folder.join("session")));
        file.or_else(|| set("XDG_RUNTIME_DIR").map(|folder| folder.join("keepwell-session"))).ok_or_else(|| {
            CliError::Usage("there is no place for a session: name a file of your own in KEEPWELL_SESSION, or give --box".into())
        })
    }

    /// Has vaultd do something that whoever is signed in here may do.
    pub(crate) fn granted<T: DeserializeOwned>(&self, verb: Verb, route: &str, body: &impl Serialize) -> Result<T, CliError> {
        Ok(self.allowed(verb, body, None)?.post(route, body)?)
    }

    /// vaultd, shown a grant for this very body and at most so many bytes of an answer: for one request.
    pub(crate) fn allowed(&self, verb: Verb, body: &impl Serialize, max_bytes: Option<u64>) -> Result<Client, CliError> {
        if self.far.is_some() {
            // There the console asks for the grant, with the token.
            return Ok(self.vaultd().at_most(max_bytes));
        }
        let session = session::current(self)?;
        let bytes = Zeroizing::new(serde_json::to_vec(body).expect("requests are plain data"));
        let mut request = AskGrant::in_session(session, verb, hex::encode(&digest(&bytes)), max_bytes);
        let granted: Granted = session::proving(self, |code| {
            request.code = code;
            self.authd().post("/v1/grants", &request)
        })?;
        Ok(self.vaultd().showing(granted.grant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_its_own_sockets_and_session() {
        let place = Place { folder: Some("/b".into()), far: None };
        assert_eq!(place.socket("vaultd", vault::SOCKET), Path::new("/b/run/vaultd.sock"));
        assert_eq!(Place::default().socket("vaultd", vault::SOCKET), Path::new("/run/keepwell/vaultd.sock"));
    }
}

//! Asks the box's programs over their sockets, with a grant where it takes one: asked for this very body, used once, kept nowhere. Each answer has a deadline.

use std::path::PathBuf;
use std::time::Duration;

use keepwell_api::auth::{AskBreakGlass, AskGrant, Granted};
use keepwell_api::grants::{Verb, digest};
use keepwell_api::{Base64, Client, ClientError, hex};
use serde_json::Value;

use crate::ask::{About, Ask, Leave, SILENT, Told, Trouble, Whom};

/// Longest wait for what a person waits for.
const PATIENCE: Duration = Duration::from_secs(90);
/// Longest wait for a file system on a large, slow disk.
const PREPARING: Duration = Duration::from_secs(2_400);
/// Longest wait for a box at the end of a bad line.
const ELSEWHERE: Duration = Duration::from_secs(600);
/// Longest wait for what the screen asks by itself.
const GLANCE: Duration = Duration::from_secs(10);

/// The programs.
#[derive(Debug)]
pub(crate) struct Neighbours {
    vaultd: Client,
    authd: Client,
    keyd: Client,
    diskd: Client,
    recoverd: Client,
}

impl Neighbours {
    /// At these sockets: of vaultd, authd, keyd, diskd, recoverd.
    pub(crate) fn new([vaultd, authd, keyd, diskd, recoverd]: [PathBuf; 5]) -> Self {
        let client = |name, socket| Client::new(name, socket, PATIENCE);
        Self {
            vaultd: client("keepwell-vaultd", vaultd),
            authd: client("keepwell-authd", authd),
            keyd: client("keepwell-keyd", keyd),
            diskd: client("keepwell-diskd", diskd),
            recoverd: client("keepwell-recoverd", recoverd),
        }
    }

    /// Asks, and says what came of it.
    pub(crate) fn answer(&self, ask: Ask) -> Told {
        let answer = self.ask(&ask).map_err(|error| trouble(&error));
        Told::Answer(ask, answer)
    }

    fn ask(&self, ask: &Ask) -> Result<Value, ClientError> {
        let client = match ask.whom {
            Whom::Vaultd => &self.vaultd,
            Whom::Authd => &self.authd,
            Whom::Keyd => &self.keyd,
            Whom::Diskd => &self.diskd,
            Whom::Recoverd => &self.recoverd,
        };
        let client = match ask.about {
            About::Prepare => client.within(PREPARING),
            About::BeginRecovery => client.within(ELSEWHERE),
            about if about.is_background() => client.within(GLANCE),
            _ => client.clone(),
        };
        let Some(body) = &ask.body else { return client.get(&ask.route) };
        let client = match self.grant(&ask.leave, body)? {
            Some(grant) => client.showing(grant),
            None => client,
        };
        client.post_bytes(&ask.route, body)
    }

    fn grant(&self, leave: &Leave, body: &[u8]) -> Result<Option<String>, ClientError> {
        let arguments = hex::encode(&digest(body));
        let granted: Granted = match leave {
            Leave::None => return Ok(None),
            Leave::Person { session, verb, code } => {
                let code = code.as_ref().map(|code| String::from_utf8_lossy(Base64::as_ref(code)).into_owned());
                let asked = AskGrant { code, ..AskGrant::in_session(session.clone(), *verb, arguments, None) };
                self.authd.post("/v1/grants", &asked)?
            }
            Leave::SealedCode(code) => {
                let asked = AskBreakGlass { code: code.clone(), verb: Verb::EmergencyOpen, arguments };
                self.authd.post("/v1/break-glass-grants", &asked)?
            }
        };
        Ok(Some(granted.grant))
    }
}

fn trouble(error: &ClientError) -> Trouble {
    match error {
        ClientError::Refused(refusal) => Trouble { code: refusal.code.clone(), text: refusal.error.clone() },
        error => Trouble { code: SILENT.into(), text: format!("{error}.") },
    }
}

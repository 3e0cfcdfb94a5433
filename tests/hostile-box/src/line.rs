//! Requests with somebody's key, and what came back in few words.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use hyper::{HeaderMap, Method};
use keepwell_link::{Answered, Caller, Identity};
use keepwell_wire::{Class, KeyName, Receipt};
use serde::Serialize;

/// As long as a loaded machine takes.
pub(crate) const SILENCE: Duration = Duration::from_secs(120);

/// Who asks whom.
#[derive(Args, Debug)]
pub(crate) struct Line {
    /// Transport key of who asks, PEM.
    #[arg(long)]
    pub(crate) key: PathBuf,
    /// `host:port`.
    #[arg(long)]
    pub(crate) at: String,
    /// Name of the key that has to be there.
    #[arg(long)]
    pub(crate) of: String,
}

/// `ask`.
#[derive(Args, Debug)]
pub(crate) struct AskArgs {
    #[command(flatten)]
    line: Line,
    method: String,
    path: String,
}

/// What came of something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Came {
    pub(crate) what: String,
    /// 0: the line broke.
    pub(crate) status: u16,
    pub(crate) code: String,
    /// Of its body.
    pub(crate) bytes: usize,
}

impl Line {
    pub(crate) fn identity(&self) -> anyhow::Result<Identity> {
        identity(&self.key)
    }

    pub(crate) async fn connect(&self) -> anyhow::Result<Caller> {
        Ok(Caller::connect(&self.at, &self.identity()?, parse_name(&self.of)?, SILENCE).await?)
    }
}

pub(crate) fn identity(file: &PathBuf) -> anyhow::Result<Identity> {
    let pem = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    Ok(Identity::of(&pem)?)
}

pub(crate) fn parse_name(digits: &str) -> anyhow::Result<KeyName> {
    let id: keepwell_storage::ObjectId = digits.parse().context("a name has 64 hexadecimal digits")?;
    Ok(KeyName(id.0))
}

/// One request; a line that breaks is an answer too.
pub(crate) async fn request(caller: &Caller, what: &str, method: Method, path: &str, headers: HeaderMap, body: Vec<u8>) -> (Came, Bytes) {
    let told = |status, code: String, bytes| Came { what: what.to_owned(), status, code, bytes };
    match caller.ask(method, path, headers, body.into()).await {
        Ok(answered) => (told(answered.status.as_u16(), code(&answered), answered.body.len()), answered.body),
        Err(error) => (told(0, error.to_string(), 0), Bytes::new()),
    }
}

/// Sends an object whole, whatever it is called.
pub(crate) async fn put(caller: &Caller, what: &str, class: Class, id: [u8; 32], bytes: Vec<u8>) -> Came {
    let mut headers = HeaderMap::new();
    headers.insert("keepwell-length", bytes.len().into());
    headers.insert("keepwell-from", 0.into());
    let path = format!("/v1/objects/{}/{}", class.folder(), keepwell_storage::ObjectId(id));
    request(caller, what, Method::PUT, &path, headers, bytes).await.0
}

pub(crate) async fn post(caller: &Caller, what: &str, path: &str, body: Vec<u8>) -> (Came, Bytes) {
    request(caller, what, Method::POST, path, HeaderMap::new(), body).await
}

/// All receipts that the receiver gave.
pub(crate) async fn receipts(caller: &Caller) -> anyhow::Result<Vec<Receipt>> {
    let mut all: Vec<Receipt> = Vec::new();
    loop {
        let after = all.last().map_or(0, |receipt| receipt.number);
        let path = format!("/v1/receipts?after={after}");
        let (_, body) = request(caller, "receipts", Method::GET, &path, HeaderMap::new(), Vec::new()).await;
        if body.is_empty() {
            return Ok(all);
        }
        for bytes in body.chunks(Receipt::LEN) {
            all.push(Receipt::decode(bytes)?.0);
        }
    }
}

fn code(answered: &Answered) -> String {
    answered.headers.get("keepwell-code").and_then(|code| code.to_str().ok()).unwrap_or_default().to_owned()
}

pub(crate) async fn ask(args: &AskArgs) -> anyhow::Result<()> {
    let came = match args.line.connect().await {
        Ok(caller) => request(&caller, &args.path, args.method.parse()?, &args.path, HeaderMap::new(), Vec::new()).await.0,
        Err(error) => Came { what: args.path.clone(), status: 0, code: error.to_string(), bytes: 0 },
    };
    println!("{}", serde_json::to_string(&came)?);
    Ok(())
}

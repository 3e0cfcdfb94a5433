//! A receiver that lies: it has the key of the real one, which stands behind it, passes on what it is asked, and alters what is answered. Which lie it is, a line on standard input says.

use std::collections::HashMap;
use std::io::BufRead as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName};
use hyper::{Method, Request, Response, StatusCode};
use keepwell_link::{Answered, Caller, Identity, Limits, LinkError, serve};
use keepwell_wire::challenge::{Answer, Asked, Challenge};
use keepwell_wire::{KeyName, SLICE, SliceProof};
use tokio::net::TcpListener;

use crate::line::{SILENCE, identity};

/// Longest body: an object.
const LONGEST: usize = 64 << 20;

/// `front`.
#[derive(Args, Debug)]
pub(crate) struct FrontArgs {
    /// The receiver's transport key, PEM.
    #[arg(long)]
    key: PathBuf,
    /// Where sources look for it.
    #[arg(long)]
    listen: SocketAddr,
    /// Where it really is.
    #[arg(long)]
    back: String,
    /// The source's transport key, PEM: a receiver has what it keeps without asking anybody, a program in front of it has to.
    #[arg(long)]
    source: PathBuf,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Lie {
    /// As it is; what was answered is remembered.
    #[default]
    None,
    /// It has all that it had, says the survey.
    OldSurvey,
    /// Slices of zeros.
    Zeros,
    /// Slices that were asked for before, in place of those that are.
    Cached,
    /// Yesterday's answer, byte for byte.
    Replayed,
    /// It has nothing any more, and says so.
    Empty,
    /// Receipts from the first one on, whatever was asked for.
    OldReceipts,
}

impl Lie {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "old-survey" => Self::OldSurvey,
            "zeros" => Self::Zeros,
            "cached" => Self::Cached,
            "replayed" => Self::Replayed,
            "empty" => Self::Empty,
            "old-receipts" => Self::OldReceipts,
            _ => return None,
        })
    }
}

/// What it remembers.
#[derive(Default)]
struct Memory {
    /// Answers to surveys, by question.
    surveys: HashMap<Bytes, Bytes>,
    /// Proofs, by object and slice.
    proofs: HashMap<([u8; 32], u64), SliceProof>,
    /// The last answer to a challenge.
    last: Bytes,
    /// All receipts.
    receipts: Bytes,
}

struct Front {
    back: String,
    source: Identity,
    name: KeyName,
    lie: Mutex<Lie>,
    memory: Mutex<Memory>,
    line: tokio::sync::Mutex<Option<Arc<Caller>>>,
    asked: AtomicU64,
}

/// Lies until its standard input ends. Each line there is a lie's name; `lies` of so many answers is said when the next one comes.
pub(crate) async fn run(args: FrontArgs) -> anyhow::Result<()> {
    let own = identity(&args.key)?;
    let front = Arc::new(Front {
        back: args.back,
        source: identity(&args.source)?,
        name: own.name(),
        lie: Mutex::default(),
        memory: Mutex::default(),
        line: tokio::sync::Mutex::default(),
        asked: AtomicU64::new(0),
    });
    let listener = TcpListener::bind(args.listen).await.with_context(|| args.listen.to_string())?;
    println!("ready");
    let told = Arc::clone(&front);
    let ended = tokio::task::spawn_blocking(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match Lie::named(line.trim()) {
                Some(lie) => *lock(&told.lie) = lie,
                None => eprintln!("no such lie: {line}"),
            }
            println!("{}", told.asked.load(Ordering::Relaxed));
        }
    });
    let ended = async move { drop(ended.await) };
    let answer = move |_, request| {
        let front = Arc::clone(&front);
        async move { front.answer(request).await }
    };
    Ok(serve(listener, &own, Limits { silence: SILENCE, ..Limits::default() }, answer, ended).await?)
}

impl Front {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let (head, body) = request.into_parts();
        let body = Limited::new(body, LONGEST).collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let path = head.uri.path_and_query().map_or_else(String::new, |path| path.as_str().to_owned());
        let lie = *lock(&self.lie);
        match (lie, path.as_str()) {
            (Lie::OldSurvey, "/v1/survey") => {
                let known = lock(&self.memory).surveys.get(&body).cloned();
                if let Some(known) = known {
                    return said(StatusCode::OK, known);
                }
            }
            (Lie::Zeros | Lie::Cached | Lie::Replayed | Lie::Empty, "/v1/challenge") => {
                let lied = Challenge::decode(&body).map(|asked| self.lied(lie, &asked)).unwrap_or_default();
                return said(StatusCode::OK, lied);
            }
            (Lie::OldReceipts, path) if path.starts_with("/v1/receipts") => {
                let receipts = lock(&self.memory).receipts.clone();
                return said(StatusCode::OK, receipts);
            }
            _ => {}
        }
        match self.pass(head.method, &path, &head.headers, body.clone()).await {
            Ok(answered) => {
                if lie == Lie::None {
                    self.remember(&path, &body, &answered.body);
                }
                let mut response = said(answered.status, answered.body);
                for name in ["keepwell-code", "keepwell-from"] {
                    if let Some(value) = answered.headers.get(name) {
                        response.headers_mut().insert(HeaderName::from_static(name), value.clone());
                    }
                }
                response
            }
            Err(error) => {
                eprintln!("{error}");
                said(StatusCode::BAD_GATEWAY, Bytes::new())
            }
        }
    }

    /// To the real one, on one line as long as it holds.
    async fn pass(&self, method: Method, path: &str, asked: &HeaderMap, body: Bytes) -> Result<Answered, LinkError> {
        let mut headers = HeaderMap::new();
        for name in ["keepwell-length", "keepwell-from", "range"] {
            if let Some(value) = asked.get(name) {
                headers.insert(HeaderName::from_static(name), value.clone());
            }
        }
        let known = self.line.lock().await.clone();
        if let Some(caller) = known
            && let Ok(answered) = caller.ask(method.clone(), path, headers.clone(), body.clone()).await
        {
            return Ok(answered);
        }
        let caller = Arc::new(Caller::connect(&self.back, &self.source, self.name, SILENCE).await?);
        *self.line.lock().await = Some(Arc::clone(&caller));
        caller.ask(method, path, headers, body).await
    }

    fn remember(&self, path: &str, asked: &Bytes, answered: &Bytes) {
        let mut memory = lock(&self.memory);
        match path {
            "/v1/survey" => drop(memory.surveys.insert(asked.clone(), answered.clone())),
            "/v1/receipts?after=0" => memory.receipts = answered.clone(),
            "/v1/challenge" => {
                let Ok(challenge) = Challenge::decode(asked) else { return };
                let Ok(answer) = Answer::decode(answered, &challenge) else { return };
                for (one, proof) in challenge.asked.iter().zip(answer.proofs) {
                    if let Some(proof) = proof {
                        memory.proofs.insert((one.id, one.slice), proof);
                    }
                }
                memory.last = answered.clone();
            }
            _ => {}
        }
    }

    fn lied(&self, lie: Lie, asked: &Challenge) -> Bytes {
        let memory = lock(&self.memory);
        let one = |asked: &Asked| match lie {
            Lie::Zeros => {
                let real = memory.proofs.iter().find(|((id, _), _)| *id == asked.id).map(|(_, proof)| proof.siblings.clone());
                let length = usize::try_from(SLICE.min(asked.length - asked.slice * SLICE)).unwrap_or(0);
                Some(SliceProof { slice: vec![0; length], siblings: real.unwrap_or_default() })
            }
            Lie::Cached => {
                let exact = memory.proofs.get(&(asked.id, asked.slice));
                exact.or_else(|| memory.proofs.iter().find(|((id, _), _)| *id == asked.id).map(|(_, proof)| proof)).cloned()
            }
            _ => None,
        };
        if lie == Lie::Replayed {
            return memory.last.clone();
        }
        Answer { nonce: asked.nonce, proofs: asked.asked.iter().map(one).collect() }.encode().into()
    }
}

fn said(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

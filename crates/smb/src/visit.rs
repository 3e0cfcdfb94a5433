//! Opening a file, asking about it, and closing it, all in one round trip. Owns the order of the questions, what is done about parts
//! that the server refuses, and servers that stop a chain at the first refusal; a part that fails is never the file's failure.

use bytes::Bytes;

use crate::connection::{Answer, Exchange, Request};
use crate::handle::{Handle, is_success, only, succeeded};
use crate::step::{Part, Step};
use crate::wire::close;
use crate::wire::create::{Created, FileId};
use crate::{CloseInfo, FileInfo, NtStatus, Open, Pending, Share, SmbError, Stat, WidePath, attribute};

/// One visit to a file.
pub(crate) struct Visit {
    pub(crate) share: Share,
    pub(crate) path: WidePath,
    pub(crate) open: Open,
    /// Bytes to read from the start.
    pub(crate) read: u32,
    /// The file stays open.
    pub(crate) keep: bool,
}

/// What came of a visit.
pub(crate) struct Visited {
    pub(crate) handle: Handle,
    pub(crate) is_new: bool,
    pub(crate) stat: Stat,
    pub(crate) data: Bytes,
    pub(crate) after: Option<CloseInfo>,
}

/// What had to be left out of what was wanted.
#[derive(Default)]
struct Refused {
    /// With the answer.
    sacl: Option<NtStatus>,
    descriptor: bool,
    attributes: bool,
}

impl Refused {
    /// Whether it was the SACL that was refused, and not, or not only, the rest.
    fn lacks_privilege(&self) -> bool {
        match self.sacl {
            Some(NtStatus::PRIVILEGE_NOT_HELD) => true,
            Some(_) => !self.descriptor && !self.attributes,
            None => false,
        }
    }
}

impl Visit {
    /// Sends all and does not wait.
    pub(crate) fn begin<T: 'static>(mut self, make: impl FnOnce(Visited) -> T + Send + Sync + 'static) -> Result<Pending<T>, SmbError> {
        self.open.want.sacl &= !self.share.sacl_refused();
        let keep = self.keep;
        let (exchange, steps) = self.send()?;
        let pending = Pending::new(exchange, move |generation, answers| self.finish(generation, steps, answers).map(make));
        Ok(if keep { pending.must_finish() } else { pending })
    }

    fn send(&self) -> Result<(Exchange, Vec<Step>), SmbError> {
        let steps = Step::of(self.open.want, self.read, self.path.units().len());
        let mut chain = Vec::with_capacity(steps.len() + 2);
        chain.push(self.open.request(&self.path, self.open.rights()).encode());
        chain.extend(steps.iter().map(|step| step.request(FileId::RELATED)));
        if !self.keep {
            chain.push(close::encode(FileId::RELATED, true));
        }
        Ok((self.share.link().send(chain)?, steps))
    }

    fn finish(mut self, mut generation: u64, mut steps: Vec<Step>, mut answers: Vec<Answer>) -> Result<Visited, SmbError> {
        let mut refused = Refused::default();
        loop {
            let status = answers.first().map_or(NtStatus::UNSUCCESSFUL, |answer| answer.status);
            if is_success(status) {
                break;
            }
            if !self.ask_for_less(status, &mut refused) {
                return Err(SmbError::Status { status, during: "open" });
            }
            let (exchange, fewer) = self.send()?;
            (generation, steps, answers) = (exchange.generation(), fewer, exchange.wait()?);
        }
        if refused.lacks_privilege() {
            // Only the privilege gives this right, so the rest would be refused it as well.
            self.share.refuse_sacl();
        }
        let mut answers = answers.into_iter();
        let created = Created::decode(&only(answers.by_ref().take(1).collect())?.body)?;
        let handle = Handle::new(self.share.link().clone(), generation, created.file);
        self.collect(handle, &created, &steps, answers.collect(), &refused)
    }

    /// Leaves out a part whose right may be what was refused. False: there is none left.
    fn ask_for_less(&mut self, status: NtStatus, refused: &mut Refused) -> bool {
        let want = &mut self.open.want;
        if want.sacl && matches!(status, NtStatus::PRIVILEGE_NOT_HELD | NtStatus::ACCESS_DENIED) {
            want.sacl = false;
            refused.sacl = Some(status);
            return true;
        }
        if status == NtStatus::ACCESS_DENIED && (want.descriptor || want.attributes) {
            (refused.descriptor, refused.attributes) = (want.descriptor, want.attributes);
            (want.descriptor, want.attributes) = (false, false);
            return true;
        }
        false
    }

    fn collect(
        &self,
        mut handle: Handle,
        created: &Created,
        steps: &[Step],
        mut answers: Vec<Answer>,
        refused: &Refused,
    ) -> Result<Visited, SmbError> {
        let mut after = None;
        if !self.keep {
            let last = answers.pop().ok_or(SmbError::Malformed { what: "no answer to CLOSE" })?;
            // Some servers stop a chain at the first refusal, and leave the file open.
            if is_success(last.status) {
                handle.closed();
                after = close::decode(&last.body)?;
            }
        }
        let mut visited = Visited { handle, is_new: created.is_new, stat: self.stat(created, refused), data: Bytes::new(), after };
        let mut has_failed = false;
        for (step, mut answer) in steps.iter().zip(answers) {
            if has_failed && answer.status.is_error() && visited.handle.is_open() {
                answer = visited.handle.ask(step.request(visited.handle.file()))?;
            }
            has_failed |= answer.status.is_error();
            self.take(&mut visited, *step, answer)?;
        }
        if !self.keep && visited.handle.is_open() {
            let closed = succeeded(visited.handle.ask(close::encode(visited.handle.file(), true))?, "close")?;
            visited.handle.closed();
            visited.after = close::decode(&closed.body)?;
        }
        Ok(visited)
    }

    /// What is known before any question is answered.
    fn stat(&self, created: &Created, refused: &Refused) -> Stat {
        let denied = NtStatus::ACCESS_DENIED;
        Stat {
            info: FileInfo {
                created: created.created,
                written: created.written,
                changed: created.changed,
                size: created.size,
                allocated: created.allocated,
                attributes: created.attributes,
                is_directory: created.attributes & attribute::DIRECTORY != 0,
                ..FileInfo::default()
            },
            descriptor: refused.descriptor.then_some(Err(denied)),
            has_sacl: self.open.want.sacl,
            streams: Ok(Vec::new()),
            attributes: if refused.attributes { Err(denied) } else { Ok(Vec::new()) },
            reparse: None,
            maximal_access: created.maximal_access,
        }
    }

    fn take(&self, visited: &mut Visited, step: Step, answer: Answer) -> Result<(), SmbError> {
        let mut step = step;
        let mut answer = answer;
        if let Some(larger) = step.larger(answer.status, self.share.max_transact()) {
            answer = self.ask_again(&visited.handle, larger)?;
            step = larger;
        }
        match step.decode(&answer)? {
            // Servers that can't say all at once have said enough when they opened it.
            Part::Info(info) => visited.stat.info = info.unwrap_or(visited.stat.info),
            Part::Descriptor(descriptor) => visited.stat.descriptor = Some(descriptor),
            Part::Streams(streams) => visited.stat.streams = streams,
            Part::Attributes(attributes) => visited.stat.attributes = attributes,
            Part::Reparse(reparse) => visited.stat.reparse = reparse,
            Part::Data(data) => visited.data = data.map_err(|status| SmbError::Status { status, during: "read" })?,
        }
        Ok(())
    }

    /// Asks one question again, of the file as it is open or opened anew.
    fn ask_again(&self, handle: &Handle, step: Step) -> Result<Answer, SmbError> {
        if handle.is_open() {
            return handle.ask(step.request(handle.file()));
        }
        let open = Open { descriptor: None, ..Open::looking(self.open.want, self.open.as_of) };
        only(self.share.ask(&self.path, &Open { kind: self.open.kind, ..open }, vec![step.request(FileId::RELATED)])?)
    }
}

impl Share {
    /// Opens, asks, closes, and gives the answers to the questions; waits for them.
    pub(crate) fn ask(&self, path: &WidePath, open: &Open, questions: Vec<Request>) -> Result<Vec<Answer>, SmbError> {
        let mut chain = Vec::with_capacity(questions.len() + 2);
        chain.push(open.request(path, open.rights()).encode());
        chain.extend(questions);
        chain.push(close::encode(FileId::RELATED, false));
        let exchange = self.link().send(chain)?;
        let generation = exchange.generation();
        let mut answers = exchange.wait()?;
        let closed = answers.pop().is_some_and(|answer| is_success(answer.status));
        let rest = if answers.len() > 1 { answers.split_off(1) } else { Vec::new() };
        let created = Created::decode(&succeeded(only(answers)?, "open")?.body)?;
        if !closed {
            drop(Handle::new(self.link().clone(), generation, created.file));
        }
        Ok(rest)
    }
}

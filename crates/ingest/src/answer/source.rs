//! A source, served: one thread takes the caller's frames, one walks, a few read.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::Scope;

use keepwell_format::codec::Reader;
use keepwell_format::port::{Source, Walked};
use keepwell_format::{FormatError, Gap, GapReason, Kind as EntryKind, Node};

use super::ahead::{Ahead, Entries};
use super::jobs::Jobs;
use super::reading::{Open, Reading, Readings};
use crate::frame::{Frames, Head, Kind};
use crate::outlet::Outlet;
use crate::{IngestError, lock, message};

struct Serving<'r, 's> {
    source: &'s dyn Source,
    outlet: &'s Outlet,
    entries: &'s Mutex<Entries>,
    readings: &'r Readings<'s>,
    jobs: &'r Jobs<Reading<'s>>,
}

/// Until the caller is done.
pub(super) fn serve(source: &dyn Source, frames: &mut Frames<UnixStream>, outlet: &Outlet) -> Result<(), IngestError> {
    outlet.frame(Kind::Opened, 0, &message::info(source.info()))?;
    let entries = Mutex::default();
    let gone = || source.gone();
    let readings = Readings::new(outlet, &gone);
    let jobs = Jobs::new();
    let serving = Serving { source, outlet, entries: &entries, readings: &readings, jobs: &jobs };
    std::thread::scope(|scope| {
        let mut walk = None;
        let done = serving.run(scope, frames, &mut walk);
        outlet.close();
        jobs.close();
        readings.close();
        if let Some(walk) = walk {
            walk.stop();
        }
        done
    })
}

impl<'s> Serving<'_, 's> {
    fn run<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        frames: &mut Frames<impl Read>,
        walk: &mut Option<Arc<Ahead<'s>>>,
    ) -> Result<(), IngestError> {
        for _ in 0..message::parallel(self.source.info().parallel_reads) {
            spawn(scope, "read", || self.jobs.work(|reading| self.readings.run(reading)))?;
        }
        while let Some(head) = frames.head()? {
            match head.kind {
                Kind::Walk => {
                    if walk.as_ref().is_some_and(|walk| !walk.is_over()) {
                        return Err(IngestError::Protocol("a second walk while one is under way"));
                    }
                    let first = message::whole("walk", frames.payload(head)?, Reader::varint)?;
                    let ahead = Arc::new(Ahead::new(head.channel, first, self.outlet, self.entries));
                    *walk = Some(Arc::clone(&ahead));
                    spawn(scope, "walk", move || self.walk(&ahead))?;
                }
                Kind::WalkCredit => {
                    let pair = |reader: &mut Reader<'_>| Ok((reader.varint32()? as usize, reader.varint32()? as usize));
                    let (entries, bytes) = message::whole("credit", frames.payload(head)?, pair)?;
                    walk.as_ref().map_or(Ok(()), |walk| walk.credit(entries, bytes))?;
                }
                Kind::WalkStop => {
                    frames.payload(head)?;
                    walk.iter().for_each(|walk| walk.stop());
                }
                _ => self.take(head, frames.payload(head)?)?,
            }
        }
        Ok(())
    }

    fn walk(&self, ahead: &Ahead<'_>) {
        match self.source.walk() {
            Ok(walk) => ahead.run(walk),
            Err(gap) => ahead.finish(&message::gap_frame(&gap)),
        }
    }

    fn take(&self, head: Head, payload: &[u8]) -> Result<(), IngestError> {
        match head.kind {
            Kind::Done => {
                let below = message::whole("number", payload, Reader::varint)?;
                lock(self.entries).forget(below);
            }
            Kind::Expect => {
                let (walked, credit) = self.entry(payload, |_| Ok(()))?;
                if let Some((walked, ())) = &walked {
                    self.source.expect(walked);
                }
                self.jobs.push(self.readings.begin(head.channel, credit, self.open(walked.map(|(walked, ())| walked)))?);
            }
            Kind::Open => {
                let (walked, credit) = self.entry(payload, |_| Ok(()))?;
                self.jobs.push_first(self.readings.begin(head.channel, credit, self.open(walked.map(|(walked, ())| walked)))?);
            }
            Kind::OpenStream => {
                let (walked, credit) = self.entry(payload, |reader| reader.bytes().map(<[u8]>::to_vec))?;
                self.jobs.push_first(self.readings.begin(head.channel, credit, self.open_stream(walked))?);
            }
            Kind::Credit => {
                let more = message::whole("credit", payload, Reader::varint)?;
                self.readings.credit(head.channel, more)?.into_iter().for_each(|reading| self.jobs.push_first(reading));
            }
            Kind::Drop => self.readings.cancel(head.channel).into_iter().for_each(|reading| self.jobs.push_first(reading)),
            _ => return Err(IngestError::Protocol("an order for another kind of job")),
        }
        Ok(())
    }

    /// The entry of a number, with what follows it, and the leave that was given.
    #[expect(clippy::type_complexity, reason = "it is taken apart at once")]
    fn entry<T>(
        &self,
        payload: &[u8],
        more: impl FnOnce(&mut Reader<'_>) -> Result<T, FormatError>,
    ) -> Result<(Option<(Arc<Walked>, T)>, u64), IngestError> {
        let (number, credit, more) =
            message::whole("order to read", payload, |reader| Ok((reader.varint()?, reader.varint()?, more(reader)?)))?;
        Ok((lock(self.entries).get(number).map(|walked| (walked, more)), credit))
    }

    fn open(&self, walked: Option<Arc<Walked>>) -> Open<'s> {
        let source = self.source;
        Box::new(move || {
            let walked = walked.ok_or_else(forgotten)?;
            Ok((source.open(&walked)?, Box::new(walked.node.clone())))
        })
    }

    fn open_stream(&self, wanted: Option<(Arc<Walked>, Vec<u8>)>) -> Open<'s> {
        let source = self.source;
        Box::new(move || {
            let (walked, name) = wanted.ok_or_else(forgotten)?;
            // What a stream's file says of times and descriptor is the file's affair.
            Ok((source.stream(&walked, &name)?, Box::new(Node::new(EntryKind::File))))
        })
    }
}

/// Takes frames that come from nowhere; does nothing of what they say.
pub(crate) fn replay(source: &dyn Source, frames: &mut Frames<impl Read>, outlet: &Outlet) -> bool {
    let (entries, gone, jobs) = (Mutex::default(), || None, Jobs::new());
    let readings = Readings::new(outlet, &gone);
    let serving = Serving { source, outlet, entries: &entries, readings: &readings, jobs: &jobs };
    loop {
        let taken = match frames.head() {
            Ok(Some(head)) => frames.payload(head).and_then(|payload| serving.take(head, payload)),
            Ok(None) => return true,
            Err(error) => Err(error),
        };
        if taken.is_err() {
            return false;
        }
    }
}

fn forgotten() -> Gap {
    Gap { reason: GapReason::Read, text: "it was opened long after it was listed".to_owned() }
}

/// A thread that is tried for: none is better than a panic.
pub(super) fn spawn<'scope>(scope: &'scope Scope<'scope, '_>, name: &str, work: impl FnOnce() + Send + 'scope) -> Result<(), IngestError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work);
    thread.map(drop).map_err(|error| IngestError::Threads(Arc::new(error)))
}

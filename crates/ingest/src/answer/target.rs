//! A target, served: one thread takes the caller's frames, a few do what they say.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use keepwell_format::codec::Reader;
use keepwell_format::port::Target;
use keepwell_format::{FormatError, Key, Kind as EntryKind, Node};

use super::WarnedTarget;
use super::jobs::Jobs;
use super::reading::{Open, Reading, Readings};
use super::source::spawn;
use super::writing::{Begin, Step, Writing, Writings};
use crate::IngestError;
use crate::frame::{Chunk, Frames, Head, Kind, PIECE};
use crate::message::{self, read_flag};
use crate::outlet::Outlet;

/// What a thread does next.
enum Job<'s> {
    Answer(u32, Order),
    Write(Arc<Writing<'s>>),
    Read(Reading<'s>),
}

/// A request that is answered.
enum Order {
    Look(Key),
    IsUnfinished(Key),
    Folder(Key, Box<Node>),
    Special(Key, Box<Node>),
    Link(Key, Key),
    FinishFolder(Key, Box<Node>),
    Differences(Key, Box<Node>),
    Sync,
    Warnings,
}

struct Serving<'r, 's> {
    warned: &'s dyn WarnedTarget,
    target: &'s dyn Target,
    outlet: &'s Outlet,
    readings: &'r Readings<'s>,
    writings: &'r Writings<'s>,
    jobs: &'r Jobs<Job<'s>>,
}

/// Until the caller is done. What it began and did not finish is removed.
pub(super) fn serve(warned: &dyn WarnedTarget, frames: &mut Frames<UnixStream>, outlet: &Outlet) -> Result<(), IngestError> {
    let target = warned.target();
    outlet.frame(Kind::Opened, 0, &message::opened_target(target.parallel_writes(), &target.lacking()))?;
    let gone = || None;
    let (readings, writings, jobs) = (Readings::new(outlet, &gone), Writings::new(target, outlet), Jobs::new());
    let serving = Serving { warned, target, outlet, readings: &readings, writings: &writings, jobs: &jobs };
    let done = std::thread::scope(|scope| {
        // One more than writes, for what is asked beside them.
        let threads = message::parallel(target.parallel_writes()) + 1;
        let started = (0..threads).try_for_each(|_| spawn(scope, "write", || jobs.work(|job| serving.run(job))));
        let done = started.and_then(|()| serving.take_all(frames));
        outlet.close();
        jobs.close();
        readings.close();
        done
    });
    writings.abandon_all();
    done
}

/// Takes frames that come from nowhere; does nothing of what they say.
pub(crate) fn replay(warned: &dyn WarnedTarget, frames: &mut Frames<impl Read>, outlet: &Outlet) -> bool {
    let (target, gone, jobs) = (warned.target(), || None, Jobs::new());
    let (readings, writings) = (Readings::new(outlet, &gone), Writings::new(target, outlet));
    let serving = Serving { warned, target, outlet, readings: &readings, writings: &writings, jobs: &jobs };
    serving.take_all(frames).is_ok()
}

impl<'s> Serving<'_, 's> {
    fn take_all(&self, frames: &mut Frames<impl Read>) -> Result<(), IngestError> {
        while let Some(head) = frames.head()? {
            match head.kind {
                Kind::Write => self.write(head, frames)?,
                _ => self.take(head, frames.payload(head)?)?,
            }
        }
        Ok(())
    }

    fn write(&self, head: Head, frames: &mut Frames<impl Read>) -> Result<(), IngestError> {
        let mut at = [0; 8];
        let length = head.length.checked_sub(at.len()).filter(|length| *length > 0);
        let length = length.ok_or(IngestError::Protocol("a write of no length"))?;
        frames.read(&mut at)?;
        let mut chunk = if length > PIECE / 8 { self.outlet.pool.take() } else { Chunk::default() };
        if chunk.bytes.len() < length {
            chunk.bytes.resize(length, 0);
        }
        frames.read(&mut chunk.bytes[..length])?;
        chunk.used = length;
        self.step(head.channel, Step::Write(u64::from_le_bytes(at), chunk))
    }

    fn step(&self, channel: u32, step: Step<'s>) -> Result<(), IngestError> {
        self.writings.step(channel, step)?.into_iter().for_each(|writing| self.jobs.push(Job::Write(writing)));
        Ok(())
    }

    fn take(&self, head: Head, payload: &[u8]) -> Result<(), IngestError> {
        let channel = head.channel;
        match head.kind {
            Kind::File => {
                let begin = message::whole("file", payload, read_file)?;
                self.writings.begin(channel, begin)?.into_iter().for_each(|writing| self.jobs.push(Job::Write(writing)));
            }
            Kind::Stream => {
                let stream = |reader: &mut Reader<'_>| Ok(Begin::Stream { key: reader.key()?, stream: message::read_stream(reader)? });
                let begin = message::whole("stream", payload, stream)?;
                self.writings.begin(channel, begin)?.into_iter().for_each(|writing| self.jobs.push(Job::Write(writing)));
            }
            Kind::FinishFile => {
                let (_, node) = message::whole("node", payload, message::read_node)?;
                self.step(channel, Step::Finish(Box::new(node)))?;
            }
            Kind::Abandon => self.step(channel, Step::Abandon)?,
            Kind::ReadBack => {
                let (key, credit, stream) = message::whole("order to read", payload, |reader| {
                    Ok((reader.key()?, reader.varint()?, read_flag(reader)?.then(|| reader.bytes().map(<[u8]>::to_vec)).transpose()?))
                })?;
                self.jobs.push(Job::Read(self.readings.begin(channel, credit, self.open(key, stream))?));
            }
            Kind::Credit => {
                let more = message::whole("credit", payload, Reader::varint)?;
                self.readings.credit(channel, more)?.into_iter().for_each(|reading| self.jobs.push_first(Job::Read(reading)));
            }
            Kind::Drop => self.readings.cancel(channel).into_iter().for_each(|reading| self.jobs.push_first(Job::Read(reading))),
            kind => self.jobs.push(Job::Answer(channel, message::whole("order", payload, |reader| read_order(kind, reader))?)),
        }
        Ok(())
    }

    fn open(&self, key: Key, stream: Option<Vec<u8>>) -> Open<'s> {
        let target = self.target;
        Box::new(move || Ok((target.read(&key, stream.as_deref())?, Box::new(Node::new(EntryKind::File)))))
    }

    fn run(&self, job: Job<'s>) {
        match job {
            Job::Answer(channel, order) => {
                // If nobody reads any more, the end of the connection is seen by who reads it.
                let _ = self.outlet.frame(Kind::Answer, channel, &self.answer(&order));
            }
            Job::Write(writing) => self.writings.run(&writing, |stream| self.jobs.push(Job::Write(stream))),
            Job::Read(reading) => self.readings.run(reading),
        }
    }

    fn answer(&self, order: &Order) -> Vec<u8> {
        let target = self.target;
        let done = |done| message::done(done, |_, ()| ());
        match order {
            Order::Look(key) => message::done(target.look(key), message::write_present),
            Order::IsUnfinished(key) => vec![target.is_unfinished(key).into()],
            Order::Folder(key, node) => done(target.folder(key, node)),
            Order::Special(key, node) => done(target.special(key, node)),
            Order::Link(key, to) => done(target.link(key, to)),
            Order::FinishFolder(key, node) => done(target.finish_folder(key, node)),
            Order::Differences(key, node) => message::compared(&target.differences(key, node)),
            Order::Sync => done(target.sync()),
            Order::Warnings => message::warned(&self.warned.warned()),
        }
    }
}

fn read_file(reader: &mut Reader<'_>) -> Result<Begin, FormatError> {
    let (key, mut node) = message::read_node(reader)?;
    let content = node.content.take().ok_or(reader.invalid("a file without content"))?;
    Ok(Begin::File { key, node: Box::new(node), content, placing: message::read_placing(reader)? })
}

fn read_order(kind: Kind, reader: &mut Reader<'_>) -> Result<Order, FormatError> {
    let entry = |reader: &mut Reader<'_>| message::read_node(reader).map(|(key, node)| (key, Box::new(node)));
    Ok(match kind {
        Kind::Look => Order::Look(reader.key()?),
        Kind::IsUnfinished => Order::IsUnfinished(reader.key()?),
        Kind::Folder => entry(reader).map(|(key, node)| Order::Folder(key, node))?,
        Kind::Special => entry(reader).map(|(key, node)| Order::Special(key, node))?,
        Kind::Link => Order::Link(reader.key()?, reader.key()?),
        Kind::FinishFolder => entry(reader).map(|(key, node)| Order::FinishFolder(key, node))?,
        Kind::Differences => entry(reader).map(|(key, node)| Order::Differences(key, node))?,
        Kind::Sync => Order::Sync,
        Kind::Warnings => Order::Warnings,
        _ => return Err(reader.invalid("an order for another kind of job")),
    })
}

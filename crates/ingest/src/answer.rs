//! The answering end: opens one source or target, does what the caller asks, and ends with the connection. Asks for nothing.

mod ahead;
mod jobs;
mod reading;
mod source;
mod target;
mod writing;

pub(crate) use source::replay as replay_source;
pub(crate) use target::replay as replay_target;

use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, PoisonError};

use keepwell_format::port::{Source, Target};

use crate::call::set_up;
use crate::frame::{End, Frames, Head, Kind};
use crate::outlet::Outlet;
use crate::{CheckOrder, Checked, HEARTBEAT, IngestError, Refusal, SourceOrder, TargetOrder, Warned, lock, message};

/// Where orders lead.
pub trait Doors: Sync {
    /// Opens a tree for reading.
    ///
    /// # Errors
    /// Why it can't be opened, for the caller.
    fn source(&self, order: &SourceOrder) -> Result<Box<dyn Source>, Refusal>;
    /// Opens a place for writing.
    ///
    /// # Errors
    /// Why it can't be opened, for the caller.
    fn target(&self, order: &TargetOrder) -> Result<Box<dyn WarnedTarget>, Refusal>;
    /// Asks a server what an account may do there. Writes nothing.
    ///
    /// # Errors
    /// Why it can't be asked, for the caller.
    fn check(&self, order: &CheckOrder) -> Result<Checked, Refusal>;
}

/// A target that says what it could not set.
pub trait WarnedTarget: Send + Sync {
    /// Where to write.
    fn target(&self) -> &dyn Target;
    /// What could not be set so far.
    fn warned(&self) -> Warned;
}

/// Does one job: until the caller closes the connection, which is no error.
///
/// # Errors
/// [`IngestError`] when the caller is no caller of this version, when the order was refused (the caller knows), or when the connection breaks.
pub fn answer(stream: UnixStream, doors: &dyn Doors) -> Result<(), IngestError> {
    set_up(&stream).map_err(IngestError::io)?;
    let mut frames = Frames::new(stream.try_clone().map_err(IngestError::io)?, End::Answering);
    let outlet = Outlet::new(stream.try_clone().map_err(IngestError::io)?);
    let head = expect(&mut frames)?;
    if head.kind != Kind::Hello {
        return Err(IngestError::Protocol("it did not greet"));
    }
    message::read_hello(frames.payload(head)?)?;
    outlet.frame(Kind::Welcome, 0, &message::hello())?;
    let order = expect(&mut frames)?;
    // From now on the caller may be busy with other things for as long as it likes; when it dies, the connection ends.
    stream.set_read_timeout(None).map_err(IngestError::io)?;
    let pulse = Pulse::default();
    std::thread::scope(|scope| {
        let beat = std::thread::Builder::new().name("alive".to_owned());
        beat.spawn_scoped(scope, || pulse.beat(&outlet)).map_err(|error| IngestError::Threads(std::sync::Arc::new(error)))?;
        let done = serve(order, &mut frames, &outlet, doors);
        outlet.close();
        pulse.stop();
        done
    })
}

fn serve(order: Head, frames: &mut Frames<UnixStream>, outlet: &Outlet, doors: &dyn Doors) -> Result<(), IngestError> {
    let refused = |refusal: Refusal| {
        outlet.frame(Kind::Refused, 0, &message::refusal(&refusal))?;
        Err(IngestError::Refused(refusal))
    };
    match order.kind {
        Kind::Source => {
            let parsed = SourceOrder::decode(frames.payload(order)?);
            frames.wipe();
            match doors.source(&parsed?) {
                Ok(source) => source::serve(&*source, frames, outlet),
                Err(refusal) => refused(refusal),
            }
        }
        Kind::Target => {
            let parsed = TargetOrder::decode(frames.payload(order)?);
            frames.wipe();
            match doors.target(&parsed?) {
                Ok(target) => target::serve(&*target, frames, outlet),
                Err(refusal) => refused(refusal),
            }
        }
        Kind::Check => {
            let parsed = CheckOrder::decode(frames.payload(order)?);
            frames.wipe();
            match doors.check(&parsed?) {
                Ok(checked) => outlet.frame(Kind::Checked, 0, &checked.encode()),
                Err(refusal) => refused(refusal),
            }
        }
        _ => Err(IngestError::Protocol("it ordered nothing")),
    }
}

fn expect(frames: &mut Frames<UnixStream>) -> Result<Head, IngestError> {
    frames.head()?.ok_or(IngestError::Gone(None))
}

/// Says from time to time that this end is alive, however long its server takes.
#[derive(Default)]
struct Pulse {
    over: Mutex<bool>,
    news: Condvar,
}

impl Pulse {
    fn beat(&self, outlet: &Outlet) {
        let mut over = lock(&self.over);
        while !*over {
            let (again, waited) = self.news.wait_timeout(over, HEARTBEAT).unwrap_or_else(PoisonError::into_inner);
            over = again;
            if !*over && waited.timed_out() {
                drop(over);
                if outlet.frame(Kind::Heartbeat, 0, &[]).is_err() {
                    // Whoever reads the connection sees its end.
                    return outlet.close();
                }
                over = lock(&self.over);
            }
        }
    }

    fn stop(&self) {
        *lock(&self.over) = true;
        self.news.notify_all();
    }
}

//! What is on its way to one receiver at a time: enough that a long line is never idle, and no more than memory has room for. Pure but for the futures that it is given; their order is the caller's.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use keepwell_link::Handed;
use tokio::sync::Notify;

/// Objects at a time. A receiver answers 16 requests of a connection side by side; the rest is for receipts and questions.
const OBJECTS: usize = 12;
/// Bytes that wait for the line before another object is read. They are what something more urgent waits for, and what a fast line takes while the next object is read.
const WAITING: u64 = 4 << 20;
/// Bytes of objects in memory, unless one alone has more.
const HELD: u64 = 64 << 20;

type Journey<'a, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + 'a>>;

/// Objects and questions that are on their way.
pub(crate) struct Flight<'a, T, E> {
    parcels: Vec<Parcel<'a, T, E>>,
    bell: Arc<Notify>,
    /// Of those that are there.
    handed: u64,
}

struct Parcel<'a, T, E> {
    /// Its place in the order.
    place: usize,
    /// Bytes in memory; of a question, none.
    length: u64,
    /// Bytes that are to go over the line.
    due: u64,
    handed: Arc<Handed>,
    journey: Journey<'a, T, E>,
}

impl<'a, T, E> Flight<'a, T, E> {
    pub(crate) fn new() -> Self {
        Self { parcels: Vec::new(), bell: Arc::default(), handed: 0 }
    }

    /// Whether another object of this length may go.
    pub(crate) fn has_room(&self, length: u64) -> bool {
        let (mut objects, mut held, mut waiting) = (0, length, 0);
        for parcel in self.parcels.iter().filter(|parcel| parcel.length > 0) {
            objects += 1;
            held += parcel.length;
            waiting += parcel.due.saturating_sub(parcel.handed.bytes());
        }
        objects == 0 || (objects < OBJECTS && held <= HELD && waiting <= WAITING)
    }

    /// What counts the bytes of an object.
    pub(crate) fn meter(&self) -> Arc<Handed> {
        Arc::new(Handed::ringing(Arc::clone(&self.bell)))
    }

    /// An object goes, of which `due` bytes are still to be sent.
    pub(crate) fn object(
        &mut self,
        place: usize,
        length: u64,
        due: u64,
        handed: Arc<Handed>,
        journey: impl Future<Output = Result<T, E>> + 'a,
    ) {
        // One of no length counts as well.
        self.parcels.push(Parcel { place, length: length.max(1), due, handed, journey: Box::pin(journey) });
    }

    /// A question goes.
    pub(crate) fn question(&mut self, place: usize, journey: impl Future<Output = Result<T, E>> + 'a) {
        self.parcels.push(Parcel { place, length: 0, due: 0, handed: Arc::default(), journey: Box::pin(journey) });
    }

    /// The first place of an object that is not there yet.
    pub(crate) fn first(&self) -> Option<usize> {
        self.parcels.iter().filter(|parcel| parcel.length > 0).map(|parcel| parcel.place).min()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Bytes that the line has taken, of all that went.
    pub(crate) fn handed(&self) -> u64 {
        self.handed + self.parcels.iter().map(|parcel| parcel.handed.bytes()).sum::<u64>()
    }

    /// What has arrived; none when there may be room for more, or nothing is on its way. Nothing is lost when it is not waited for to the end.
    pub(crate) async fn landed(&mut self) -> Option<Result<T, E>> {
        let bell = Arc::clone(&self.bell);
        tokio::select! {
            biased;
            landed = std::future::poll_fn(|context| {
                for at in 0..self.parcels.len() {
                    if let Poll::Ready(landed) = self.parcels[at].journey.as_mut().poll(context) {
                        self.handed += self.parcels.swap_remove(at).handed.bytes();
                        return Poll::Ready(landed);
                    }
                }
                Poll::Pending
            }) => Some(landed),
            () = bell.notified() => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::future::{pending, ready};

    use super::*;

    type Test<'a> = Flight<'a, usize, ()>;

    fn goes(flight: &mut Test<'_>, place: usize, length: u64) {
        let meter = flight.meter();
        flight.object(place, length, length, meter, pending());
    }

    #[test]
    fn one_alone_may_be_of_any_size_and_small_ones_are_twelve() {
        let mut flight = Test::new();
        assert!(flight.has_room(u64::MAX));
        (0..12).for_each(|place| {
            assert!(flight.has_room(100));
            goes(&mut flight, place, 100);
        });
        assert!(!flight.has_room(100));
        flight.question(12, pending());
        assert_eq!(flight.first(), Some(0));
    }

    #[test]
    fn no_more_than_memory_has_room_for_and_than_what_is_urgent_can_wait_for() {
        let mut flight = Test::new();
        let meter = flight.meter();
        flight.object(0, 60 << 20, 1 << 20, meter, pending());
        assert!(flight.has_room(4 << 20), "most of it is there already");
        assert!(!flight.has_room(5 << 20), "both are in memory");
        let mut flight = Test::new();
        goes(&mut flight, 0, 5 << 20);
        assert!(!flight.has_room(1), "the line has enough to do");
    }

    #[test]
    fn a_question_takes_nobodys_room_and_holds_nobody_back() {
        let mut flight = Test::new();
        flight.question(3, pending());
        assert!(flight.has_room(u64::MAX) && !flight.is_empty());
        assert_eq!(flight.first(), None);
    }

    #[tokio::test]
    async fn what_arrives_first_lands_first() {
        let mut flight = Test::new();
        goes(&mut flight, 0, 10);
        let meter = flight.meter();
        flight.object(1, 10, 10, meter, ready(Ok(1)));
        flight.question(2, ready(Err(())));
        assert_eq!(flight.landed().await, Some(Ok(1)));
        assert_eq!(flight.landed().await, Some(Err(())));
        assert_eq!(flight.first(), Some(0));
    }
}

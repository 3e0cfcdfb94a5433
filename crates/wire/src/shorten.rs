//! What shortens a receiver's promises (`docs/wire.md` 9): an order that two organisations gave, its cancelling, and what a receiver tells of orders. Signing and checking are the caller's.

use std::fmt;

use keepwell_format::codec::{Reader, Writer};
use keepwell_format::{FormatError, SnapshotId, VaultId};

use crate::KeyName;
use crate::pairing::Between;
use crate::secret::Secret;

/// Label of the TLS exporter that binds a proof to its connection.
pub const EXPORTER: &[u8] = b"EXPORTER-keepwell-shorten-1";
/// Snapshots that one order names at most.
pub const MAX_NAMED: usize = 1024;
/// No order makes the floor shorter, seconds: a day.
pub const FLOOR_LEAST: u64 = 86_400;
/// Orders in one answer.
pub const MAX_TOLD: usize = 16;

const ORDER: &[u8; 8] = b"KWORDER\0";
const CANCEL: &[u8; 8] = b"KWCANCL\0";
const LABEL: &[u8] = b"keepwell shorten 1";
const WHAT: &str = "order";

/// What an order is called. Good once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub [u8; 16]);

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrderId({self})")
    }
}

/// What is to be kept for a shorter time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// These snapshots, ascending and each once: until the order counts, and no longer.
    Snapshots(Vec<SnapshotId>),
    /// All of them, for so many seconds at least; keepers stay.
    Floor(u64),
}

/// An order. Both organisations say yes to its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shorten {
    /// Its name.
    pub id: OrderId,
    /// Whose promises.
    pub vault: VaultId,
    /// Who made them.
    pub receiver: KeyName,
    /// Hash of the newest receipt that whoever made it knew: what came later is not meant.
    pub head: [u8; 32],
    /// It can be given until then, in the receiver's elapsed seconds for this tenant.
    pub expires: u64,
    /// What.
    pub what: What,
}

impl Shorten {
    /// The bytes that are signed and proven.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.magic(ORDER).raw(&self.id.0).raw(&self.vault.0).raw(&self.receiver.0).raw(&self.head).u64(self.expires);
        match &self.what {
            What::Snapshots(named) => {
                out.u8(1).count(named.len());
                for one in named {
                    out.raw(&one.0);
                }
            }
            What::Floor(floor) => {
                out.u8(2).u64(*floor);
            }
        }
        out.into_bytes()
    }

    /// Parses them.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, bytes);
        reader.magic(ORDER)?;
        let (id, vault, receiver) = (OrderId(reader.array()?), reader.vault()?, KeyName(reader.array()?));
        let (head, expires) = (reader.array()?, reader.u64()?);
        let what = match reader.u8()? {
            1 => {
                let count = reader.count(32)?;
                reader.check((1..=MAX_NAMED).contains(&count), "it names no snapshot, or too many")?;
                let named: Vec<SnapshotId> = (0..count).map(|_| reader.array().map(SnapshotId)).collect::<Result<_, _>>()?;
                reader.check(named.is_sorted_by(|a, b| a.0 < b.0), "snapshots do not ascend")?;
                What::Snapshots(named)
            }
            2 => {
                let floor = reader.u64()?;
                reader.check(floor >= FLOOR_LEAST, "a floor of less than a day")?;
                What::Floor(floor)
            }
            _ => return Err(reader.invalid("it orders nothing that is known")),
        };
        reader.finish()?;
        Ok(Self { id, vault, receiver, head, expires, what })
    }
}

/// Not so any more: the order is used up, and nothing comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancel {
    /// Which.
    pub id: OrderId,
    /// Whose promises it would have shortened.
    pub vault: VaultId,
    /// Who made them.
    pub receiver: KeyName,
}

impl Cancel {
    /// The bytes that are signed or proven.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.magic(CANCEL).raw(&self.id.0).raw(&self.vault.0).raw(&self.receiver.0);
        out.into_bytes()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        reader.magic(CANCEL)?;
        Ok(Self { id: OrderId(reader.array()?), vault: reader.vault()?, receiver: KeyName(reader.array()?) })
    }
}

/// An order, as it is given to a receiver and carried from one person to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOrder {
    /// What.
    pub order: Shorten,
    /// By the second organisation, over the order's bytes; none as long as it has not agreed. Not checked here.
    pub signature: Option<[u8; 64]>,
}

impl SignedOrder {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.bytes(&self.order.encode());
        write_option(&mut out, self.signature.as_ref().map(<[u8; 64]>::as_slice));
        out.into_bytes()
    }

    /// Parses them.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, bytes);
        let signed = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(signed)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        Ok(Self { order: Shorten::decode(reader.bytes()?)?, signature: read_option(reader)? })
    }
}

/// `POST /v1/orders`: an order with what shows that the first organisation agreed, which has the papers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GiveOrder {
    /// The order.
    pub signed: SignedOrder,
    /// Of [`OrderSecret::proof`].
    pub proof: [u8; 32],
}

impl GiveOrder {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.raw(&self.signed.encode()).raw(&self.proof);
        out.into_bytes()
    }

    /// Parses them.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, bytes);
        let given = Self { signed: SignedOrder::read(&mut reader)?, proof: reader.array()? };
        reader.finish()?;
        Ok(given)
    }
}

/// What shows that somebody may cancel an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// The connection's key is the tenant's.
    Tenant,
    /// The papers: of [`OrderSecret::proof`].
    Papers([u8; 32]),
    /// The second organisation's signature.
    Second([u8; 64]),
}

/// `POST /v1/orders/cancel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelOrder {
    /// What.
    pub cancel: Cancel,
    /// By whom.
    pub right: Right,
}

impl CancelOrder {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.raw(&self.cancel.encode());
        match &self.right {
            Right::Tenant => out.u8(1),
            Right::Papers(proof) => out.u8(2).raw(proof),
            Right::Second(signature) => out.u8(3).raw(signature),
        };
        out.into_bytes()
    }

    /// Parses them.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, bytes);
        let cancel = Cancel::read(&mut reader)?;
        let right = match reader.u8()? {
            1 => Right::Tenant,
            2 => Right::Papers(reader.array()?),
            3 => Right::Second(reader.array()?),
            _ => return Err(reader.invalid("nobody's right")),
        };
        reader.finish()?;
        Ok(Self { cancel, right })
    }
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderState {
    /// It counts from a moment on that has not come.
    Pending,
    /// It counts.
    Counts,
    /// Somebody cancelled it.
    Cancelled,
}

/// What a receiver tells of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderTold {
    /// As it was given.
    pub signed: SignedOrder,
    /// What became of it.
    pub state: OrderState,
    /// From when it counts, in elapsed seconds.
    pub from: u64,
    /// When it was given, by the receiver's clock, in seconds since 1970.
    pub given: i64,
    /// How many snapshots it named or shortened when it was given.
    pub snapshots: u64,
    /// When the oldest and the newest of them had come, by the receiver's clock.
    pub came: [i64; 2],
}

/// `GET /v1/orders` answers, and what an order and its cancelling are answered with: that one alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orders {
    /// The second organisation's key; none where nothing can be shortened.
    pub second_key: Option<[u8; 32]>,
    /// Elapsed seconds now.
    pub elapsed: u64,
    /// The newest ones, and all that are pending.
    pub orders: Vec<OrderTold>,
}

impl Orders {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        write_option(&mut out, self.second_key.as_ref().map(<[u8; 32]>::as_slice));
        out.u64(self.elapsed).count(self.orders.len());
        for told in &self.orders {
            let state = match told.state {
                OrderState::Pending => 1,
                OrderState::Counts => 2,
                OrderState::Cancelled => 3,
            };
            out.raw(&told.signed.encode()).u8(state).u64(told.from).i64(told.given).u64(told.snapshots);
            out.i64(told.came[0]).i64(told.came[1]);
        }
        out.into_bytes()
    }

    /// Parses them.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new("orders", bytes);
        let (second_key, elapsed) = (read_option(&mut reader)?, reader.u64()?);
        let count = reader.count(1)?;
        reader.check(count <= MAX_TOLD, "too many orders")?;
        let orders = (0..count).map(|_| told(&mut reader)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { second_key, elapsed, orders })
    }
}

fn told(reader: &mut Reader<'_>) -> Result<OrderTold, FormatError> {
    let signed = SignedOrder::read(reader)?;
    let state = match reader.u8()? {
        1 => OrderState::Pending,
        2 => OrderState::Counts,
        3 => OrderState::Cancelled,
        _ => return Err(reader.invalid("no such state")),
    };
    let (from, given, snapshots) = (reader.u64()?, reader.i64()?, reader.u64()?);
    Ok(OrderTold { signed, state, from, given, snapshots, came: [reader.i64()?, reader.i64()?] })
}

fn write_option(out: &mut Writer, bytes: Option<&[u8]>) {
    match bytes {
        None => out.u8(0),
        Some(bytes) => out.u8(1).raw(bytes),
    };
}

fn read_option<const N: usize>(reader: &mut Reader<'_>) -> Result<Option<[u8; N]>, FormatError> {
    match reader.u8()? {
        0 => Ok(None),
        1 => reader.array().map(Some),
        _ => Err(reader.invalid("neither there nor not")),
    }
}

/// What only the kit can read. Wiped when it goes.
pub struct OrderSecret(Secret);

impl OrderSecret {
    /// From random bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::from_bytes(LABEL, bytes))
    }

    /// What is sealed to the kit. It says for what: an answer that gives a new box its place shortens nothing.
    pub fn payload(&self) -> Vec<u8> {
        self.0.payload()
    }

    /// From what the kit opened.
    pub fn of_payload(payload: &[u8]) -> Result<Self, FormatError> {
        Secret::of_payload(WHAT, LABEL, payload).map(Self)
    }

    /// The proof on this connection, over the bytes of an order or of its cancelling.
    pub fn proof(&self, between: &Between, said: &[u8]) -> [u8; 32] {
        self.0.proof(between, blake3::hash(said).as_bytes())
    }

    /// Whether it is that proof, in a time that does not tell.
    pub fn is_proven(&self, between: &Between, said: &[u8], proof: &[u8; 32]) -> bool {
        self.0.is_proven(between, blake3::hash(said).as_bytes(), proof)
    }
}

impl fmt::Debug for OrderSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OrderSecret(..)")
    }
}

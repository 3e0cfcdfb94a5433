//! Thirty days of changes between two places, over lines that are cut: what is sent is what is new, and little more. All bytes of all requests count, surveys and challenges among them.

use keepwell_format::node::FileId;
use keepwell_format::{Key, Kind, Time};
use keepwell_storage::{Access, Class, Io, ObjectName, Pool};
use keepwell_vault::Env;

use crate::random::Random;
use crate::second_site::{DAY, Sites};
use crate::tree::{Run, Thing, Tree};
use crate::world::{dynamic, env};

const DAYS: u64 = 30;

/// A practice's share: many small files that stay, and some large ones.
struct Practice {
    random: Random,
    tree: Tree,
    made: u64,
}

impl Practice {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x30da);
        let mut practice = Self { tree: Tree::new(&mut random), random, made: 0 };
        (0..60).for_each(|n| practice.write(&format!("record{n:03}"), 8_000 + 300 * n));
        (0..4).for_each(|n| practice.write(&format!("image{n}"), 900_000));
        practice
    }

    /// A file with bytes that nobody has seen before, in the place of what was there.
    fn write(&mut self, name: &str, length: u64) {
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        self.random.fill(&mut bytes);
        self.put(name, bytes);
    }

    fn put(&mut self, name: &str, bytes: Vec<u8>) {
        self.made += 1;
        let template = self.tree.things.values().find(|thing| thing.node.kind == Kind::File && thing.link_to.is_none()).unwrap();
        let mut node = template.node.clone();
        let time = Time { seconds: 1_000_000 + i64::try_from(self.made).unwrap(), nanos: 0 };
        (node.mtime, node.ctime, node.file_id) =
            (Some(time), Some(time), Some(FileId { volume: 1, file: 1_000_000 + u128::from(self.made) }));
        let key = Key::from_path(name.as_bytes()).unwrap();
        self.tree.things.insert(key, Thing { node, runs: vec![Run::Bytes(bytes)], link_to: None });
    }

    /// A working day: new images, records that change here and there, one that goes.
    fn day(&mut self, day: u64) {
        for n in 0..2 {
            let length = 200_000 + self.random.below(300_000);
            self.write(&format!("image-{day:02}-{n}"), length);
        }
        for _ in 0..10 {
            let name = format!("record{:03}", self.random.below(60));
            let Some(thing) = self.tree.things.get(&Key::from_path(name.as_bytes()).unwrap()) else { continue };
            let [Run::Bytes(bytes)] = thing.runs.as_slice() else { panic!("a record is bytes") };
            let mut bytes = bytes.clone();
            let mut more = vec![0; 100];
            self.random.fill(&mut more);
            let at = self.random.below(bytes.len() as u64) as usize;
            bytes.splice(at..at, more);
            self.put(&name, bytes);
        }
        let gone = format!("image-{:02}-1", self.random.below(DAYS));
        self.tree.things.remove(&Key::from_path(gone.as_bytes()).unwrap());
    }
}

/// Bytes of all objects of the vault: what is new of it at each time is what was added.
fn stored(sites: &Sites) -> u64 {
    let pool = Pool::open(dynamic(&sites.near), Access::Read).unwrap().with_io(Io::Sequential);
    let length = |class: Class| pool.objects(class).into_iter().map(move |id| ObjectName { class, id }).collect::<Vec<_>>();
    [Class::Pack, Class::Manifest, Class::Keyring, Class::Slots, Class::Tombstone]
        .into_iter()
        .flat_map(length)
        .map(|name| pool.len(name).unwrap())
        .sum()
}

fn month(seed: u64) {
    let mut practice = Practice::new(seed);
    let env = Env { pack_target: 1 << 20, ..env() };
    let mut sites = Sites::new("2+1".parse().unwrap(), "1+1".parse().unwrap(), env);
    sites.back_up(&practice.tree);
    let mut luck = Random::new(seed);
    sites.send(|| (luck.below(3) > 0).then(|| 1000 + luck.below(900_000)));
    let (before, first) = (stored(&sites), sites.line.sent);
    assert!(first * 10 <= before * 11, "the first copy: {first} bytes were sent, {before} are stored");
    for day in 0..DAYS {
        sites.now += DAY;
        practice.day(day);
        sites.back_up(&practice.tree);
        let round = sites.send(|| (luck.below(3) > 0).then(|| 1000 + luck.below(900_000)));
        assert_eq!((round.lost.len(), round.unread.len()), (0, 0));
        let mut seed = [0; 32];
        luck.fill(&mut seed);
        assert!(sites.challenge(seed).is_empty());
        // The other rounds of a day, which find nothing to send.
        (0..24).for_each(|_| drop(sites.send(|| None)));
    }
    let (new, sent) = (stored(&sites) - before, sites.line.sent - first);
    println!("seed {seed}: {new} bytes are new in {DAYS} days, {sent} were sent: {} per mille", sent * 1000 / new);
    assert!(new > 15_000_000, "{new}");
    assert!(sent * 10 <= new * 11, "{sent} bytes were sent for {new}");
    assert!(sent >= new, "each new byte was sent");
    assert_eq!(sites.signed.len(), usize::try_from(DAYS).unwrap() + 1);
    assert!(sites.not_given_back().is_empty());
}

#[test]
fn a_month_costs_little_more_than_what_is_new() {
    (0..3).for_each(month);
}

//! `keepwell recover`: a vault comes back from the box that kept it, with two papers and nothing else. Goes on where an earlier call was cut.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use keepwell_api::hex;
use keepwell_api::offsite::STATE_NAME;
use keepwell_format::VaultId;
use keepwell_recover::{Joined, Listener, Order, Papers, Patience, Recovered, is_unfinished, recover};
use keepwell_storage::{Access, Layout, Pool, PoolError, PoolIds, disks_in, disks_up_to};
use keepwell_vault::{IndexPlace, Progress as _, Snapshot, Step};
use keepwell_wire::{KeyName, PlaceCode, PlaceCodeError};
use serde_json::json;

use crate::exit::{CliError, Exit};
use crate::opening::SystemClock;
use crate::output::{self, Answer};
use crate::progress::Meter;
use crate::random::Random;
use crate::{init, memory, opening, text, unlock};

/// Folder in the vault's folder for what is under way, and for the new box's key.
const NOTES: &str = "recover";

/// `recover`.
#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    /// The code on the sheet that is kept with the papers, which says both of the following; blanks do not matter
    #[arg(long, value_name = "CODE", required_unless_present_all = ["from", "key"], conflicts_with = "key")]
    pub(crate) place: Option<PlaceArg>,
    /// The box that keeps the vault, as it is found from here; with --place, where it is found now
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) from: Option<String>,
    /// The name of its key, 64 hexadecimal digits: nobody else is asked
    #[arg(long, value_name = "NAME", requires = "from")]
    pub(crate) key: Option<KeyArg>,
    /// Two of the three kit files; they are read and go nowhere
    #[arg(long, value_name = "FILE,FILE")]
    pub(crate) papers: PapersArg,
    /// Folder of the new vault: one that does not exist, or with empty disks mounted in it as disk-1, disk-2 and so on. A call that was cut goes on in the same one
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
    /// Number of disks, where the folder has none [default: K+M of the layout, or 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) disks: Option<u8>,
    /// Data and parity shards; any M disks may be lost [default: by number of disks]
    #[arg(long, value_name = "K+M")]
    pub(crate) layout: Option<Layout>,
    /// End as soon as the newest snapshot of the first share is whole; the next call brings the rest
    #[arg(long)]
    pub(crate) until_first: bool,
    /// Bring back also what the lost box had been told to forget: for when somebody else told it to
    #[arg(long)]
    pub(crate) forgotten: bool,
}

/// The name of a key.
#[derive(Clone, Debug)]
pub(crate) struct KeyArg(KeyName);

impl FromStr for KeyArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain: String = text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
        hex::decode(&plain).map(|name| Self(KeyName(name))).ok_or("wanted is the name of the other box's key: 64 hexadecimal digits")
    }
}

/// What the sheet of the second site says.
#[derive(Clone, Debug)]
pub(crate) struct PlaceArg(PlaceCode);

impl FromStr for PlaceArg {
    type Err = PlaceCodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        PlaceCode::parse(text).map(Self)
    }
}

/// Who is asked, and where.
fn receiver(args: &RecoverArgs, vault: VaultId) -> Result<(String, KeyName), CliError> {
    match (&args.place, &args.from, &args.key) {
        (Some(PlaceArg(code)), ..) if code.vault != vault => Err(CliError::Refused(format!(
            "the papers are of vault {vault}, and the code is of where vault {} is kept; nothing was asked for",
            code.vault
        ))),
        (Some(PlaceArg(code)), from, _) => Ok((from.clone().unwrap_or_else(|| code.address.clone()), code.receiver)),
        (None, Some(from), Some(KeyArg(key))) => Ok((from.clone(), *key)),
        _ => Err(CliError::Usage("give --place, or --from and --key".into())),
    }
}

/// Two kit files.
#[derive(Clone, Debug)]
pub(crate) struct PapersArg(PathBuf, PathBuf);

impl PapersArg {
    pub(crate) fn first(&self) -> &Path {
        &self.0
    }

    pub(crate) fn second(&self) -> &Path {
        &self.1
    }
}

impl FromStr for PapersArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split(',').collect::<Vec<_>>()[..] {
            [a, b] if a.is_empty() || b.is_empty() => Err("wanted is FILE,FILE: two of the three kit files"),
            [a, b] if a == b => Err("the same kit file is given twice; two different ones are needed"),
            [a, b] => Ok(Self(a.into(), b.into())),
            _ => Err("two kit files are needed, with one comma between them (and none in their names)"),
        }
    }
}

/// Refuses to change a vault that is still on its way: numbers of packs would be given twice.
pub(crate) fn refuse_unfinished(vault: &Path) -> Result<(), CliError> {
    if !is_unfinished(&vault.join(NOTES)) {
        return Ok(());
    }
    Err(CliError::Refused(format!(
        "{} is still being fetched from another box, so nothing new goes into it yet; nothing was changed. Call 'keepwell recover' again until it says that all is there. Restoring from it is possible meanwhile",
        vault.display()
    )))
}

/// Runs it.
pub(crate) fn run(args: &RecoverArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    memory::seclude();
    let papers = Papers::new(unlock::kit_file(&args.papers.0)?, unlock::kit_file(&args.papers.1)?)?;
    let (address, receiver) = receiver(args, papers.vault())?;
    let random = Random::new()?;
    let notes = args.to.join(NOTES);
    let begun = notes.exists();
    if !begun {
        init::refuse_others(&args.to)?;
    }
    answer.field("vault", papers.vault().to_string());
    let (layout, disks) = init::shape(args.layout, args.disks.or(there(&args.to)))?;
    opening::make_disks(&args.to, disks)?;
    let order = Order {
        address: &address,
        receiver,
        papers: &papers,
        notes: &notes,
        index: index(&args.to),
        forgotten: args.forgotten,
        until_first: args.until_first,
        patience: Patience::default(),
        clock: Arc::new(SystemClock),
    };
    let teller: Arc<dyn Listener> = Arc::new(Teller { meter: Meter::start(answer.is_json()), json: answer.is_json() });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(CliError::file("start the work for", &args.to))?;
    let done = runtime.block_on(recover(&order, |vault| pool(&args.to, vault, layout, disks, random), teller));
    runtime.shutdown_background();
    Ok(show(answer, args, &done?))
}

/// Disks that lie in the folder already.
fn there(folder: &Path) -> Option<u8> {
    let disks = disks_in(folder).map_or(0, |disks| disks.len());
    u8::try_from(disks).ok().filter(|disks| *disks > 0)
}

fn index(folder: &Path) -> IndexPlace {
    let cache = folder.join("cache");
    // Without it the engine keeps its index in memory.
    match fs::create_dir_all(&cache) {
        Ok(()) => IndexPlace::File(cache.join("index.sqlite")),
        Err(_) => IndexPlace::Memory,
    }
}

/// The pool that an earlier call made, or a new one.
fn pool(folder: &Path, vault: VaultId, layout: Layout, disks: u8, mut random: Random) -> Result<Pool, PoolError> {
    let places = disks_up_to(folder, disks);
    match Pool::open(places.clone(), Access::Write) {
        Ok(pool) if pool.vault() == vault.0 => {
            // An earlier call was cut while it made the pool.
            let ids: Vec<[u8; 16]> = (0..pool.empty_disks()).map(|_| random.id()).collect();
            if !ids.is_empty() {
                pool.adopt_empty_disks(&ids)?;
            }
            Ok(pool)
        }
        Ok(_) => Err(PoolError::Invalid(format!("{} holds another vault; nothing was changed in it", folder.display()))),
        Err(PoolError::NoVault { .. }) => {
            let ids = PoolIds { vault: vault.0, disks: (0..disks).map(|_| random.id()).collect() };
            Pool::create(places, ids, layout)
        }
        Err(error) => Err(error),
    }
}

/// Tells how far it is.
struct Teller {
    meter: Meter,
    json: bool,
}

impl Teller {
    fn tell(&self, event: &str, text: &str) {
        output::tell(event, text, self.json);
    }
}

impl Listener for Teller {
    fn joined(&self, joined: Joined) {
        match joined {
            Joined::Before => {}
            Joined::Now => self.tell("joined", "This box has the lost one's place now. The lost one's key opens nothing there any more."),
            Joined::Back => self.tell(
                "joined",
                "warning: another box had taken this one's place since it began, with two papers of the kit; the papers gave it back. If nobody of yours did that, somebody has two of your papers.",
            ),
        }
    }

    fn planned(&self, snapshots: usize, packs: usize, bytes: u64, first: u64) {
        let text = format!(
            "{} at the other box. To come: {}, of them {} for the newest of each share.",
            text::count(snapshots as u64, "snapshot"),
            text::size(bytes),
            text::size(first)
        );
        self.tell("planned", &text);
        self.meter.begin(Step::Fetch, packs as u64, bytes);
    }

    fn received(&self, bytes: u64) {
        self.meter.advance(0, bytes);
    }

    fn stored(&self) {
        self.meter.advance(1, 0);
    }

    fn whole(&self, snapshot: &Snapshot, newest: bool, lost: usize) {
        if !newest || snapshot.body.name == STATE_NAME {
            return;
        }
        let (name, id) = (&snapshot.body.name, snapshot.id.short());
        self.tell(
            "whole",
            &match lost {
                0 => format!("'{name}' of {} UTC is here and can be restored: snapshot {id}.", text::time(snapshot.received)),
                _ => format!("'{name}' of {} UTC is here, but parts of it are lost: snapshot {id}.", text::time(snapshot.received)),
            },
        );
    }
}

fn show(answer: &mut Answer, args: &RecoverArgs, done: &Recovered) -> Exit {
    answer.field("all", done.all);
    answer.field("snapshots", done.snapshots);
    answer.field("newest", done.newest);
    answer.field("forgotten", done.forgotten);
    answer.field("tiers_known", done.tiers > 0);
    let to = args.to.display();
    let snapshots = text::count(done.snapshots as u64, "snapshot");
    answer.field("before", done.before);
    if done.before {
        answer.line(format_args!("All that the other box kept of this vault is in {to} already: nothing was asked for."));
    } else if done.all {
        answer.line(format_args!("All that the other box keeps of this vault is in {to}: {snapshots}."));
    } else {
        answer.line(format_args!("{snapshots} can be restored from {to}. The same command without --until-first brings the rest."));
    }
    if let Some(newest) = done.newest {
        answer.line(format_args!("  The newest is of {} UTC: what was written after that is not there.", text::time(newest)));
    }
    if done.forgotten > 0 {
        answer.line(format_args!(
            "  {} that the lost box had been told to forget stayed there; into another folder, --forgotten brings them as well.",
            text::count(done.forgotten as u64, "snapshot")
        ));
    }
    if done.all {
        answer.line(format_args!(
            "  A box that gets these disks has the shares, people and history of the lost one, and goes on sending to the other box."
        ));
    }
    answer.line(format_args!("  See them:   keepwell vault list --vault {to} --unlock kit:FILE,FILE"));
    answer.line(format_args!("  Get files:  keepwell vault restore --vault {to} --unlock kit:FILE,FILE SNAP --to FOLDER"));
    answer.heading("Parts of these are lost at the other box; 'keepwell vault verify' names the files", done.damaged.len());
    answer.list(
        "damaged",
        &done.damaged,
        |(snapshot, lost)| format!("{} '{}': {}", snapshot.id.short(), snapshot.body.name, text::count(*lost as u64, "pack")),
        |(snapshot, lost)| json!({ "snapshot": snapshot.id.to_string(), "name": snapshot.body.name, "lost_packs": lost }),
    );
    answer.heading("Not brought, because they can't be read", done.unreadable.len());
    answer.long_list("unreadable", &done.unreadable, Clone::clone, |text| json!(text));
    Exit::of(done.damaged.is_empty() && done.unreadable.is_empty())
}

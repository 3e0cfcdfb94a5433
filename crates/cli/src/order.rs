//! `keepwell order`: what two organisations need to have a box keep something for a shorter time than it promised. Works on files and asks the box that keeps; needs no box of its own.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use keepwell_api::hex;
use keepwell_crypt::{Secret, Signer};
use keepwell_recover::shorten::{Canceller, cancel, give};
use keepwell_recover::{Papers, RecoverError};
use keepwell_wire::shorten::{Cancel, Orders, SignedOrder, What};
use zeroize::Zeroizing;

use crate::appliance::new_file::NewFile;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::random::Random;
use crate::recover::PapersArg;
use crate::{memory, text, unlock};

/// First line of a key file.
const KEY: &str = "keepwell second key 1";
/// An order that names 1,024 snapshots is 33,000 bytes.
const LONGEST: u64 = 64 << 10;
const DAY: u64 = 86_400;

/// `order`.
#[derive(Debug, Subcommand)]
pub(crate) enum OrderCommand {
    /// Make the second organisation's key, and print what 'keepwell offsite invite --second-key' takes
    Key(KeyArgs),
    /// Say what an order would do, and whether it is signed
    Show(FileArgs),
    /// Sign an order for the second organisation
    Sign(SignArgs),
    /// Give an order to the box that keeps, with two papers of the recovery kit: it counts seven days later
    Give(GiveArgs),
    /// Cancel an order that does not count yet, with two papers or the second organisation's key
    Cancel(CancelArgs),
}

impl OrderCommand {
    /// The words that the user typed.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Key(_) => "order key",
            Self::Show(_) => "order show",
            Self::Sign(_) => "order sign",
            Self::Give(_) => "order give",
            Self::Cancel(_) => "order cancel",
        }
    }
}

/// `order key`.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// Where the key goes: a file that does not exist. Whoever has it is the second organisation
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// `order show`.
#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// The order, as 'keepwell offsite order' made it
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// `order sign`.
#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The order; the signature goes into it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The second organisation's key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// `order give`.
#[derive(Debug, Args)]
pub(crate) struct GiveArgs {
    /// The order, signed
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The box that keeps, as it is found from here
    #[arg(long, value_name = "HOST:PORT")]
    to: String,
    /// Two of the three kit files; they are read and go nowhere
    #[arg(long, value_name = "FILE,FILE")]
    papers: PapersArg,
}

/// `order cancel`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("right").required(true).args(["papers", "key"])))]
pub(crate) struct CancelArgs {
    /// The order
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The box that keeps, as it is found from here
    #[arg(long, value_name = "HOST:PORT")]
    to: String,
    /// Two of the three kit files
    #[arg(long, value_name = "FILE,FILE")]
    papers: Option<PapersArg>,
    /// The second organisation's key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// Runs it.
pub(crate) fn run(command: &OrderCommand, answer: &mut Answer) -> Result<Exit, CliError> {
    match command {
        OrderCommand::Key(args) => make_key(&args.file, answer)?,
        OrderCommand::Show(args) => show(&read(&args.file)?, answer),
        OrderCommand::Sign(args) => sign(args, answer)?,
        OrderCommand::Give(args) => {
            memory::seclude();
            let order = read(&args.file)?;
            let papers = args.papers.open()?;
            told(&wait(give(&args.to, &order, &papers))?, answer);
        }
        OrderCommand::Cancel(args) => {
            memory::seclude();
            let order = read(&args.file)?.order;
            let gone = Cancel { id: order.id, vault: order.vault, receiver: order.receiver };
            let done = match (&args.papers, &args.key) {
                (Some(papers), _) => wait(cancel(&args.to, gone, Canceller::Papers(&papers.open()?)))?,
                (None, Some(key)) => wait(cancel(&args.to, gone, Canceller::Second(&signer(key)?)))?,
                (None, None) => return Err(CliError::Usage("give --papers or --key".into())),
            };
            answer.line("The order is cancelled: all is kept as was promised, and the order is used up.");
            answer.field("orders", done.orders.len());
        }
    }
    Ok(Exit::Complete)
}

impl PapersArg {
    fn open(&self) -> Result<Papers, CliError> {
        Ok(Papers::new(unlock::kit_file(self.first())?, unlock::kit_file(self.second())?)?)
    }
}

fn wait<T>(work: impl Future<Output = Result<T, RecoverError>>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CliError::Refused(format!("nothing can be asked: {error}; nothing was changed")))?;
    Ok(runtime.block_on(work)?)
}

fn make_key(path: &Path, answer: &mut Answer) -> Result<(), CliError> {
    memory::seclude();
    let mut seed = Zeroizing::new([0; 32]);
    Random::new()?.fill(&mut *seed);
    let public = hex::encode(&Signer::from_seed(&Secret::from_bytes(*seed)).verify_key());
    let mut file = NewFile::begin(path, false)?;
    let text = Zeroizing::new(format!("{KEY}\n{}\n", *Zeroizing::new(hex::encode(&*seed))));
    file.write_all(text.as_bytes()).map_err(CliError::file("write", path))?;
    file.finish()?;
    answer.line(format_args!("The key is in {}: whoever has that file is the second organisation. Its public half:", path.display()));
    answer.line(format_args!("  {public}"));
    answer.field("public", public);
    Ok(())
}

fn signer(path: &Path) -> Result<Signer, CliError> {
    let bytes = unlock::secret_file(path)?;
    let seed = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_prefix(KEY)).and_then(|rest| hex::decode::<32>(rest.trim()));
    let seed = seed
        .ok_or_else(|| CliError::Refused(format!("{} is no key as 'keepwell order key' makes it; nothing was changed", path.display())))?;
    Ok(Signer::from_seed(&Secret::from_bytes(seed)))
}

/// The public half: 64 digits, or a file with them.
pub(crate) fn public_key(given: &str) -> Result<String, CliError> {
    let digits = if hex::decode::<32>(given).is_some() {
        given.to_owned()
    } else {
        fs::read_to_string(given).map_err(CliError::file("read", Path::new(given)))?.trim().to_owned()
    };
    if hex::decode::<32>(&digits).is_none() {
        return Err(CliError::Refused(
            "the second organisation's key is 64 digits, as 'keepwell order key' prints them; nobody was invited".into(),
        ));
    }
    Ok(digits.to_ascii_lowercase())
}

fn sign(args: &SignArgs, answer: &mut Answer) -> Result<(), CliError> {
    memory::seclude();
    let mut order = read(&args.file)?;
    let signer = signer(&args.key)?;
    order.signature = Some(signer.sign(&order.order.encode()));
    write(&args.file, &order, true)?;
    show(&order, answer);
    answer.line("Signed for the second organisation. Who has two papers gives it to the box that keeps: 'keepwell order give'.");
    Ok(())
}

/// Writes an order.
pub(crate) fn write(path: &Path, order: &SignedOrder, replace: bool) -> Result<(), CliError> {
    let mut file = NewFile::begin(path, replace)?;
    file.write_all(&order.encode()).map_err(CliError::file("write", path))?;
    file.finish()
}

fn read(path: &Path) -> Result<SignedOrder, CliError> {
    let length = fs::metadata(path).map_err(CliError::file("read", path))?.len();
    let bytes = if length > LONGEST { Vec::new() } else { fs::read(path).map_err(CliError::file("read", path))? };
    SignedOrder::decode(&bytes).map_err(|error| CliError::Refused(format!("{} is no order: {error}; nothing was changed", path.display())))
}

/// What an order would do.
pub(crate) fn show(order: &SignedOrder, answer: &mut Answer) {
    let it = &order.order;
    answer.line(format_args!("Order {} for vault {} at the box with the key {}:", it.id, it.vault, it.receiver));
    match &it.what {
        What::Snapshots(named) => {
            answer
                .line(format_args!("  {} no longer kept there than until the order counts:", text::count(named.len() as u64, "snapshot")));
            answer.long_list("snapshots", named, |one| one.to_string(), |one| serde_json::json!(one.to_string()));
        }
        What::Floor(floor) => {
            answer.line(format_args!(
                "  every snapshot is kept there for {} at least, and no longer; keepers stay",
                text::count(floor / DAY, "day")
            ));
            answer.field("floor_s", *floor);
        }
    }
    answer.line(if order.signature.is_some() {
        "  There is a signature of a second organisation; that box knows whether it is the right one."
    } else {
        "  The second organisation has not signed it."
    });
    answer.field("order", it.id.to_string());
    answer.field("vault", it.vault.to_string());
    answer.field("receiver", it.receiver.to_string());
    answer.field("signed", order.signature.is_some());
}

fn told(orders: &Orders, answer: &mut Answer) {
    for told in &orders.orders {
        let days = text::count(told.from.saturating_sub(orders.elapsed) / DAY, "day");
        answer.line(format_args!("The other box has taken the order {}. In {days} of its time it counts:", told.signed.order.id));
        let [oldest, newest] = told.came;
        answer.line(format_args!(
            "  {} that came there between {} and {} UTC.",
            text::count(told.snapshots, "snapshot"),
            text::time(oldest),
            text::time(newest)
        ));
        answer.line("Until then whoever has the box, two papers or the second organisation's key cancels it.");
        answer.field("order", told.signed.order.id.to_string());
        answer.field("snapshots", told.snapshots);
        answer.field("counts_in_s", told.from.saturating_sub(orders.elapsed));
    }
}

//! `keepwell disks`: what a person does with the box's disks, through diskd's socket. Asks for serial numbers and asks the pool's labels; what may be done,
//! diskd decides.

pub(crate) mod args;
mod pool;
pub(crate) mod words;

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use keepwell_api::disks::{
    Disk, DiskDetail, Disks, Job, Locate, Mounted, SOCKET, SelfTest, SelfTestKind, Standing, Typed, Verdict, Vitals,
};
use keepwell_api::{Client, ClientError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::appliance::disks as pool_disks;
use crate::appliance::place::Place;
use crate::exit::{CliError, Exit};
use crate::output::{Answer, tell};
use args::{DangerArgs, DiskArgs, DisksCommand, EraseArgs};
use words::name;

/// Making a file system on a large, slow disk takes minutes.
const PATIENCE: Duration = Duration::from_secs(2400);
/// Between two looks at an erasure, which takes hours.
const STEP: Duration = Duration::from_secs(2);

/// Runs it: through the box where it looks after a pool, through diskd alone for what only that does, and where the user named its socket or there is no box yet.
pub(crate) fn run(command: &DisksCommand, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    if command.socket().is_none()
        && let Some(done) = pool_disks::run(command, place, answer)
        && !matches!(&done, Err(CliError::Api(error)) if matches!(**error, ClientError::Unreachable { .. }) && command.is_diskds())
    {
        return done;
    }
    let socket = command.socket().map_or_else(|| place.socket("diskd", SOCKET), Path::to_owned);
    let diskd = &Client::new("keepwell-diskd", socket, PATIENCE);
    match command {
        DisksCommand::Add(_) | DisksCommand::Remove(_) => Err(CliError::Usage("only a box with a pool takes disks in and out".into())),
        DisksCommand::List(_) => list(diskd, answer),
        DisksCommand::Show(args) => show(args, diskd, answer),
        DisksCommand::Prepare(args) => prepare(args, diskd, answer),
        DisksCommand::Mount(args) => mount(args, diskd, answer),
        DisksCommand::Unmount(args) => done(args, diskd, "/unmount", &Typed::default(), answer),
        DisksCommand::Grow(args) => done(args, diskd, "/grow", &Typed::default(), answer),
        DisksCommand::Erase(args) => erase(args, diskd, answer),
        DisksCommand::SelfTest(args) => {
            let kind = if args.long { SelfTestKind::Long } else { SelfTestKind::Short };
            done(&args.disk, diskd, "/self-test", &SelfTest { kind }, answer)
        }
        DisksCommand::Locate(args) => done(&args.disk, diskd, "/locate", &Locate { seconds: args.seconds }, answer),
        DisksCommand::Vitals(_) => vitals(diskd, answer),
    }
}

/// A disk that the user named, and the program that has it.
struct Chosen {
    client: Client,
    disk: Disk,
}

impl Chosen {
    fn new(args: &DiskArgs, diskd: &Client) -> Result<Self, CliError> {
        let all: Disks = diskd.get("/v1/disks")?;
        let exact = |disk: &&Disk| {
            disk.serial.as_str() == args.disk || (!disk.device.is_empty() && args.disk.trim_start_matches("/dev/") == disk.device)
        };
        let mut fitting: Vec<_> = all.disks.iter().filter(exact).collect();
        if fitting.is_empty() {
            fitting = all.disks.iter().filter(|disk| disk.serial.as_str().starts_with(&args.disk)).collect();
        }
        match fitting[..] {
            [disk] => Ok(Self { client: diskd.clone(), disk: disk.clone() }),
            [] => Err(CliError::Refused(format!("there is no disk '{}'; 'keepwell disks list' lists them", args.disk))),
            _ => Err(CliError::Refused(format!("'{}' is the beginning of more than one serial number", args.disk))),
        }
    }

    fn post<T: DeserializeOwned>(&self, verb: &str, body: &impl Serialize) -> Result<T, CliError> {
        Ok(self.client.post(&self.route(verb), body)?)
    }

    fn detail(&self) -> Result<DiskDetail, CliError> {
        Ok(self.client.get(&self.route(""))?)
    }

    fn route(&self, verb: &str) -> String {
        format!("/v1/disks/{}{verb}", self.disk.serial.in_route())
    }

    /// The serial number as the user typed it, with the command or now. One of another disk ends it before anything is done; diskd looks too.
    fn typed(&self, args: &DangerArgs, what: &str, answer: &Answer) -> Result<String, CliError> {
        let typed = ask(args.serial.as_deref(), what, answer)?;
        if typed.trim() == self.disk.serial.as_str() {
            return Ok(typed);
        }
        Err(CliError::Refused(format!("the serial number that was typed is not that of {}. Nothing was changed", name(&self.disk))))
    }
}

/// What the user typed as the serial number of a disk that is to be erased, with the command or now.
pub(crate) fn ask(serial: Option<&str>, what: &str, answer: &Answer) -> Result<String, CliError> {
    if let Some(serial) = serial {
        return Ok(serial.to_owned());
    }
    if answer.is_json() || !io::stdin().is_terminal() {
        return Err(CliError::Usage(format!("{what}: type its whole serial number with --serial if it is meant")));
    }
    let mut err = io::stderr();
    // A prompt that can't be shown is no reason to go on or to stop: what is typed decides.
    let _ = write!(err, "{what}.\nType the whole serial number of the disk to go on: ");
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(CliError::file("read", "standard input"))?;
    Ok(line.trim().to_owned())
}

fn list(diskd: &Client, answer: &mut Answer) -> Result<Exit, CliError> {
    let disks: Disks = diskd.get("/v1/disks")?;
    answer.list("disks", &disks.disks, words::line, |disk| json!(disk));
    disks.disks.iter().for_each(|disk| words::reasons(disk, answer));
    answer.list("unnamed", &disks.unnamed, Clone::clone, |text| json!(text));
    let well = |disk: &Disk| disk.health.verdict < Verdict::Suspect && !matches!(disk.standing, Standing::Spoilt { .. });
    Ok(Exit::of(disks.unnamed.is_empty() && disks.disks.iter().all(well)))
}

fn show(args: &DiskArgs, diskd: &Client, answer: &mut Answer) -> Result<Exit, CliError> {
    let detail = Chosen::new(args, diskd)?.detail()?;
    words::show(&detail, answer);
    Ok(Exit::of(detail.disk.health.verdict < Verdict::Suspect))
}

/// A request after which the disk is shown.
fn done(args: &DiskArgs, diskd: &Client, verb: &str, body: &impl Serialize, answer: &mut Answer) -> Result<Exit, CliError> {
    let detail: DiskDetail = Chosen::new(args, diskd)?.post(verb, body)?;
    words::brief(&detail.disk, answer);
    Ok(Exit::Complete)
}

fn prepare(args: &DangerArgs, diskd: &Client, answer: &mut Answer) -> Result<Exit, CliError> {
    let chosen = Chosen::new(&args.disk, diskd)?;
    let mut typed = Typed { typed_serial: args.serial.clone(), ..Typed::default() };
    if chosen.disk.standing != Standing::Blank {
        let what = format!("{} is {}, and all that is on it will be lost", name(&chosen.disk), words::standing(&chosen.disk.standing));
        typed.typed_serial = Some(chosen.typed(args, &what, answer)?);
        typed.retired = pool::release(&chosen, args)?;
    }
    let detail: DiskDetail = chosen.post("/prepare", &typed)?;
    words::brief(&detail.disk, answer);
    Ok(Exit::Complete)
}

fn mount(args: &DangerArgs, diskd: &Client, answer: &mut Answer) -> Result<Exit, CliError> {
    let chosen = Chosen::new(&args.disk, diskd)?;
    let mut typed = Typed { typed_serial: args.serial.clone(), ..Typed::default() };
    if matches!(chosen.disk.standing, Standing::OtherBox { .. }) {
        let what = format!("{} is {}", name(&chosen.disk), words::standing(&chosen.disk.standing));
        typed.typed_serial = Some(chosen.typed(args, &what, answer)?);
    }
    let mounted: Mounted = chosen.post("/mount", &typed)?;
    answer.field("disk", mounted.disk.as_str());
    answer.field("at", mounted.at.as_str());
    answer.line(format_args!("{} is mounted at {}.", name(&chosen.disk), mounted.at));
    Ok(Exit::Complete)
}

fn erase(args: &EraseArgs, diskd: &Client, answer: &mut Answer) -> Result<Exit, CliError> {
    let chosen = Chosen::new(&args.danger.disk, diskd)?;
    let what = format!("{} is {}, and all of it will be overwritten", name(&chosen.disk), words::standing(&chosen.disk.standing));
    let typed_serial = Some(chosen.typed(&args.danger, &what, answer)?);
    let retired = pool::release(&chosen, &args.danger)?;
    let file = args.certificate.as_ref().map(|path| {
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        file.map_err(CliError::file("make", path))
    });
    let file = file.transpose()?;
    let detail: DiskDetail = chosen.post("/erase", &Typed { typed_serial, retired, asked_by: args.asked_by.clone() })?;
    if args.no_wait {
        words::brief(&detail.disk, answer);
        return Ok(Exit::Complete);
    }
    let job = ended(&chosen, answer.is_json())?;
    let detail = chosen.detail()?;
    // A certificate of a former erasure is none of this one.
    let certificate = detail.certificate.as_ref().filter(|certificate| words::ended_at(certificate).is_some_and(|at| at >= job.began_at));
    if let (Some(mut file), Some(certificate), Some(path)) = (file, certificate, &args.certificate) {
        let text = serde_json::to_vec_pretty(certificate).map_err(|error| CliError::file("write", path)(error.into()))?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(CliError::file("write", path))?;
    }
    if let Some(certificate) = certificate {
        words::certificate(certificate, answer);
    }
    match job.error {
        None => Ok(Exit::Complete),
        Some(error) => Err(CliError::Refused(error)),
    }
}

/// Waits for the end of the disk's job and says how far it is.
fn ended(chosen: &Chosen, json: bool) -> Result<Job, CliError> {
    let mut told = None;
    loop {
        let job = chosen
            .detail()?
            .disk
            .job
            .ok_or_else(|| CliError::Refused("diskd was started again, so the disk is only partly erased".into()))?;
        let percent = job.done_bytes.saturating_mul(100) / job.total_bytes.max(1);
        if told != Some(percent) && (json || io::stderr().is_terminal()) {
            tell("progress", &format!("{percent} % erased and read back"), json);
            told = Some(percent);
        }
        if job.ended_at.is_some() {
            return Ok(job);
        }
        thread::sleep(STEP);
    }
}

fn vitals(diskd: &Client, answer: &mut Answer) -> Result<Exit, CliError> {
    let vitals: Vitals = diskd.get("/v1/vitals")?;
    words::vitals(&vitals, answer);
    Ok(Exit::Complete)
}

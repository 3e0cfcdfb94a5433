//! A question to a disk, and the two ways to smartctl: as a child, or through the socket of `keepwell-smart`, which runs it in a sandbox of its own. The question names a
//! device and nothing else of smartctl's many options, so whoever may ask can do no harm with it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ANSWER_MAX, SmartError};
use crate::program::{self, ProgramError, Stuck};

/// What a disk is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Its device file.
    pub device: PathBuf,
    /// What.
    pub what: What,
    /// As SATA behind SCSI (SAT), which many USB cases need to be told.
    pub sat: bool,
}

/// What is wanted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Its health.
    Health,
    /// That it begins a short self-test.
    ShortTest,
    /// That it begins a long one.
    LongTest,
}

/// smartctl's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    /// Its exit status, a bitmask (smartctl(8), RETURN VALUES).
    pub(super) status: i32,
    /// What it printed.
    pub(super) out: Vec<u8>,
}

/// In place of an exit status: smartctl did not answer in time; the disk hangs.
const SILENT: i32 = i32::MIN;
/// In place of an exit status: smartctl could not be run; says nothing of the disk.
const NOT_RUN: i32 = i32::MIN + 1;
/// Longest question on the socket.
const QUESTION_MAX: u64 = 4 << 10;
/// For the way there and back.
const MARGIN: Duration = Duration::from_secs(5);

impl Question {
    /// smartctl's arguments. The device is a file right in `/dev` whose name can't be an option or lead elsewhere.
    fn arguments(&self) -> Result<Vec<&str>, SmartError> {
        let name = self.device.to_str().and_then(|path| Some((path, path.strip_prefix("/dev/")?)));
        let plain = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
        let (device, _) = name.filter(|(_, name)| plain(name)).ok_or_else(|| SmartError::Name(self.device.clone()))?;
        let mut arguments = vec!["--json=c"];
        arguments.extend_from_slice(match self.what {
            What::Health => &["-x"],
            What::ShortTest => &["-t", "short"],
            What::LongTest => &["-t", "long"],
        });
        arguments.extend_from_slice(if self.sat { &["-d", "sat"] } else { &[] });
        arguments.push(device);
        Ok(arguments)
    }

    /// Asks through smartctl as a child.
    pub(super) fn run(&self, program: &Path, deadline: Duration) -> Result<Answered, SmartError> {
        let said = program::run(program, &self.arguments()?, &[], deadline, ANSWER_MAX).map_err(SmartError::Program)?;
        Ok(Answered { status: said.status, out: said.out })
    }

    /// Asks through `keepwell-smart`.
    pub(super) fn send(&self, socket: &Path, deadline: Duration) -> Result<Answered, SmartError> {
        let program = || socket.display().to_string();
        let silent = |stuck| SmartError::Program(ProgramError::Deadline { program: program(), seconds: deadline.as_secs(), stuck });
        self.arguments()?;
        let failed = |source| SmartError::Program(ProgramError::Start { program: program(), source });
        let mut stream = UnixStream::connect(socket).map_err(failed)?;
        let mut exchange = || -> io::Result<Answered> {
            stream.set_read_timeout(Some(deadline + MARGIN))?;
            stream.set_write_timeout(Some(MARGIN))?;
            let mut line = serde_json::to_vec(self)?;
            line.push(b'\n');
            stream.write_all(&line)?;
            stream.shutdown(Shutdown::Write)?;
            let mut status = [0; 4];
            stream.read_exact(&mut status)?;
            let mut out = Vec::new();
            if i32::from_le_bytes(status) == SILENT {
                return Ok(Answered { status: SILENT, out });
            }
            (&stream).take(ANSWER_MAX as u64).read_to_end(&mut out)?;
            Ok(Answered { status: i32::from_le_bytes(status), out })
        };
        match exchange() {
            // The connection lasts as long as the smartctl that waits inside the kernel.
            Ok(Answered { status: SILENT, .. }) => Err(silent(Some(Stuck::until(move || wait_for_end(stream))))),
            Ok(Answered { status: NOT_RUN, out }) => {
                let said = String::from_utf8_lossy(&out).chars().filter(|c| !c.is_control()).take(200).collect();
                Err(SmartError::Program(ProgramError::Failed { program: program(), status: -1, said }))
            }
            Ok(answered) => Ok(answered),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Err(silent(Some(Stuck::until(move || wait_for_end(stream)))))
            }
            Err(source) => Err(failed(source)),
        }
    }
}

/// Until the other side ends the connection.
fn wait_for_end(mut stream: UnixStream) {
    // Without it the connection would seem to have ended when it has not; then it is asked again too early, and that is all.
    let _ = stream.set_read_timeout(None);
    let _ = io::copy(&mut stream, &mut io::sink());
}

/// Answers the one question of a connection; the side of `keepwell-smart`. What is no question gets no answer. Ends when smartctl has: one that can't be killed is
/// waited for, so that the other side sees by the connection that the disk still hangs, and asks nothing more.
pub fn answer(from: impl Read, mut to: impl Write, smartctl: &Path, deadline: Duration) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new(from.take(QUESTION_MAX)).read_line(&mut line)?;
    let question: Question = serde_json::from_str(&line)?;
    let mut waits = None;
    let answered = question.run(smartctl, deadline).unwrap_or_else(|error| match error {
        SmartError::Program(ProgramError::Deadline { stuck, .. }) => {
            waits = stuck;
            Answered { status: SILENT, out: Vec::new() }
        }
        SmartError::Program(error) => Answered { status: NOT_RUN, out: error.to_string().into_bytes() },
        error => Answered { status: NOT_RUN, out: error.to_string().into_bytes() },
    });
    to.write_all(&answered.status.to_le_bytes())?;
    to.write_all(&answered.out)?;
    to.flush()?;
    if let Some(stuck) = waits {
        stuck.wait();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn question(device: &str) -> Question {
        Question { device: device.into(), what: What::ShortTest, sat: true }
    }

    #[test]
    fn only_devices_are_asked() {
        assert_eq!(question("/dev/sda").arguments().unwrap(), ["--json=c", "-t", "short", "-d", "sat", "/dev/sda"]);
        for bad in ["sda", "-x", "/dev/", "/dev/../etc/passwd", "/dev/disk/by-id/x", "/dev/sd a", "/dev/-x", "/etc/passwd"] {
            assert!(question(bad).arguments().is_err(), "{bad}");
        }
    }

    #[test]
    fn through_a_socket_it_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let script = |name, text| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
            path
        };
        let (program, hangs) = (script("smartctl", "#!/bin/sh\necho \"$@\"\nexit 68\n"), script("hangs", "#!/bin/sh\nexec sleep 600\n"));
        let listener = UnixListener::bind(&socket).unwrap();
        let server = std::thread::spawn(move || {
            for (program, deadline) in [(&*program, LONG), (&hangs, Duration::from_millis(100)), (Path::new("/no/such"), LONG)] {
                let (stream, _) = listener.accept().unwrap();
                answer(stream.try_clone().unwrap(), stream, program, deadline).unwrap();
            }
        });
        let answered = question("/dev/sda").send(&socket, LONG).unwrap();
        assert_eq!((answered.status, answered.out.as_slice()), (68, b"--json=c -t short -d sat /dev/sda\n".as_slice()));
        let silent = question("/dev/sda").send(&socket, LONG).unwrap_err();
        assert!(matches!(silent, SmartError::Program(ProgramError::Deadline { stuck: Some(_), .. })), "{silent:?}");
        if let SmartError::Program(ProgramError::Deadline { stuck: Some(stuck), .. }) = &silent {
            // This one could be killed, so that the connection has ended.
            stuck.wait();
        }
        assert!(matches!(silent, SmartError::Program(ProgramError::Deadline { .. })), "{silent:?}");
        let not_run = question("/dev/sda").send(&socket, LONG).unwrap_err();
        assert!(matches!(&not_run, SmartError::Program(ProgramError::Failed { said, .. }) if said.contains("/no/such")), "{not_run:?}");
        server.join().unwrap();
        let strange = b"{\"device\":\"/dev/sda\",\"what\":\"format\",\"sat\":false}\n";
        assert!(answer(&strange[..], Vec::new(), Path::new("/no/such"), LONG).is_err());
    }

    #[test]
    fn a_disk_hangs_as_long_as_the_connection_lasts() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(&SILENT.to_le_bytes()).unwrap();
            stream
        });
        let silent = question("/dev/sda").send(&socket, LONG).unwrap_err();
        let SmartError::Program(ProgramError::Deadline { stuck: Some(stuck), .. }) = silent else { panic!("{silent:?}") };
        let stream = server.join().unwrap();
        assert!(!stuck.is_gone());
        drop(stream);
        stuck.wait();
    }
}

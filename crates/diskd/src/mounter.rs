//! The acts that take a right over the whole system: mounting, unmounting, letting a file system grow. diskd does them itself where it is given that right, and on a box has them done by `keepwell-mount`,
//! through a socket: so diskd has no right to mount, and lives in a view of the files where the other programs' are not. `keepwell-mount` knows two folders and does nothing outside of them.

use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, UnmountFlags};
use serde::{Deserialize, Serialize};

use crate::program;

/// Nothing on a disk can run, be a device or lead elsewhere.
const FLAGS: MountFlags =
    MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC).union(MountFlags::NOATIME).union(MountFlags::NOSYMFOLLOW);
/// Longest question on the socket.
const QUESTION_MAX: u64 = 4 << 10;
/// A file system that was not unmounted is put in order while it is mounted, and one that grows may be a slow disk's.
const LONGEST: Duration = Duration::from_secs(1800);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Act {
    /// Mounts a partition, and gives its root folder to whom it is for.
    Mount {
        /// Its name in `/dev`.
        device: String,
        /// What is on it.
        kind: Kind,
        /// An empty folder.
        at: PathBuf,
    },
    /// Writes what is not written yet and unmounts; refused as long as files are open.
    Unmount {
        /// Where.
        at: PathBuf,
    },
    /// Unmounts what is gone. Who still has files open gets errors.
    LetGo {
        /// Where.
        at: PathBuf,
    },
    /// Lets the file system use all of its partition.
    Grow {
        /// Where.
        at: PathBuf,
    },
}

/// A kind of file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Of a disk of the pool.
    Xfs,
    /// Of a disk to take away.
    Ext4,
}

/// How it went: nothing, or the system's number of the error and its words.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    errno: Option<i32>,
    failed: Option<String>,
}

/// What whoever does it was told beforehand.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Folders right below which things are mounted; anything else is refused.
    pub bases: Vec<PathBuf>,
    /// User and group whose the root folder of each disk is; as it is when absent.
    pub owner: Option<(u32, u32)>,
    /// Group that may read what is mounted below the first of the folders; nobody when absent.
    pub readers: Option<u32>,
    /// The program that lets a mounted file system grow.
    pub growfs: PathBuf,
}

/// Who does it.
#[derive(Clone, Debug, Default)]
pub enum Mounter {
    /// This process.
    #[default]
    Itself,
    /// `keepwell-mount`, which listens there.
    Socket(PathBuf),
}

impl Mounter {
    /// Has it done.
    pub fn act(&self, act: &Act, rules: &Rules) -> io::Result<()> {
        match self {
            Self::Itself => act.run(rules),
            Self::Socket(socket) => act.send(socket),
        }
    }
}

impl Act {
    fn at(&self) -> &Path {
        match self {
            Self::Mount { at, .. } | Self::Unmount { at } | Self::LetGo { at } | Self::Grow { at } => at,
        }
    }

    /// Whether it stays within the rules. Names are plain, so that none can lead elsewhere.
    fn allowed(&self, rules: &Rules) -> bool {
        let plain = |name: &str| !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric());
        let at = self.at();
        let named = at.file_name().and_then(|name| name.to_str()).is_some_and(plain);
        // As text too: `base/./x` has the same parent.
        let placed = rules.bases.iter().any(|base| at.file_name().is_some_and(|name| base.join(name).as_os_str() == at.as_os_str()));
        let device = if let Self::Mount { device, .. } = self { plain(device) } else { true };
        named && placed && device
    }

    /// Does it.
    fn run(&self, rules: &Rules) -> io::Result<()> {
        if !self.allowed(rules) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is not done here"));
        }
        match self {
            Self::Mount { device, kind, at } => mount(&Path::new("/dev").join(device), *kind, at, rules),
            Self::Unmount { at } => {
                let folder = File::open(at)?;
                rustix::fs::syncfs(&folder)?;
                drop(folder);
                Ok(rustix::mount::unmount(at, UnmountFlags::NOFOLLOW)?)
            }
            Self::LetGo { at } => Ok(rustix::mount::unmount(at, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?),
            Self::Grow { at } => {
                program::succeed(&rules.growfs, &[&at.to_string_lossy()], &[], LONGEST).map(drop).map_err(io::Error::other)
            }
        }
    }

    /// Asks `keepwell-mount` for it.
    fn send(&self, socket: &Path) -> io::Result<()> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(LONGEST))?;
        stream.write_all(&serde_json::to_vec(self)?)?;
        stream.shutdown(Shutdown::Write)?;
        let mut said = Vec::new();
        stream.take(QUESTION_MAX).read_to_end(&mut said)?;
        match serde_json::from_slice(&said)? {
            Answer { errno: Some(errno), .. } => Err(io::Error::from_raw_os_error(errno)),
            Answer { failed: Some(failed), .. } => Err(io::Error::other(failed)),
            Answer { .. } => Ok(()),
        }
    }
}

/// One question and its answer: all that `keepwell-mount` does.
pub fn answer(input: impl Read, mut output: impl Write, rules: &Rules) -> io::Result<()> {
    let mut said = Vec::new();
    BufReader::new(input.take(QUESTION_MAX)).read_until(b'\n', &mut said)?;
    let done = serde_json::from_slice::<Act>(&said).map_err(io::Error::from).and_then(|act| act.run(rules));
    let answer = match done {
        Ok(()) => Answer { errno: None, failed: None },
        Err(error) => Answer { errno: error.raw_os_error(), failed: Some(error.to_string()) },
    };
    output.write_all(&serde_json::to_vec(&answer)?)
}

/// USER:GROUP, as arguments have it.
pub fn owner(text: &str) -> Result<(u32, u32), &'static str> {
    const FORM: &str = "wanted is UID:GID, two numbers";
    let (user, group) = text.split_once(':').ok_or(FORM)?;
    Ok((user.parse().map_err(|_| FORM)?, group.parse().map_err(|_| FORM)?))
}

/// The folder is looked up once and held, so that nobody can put a link in its place meanwhile.
fn mount(device: &Path, kind: Kind, at: &Path, rules: &Rules) -> io::Result<()> {
    let kind = match kind {
        Kind::Xfs => "xfs",
        Kind::Ext4 => "ext4",
    };
    let place = || rustix::fs::open(at, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    let held = |folder: &rustix::fd::OwnedFd| PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    let below = place()?;
    let readers = rules.readers.filter(|_| rules.bases.first().is_some_and(|base| at.parent() == Some(base)));
    // What is made there belongs to the group of its folder.
    rustix::mount::mount(device, held(&below), kind, FLAGS, readers.map(|_| c"grpid"))?;
    let root = place()?;
    let (over, under) = (fs::metadata(held(&root))?, fs::metadata(held(&below))?);
    if over.dev() == under.dev() {
        return Err(io::Error::other("another folder is there than the one that was mounted on"));
    }
    // The owner first: until then nobody else may look into it.
    fs::set_permissions(held(&root), Permissions::from_mode(0o700))?;
    if let Some((user, group)) = rules.owner {
        std::os::unix::fs::chown(held(&root), Some(user), Some(readers.unwrap_or(group)))?;
    }
    readers.map_or(Ok(()), |_| fs::set_permissions(held(&root), Permissions::from_mode(0o750)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            bases: vec!["/run/keepwell/disks".into(), "/run/keepwell/outward".into()],
            owner: None,
            readers: None,
            growfs: "xfs_growfs".into(),
        }
    }

    fn said(question: &str) -> Answer {
        let mut out = Vec::new();
        answer(question.as_bytes(), &mut out, &rules()).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn nothing_is_done_outside_of_the_two_folders() {
        let mount = |device: &str, at: &str| Act::Mount { device: device.into(), kind: Kind::Xfs, at: at.into() }.allowed(&rules());
        assert!(mount("sda1", "/run/keepwell/disks/00ff"));
        assert!(mount("nvme0n1p1", "/run/keepwell/outward/00ff"));
        for at in [
            "/etc",
            "/run/keepwell/disks",
            "/run/keepwell/disks/../00ff",
            "/run/keepwell/disks/a/b",
            "/run/keepwell/disks/./a",
            "/run/keepwell/disks/a/",
            "disks/a",
            "/run/keepwell//disks/a",
            "",
        ] {
            assert!(!mount("sda1", at), "{at}");
            assert!(!Act::Unmount { at: at.into() }.allowed(&rules()), "{at}");
        }
        for device in ["", "../sda1", "mapper/state", "sda1,x", "sda 1"] {
            assert!(!mount(device, "/run/keepwell/disks/00ff"), "{device}");
        }
    }

    #[test]
    fn what_is_not_a_question_is_refused() {
        for question in [
            "",
            "{}",
            "mount",
            r#"{"act":"mount","device":"sda1","kind":"btrfs","at":"/run/keepwell/disks/a"}"#,
            r#"{"act":"let-go","at":"/etc"}"#,
            r#"{"act":"grow","at":"/run/keepwell/disks/a","x":1}"#,
        ] {
            assert!(said(question).failed.is_some(), "{question}");
        }
    }

    #[test]
    fn the_system_s_refusals_come_back_as_they_were() {
        assert_eq!(
            said(r#"{"act":"unmount","at":"/run/keepwell/disks/00ff00ff00ff"}"#).errno,
            Some(rustix::io::Errno::NOENT.raw_os_error())
        );
    }
}

//! The machine itself: its addresses and how much room its disk has are read, an address is written down for the network service, and it is started again or switched off by the system's own program.
//! Runs no shell, and no program but the two that were named when this one was started.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keepwell_api::vault::OWN_DISK_LOW;
use nix::ifaddrs::getifaddrs;
use nix::sys::statvfs::{Statvfs, statvfs};
use sha2::{Digest as _, Sha256};

use crate::ask::{Deed, Told, Trouble};
use crate::error::TtyError;
use crate::network::{Card, Fixed, Local};

/// Longest file of the system's that is read.
const FILE_MAX: u64 = 256 << 10;

/// Where things are on this machine.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Starts it again (`reboot`) and switches it off (`poweroff`): the word is its one argument.
    pub(crate) power: PathBuf,
    /// Where an address is written down; none if the box's is not set here.
    pub(crate) network_file: Option<PathBuf>,
    /// Has the network service read it (`reload`): the word is its one argument.
    pub(crate) network: PathBuf,
    /// The certificate of the console's authority, PEM.
    pub(crate) authority: Option<PathBuf>,
}

impl Machine {
    /// Does it, and says what came of it.
    pub(crate) fn done(&self, deed: Deed) -> Told {
        let result = match &deed {
            Deed::Look => return Told::Looked(self.look()),
            Deed::Restart => run(&self.power, "reboot"),
            Deed::PowerOff => run(&self.power, "poweroff"),
            Deed::Address(fixed) => self.set(fixed.as_ref()),
        };
        let told = result.map_err(|error| Trouble { code: "machine".into(), text: keepwell_api::error::chain(&error).to_string() });
        Told::Done(deed, told)
    }

    fn set(&self, fixed: Option<&Fixed>) -> Result<(), TtyError> {
        let Some(path) = &self.network_file else { return Ok(()) };
        let failed = |source| TtyError::File { path: path.clone(), source };
        match fixed {
            Some(fixed) => write_whole(path, fixed.file().as_bytes()).map_err(failed)?,
            None => match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            },
        }
        run(&self.network, "reload")
    }

    fn look(&self) -> Local {
        let authority = self.authority.as_deref().and_then(text);
        Local {
            cards: cards(),
            gateway: text(Path::new("/proc/net/route")).as_deref().and_then(gateway),
            fixed: self.network_file.as_deref().is_some_and(Path::exists),
            fingerprint: authority.as_deref().and_then(fingerprint),
            // The folder of the file that is written here is beside those of the other programs.
            disk_full: self.network_file.as_deref().and_then(Path::parent).and_then(|folder| statvfs(folder).ok()).is_some_and(is_full),
        }
    }
}

/// The old file or the new one, never half: written, synced, renamed, and the folder synced.
fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn run(program: &Path, word: &str) -> Result<(), TtyError> {
    let failed = |why: String| TtyError::Program { program: program.display().to_string(), why };
    let done = Command::new(program).arg(word).stdin(Stdio::null()).output().map_err(|error| failed(error.to_string()))?;
    if done.status.success() { Ok(()) } else { Err(failed(String::from_utf8_lossy(&done.stderr).chars().take(300).collect())) }
}

/// Only of a file: the folder of the console's certificate is the console's, and a pipe or a link put there holds nobody up.
fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = File::options().read(true).custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOFOLLOW).open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    file.take(FILE_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

fn is_full(room: Statvfs) -> bool {
    let bytes = room.blocks_available().saturating_mul(room.fragment_size());
    has_no_room((room.blocks() > 0).then_some(bytes), (room.files() > 0).then_some(room.files_available()))
}

/// Bytes and files that there is room for; none where the file system has no bound.
fn has_no_room(bytes: Option<u64>, files: Option<u64>) -> bool {
    bytes.is_some_and(|bytes| bytes < OWN_DISK_LOW.0) || files.is_some_and(|files| files < OWN_DISK_LOW.1)
}

/// Network cards by name, with their addresses.
fn cards() -> Vec<Card> {
    let word = |name: &str, file: &str| text(&Path::new("/sys/class/net").join(name).join(file)).unwrap_or_default().trim().to_owned();
    let names = fs::read_dir("/sys/class/net").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    // Cards, and not what the system made up: those have a device.
    let real = |name: &String| name != "lo" && Path::new("/sys/class/net").join(name).join("device").exists();
    let all: Vec<String> = names.filter(|name| name != "lo").collect();
    let chosen: Vec<String> = if all.iter().any(real) { all.into_iter().filter(real).collect() } else { all };
    let mut cards: Vec<Card> = chosen
        .into_iter()
        .map(|name| Card { mac: word(&name, "address"), linked: word(&name, "carrier") == "1", addresses: addresses(&name), name })
        .collect();
    cards.sort_by(|a, b| a.name.cmp(&b.name));
    cards.truncate(8);
    cards
}

fn addresses(card: &str) -> Vec<String> {
    let Ok(all) = getifaddrs() else { return Vec::new() };
    let of = all.filter(|one| one.interface_name == card).filter_map(|one| {
        let (address, mask) = (one.address?, one.netmask);
        if let Some(v4) = address.as_sockaddr_in() {
            let prefix = mask.and_then(|mask| Some(mask.as_sockaddr_in()?.ip().to_bits().count_ones()))?;
            return (!v4.ip().is_link_local()).then(|| format!("{}/{prefix}", v4.ip()));
        }
        let v6 = address.as_sockaddr_in6()?;
        let prefix = mask.and_then(|mask| Some(mask.as_sockaddr_in6()?.ip().to_bits().count_ones()))?;
        (!v6.ip().is_unicast_link_local()).then(|| format!("{}/{prefix}", v6.ip()))
    });
    of.take(8).collect()
}

/// Where the rest goes, of the kernel's table (proc(5), net/route: hexadecimal digits in this machine's order).
fn gateway(table: &str) -> Option<Ipv4Addr> {
    let routes = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut default = routes.filter(|route| route.get(1) == Some(&"00000000") && route.get(7) == Some(&"00000000"));
    let bits = u32::from_str_radix(default.next()?.get(2)?, 16).ok()?;
    Some(Ipv4Addr::from(bits.to_ne_bytes())).filter(|address| !address.is_unspecified())
}

/// SHA-256 of the first certificate in a PEM file, as browsers show it.
fn fingerprint(pem: &str) -> Option<String> {
    let body = pem.split_once("-----BEGIN CERTIFICATE-----")?.1.split_once("-----END CERTIFICATE-----")?.0;
    let der = STANDARD.decode(body.split_whitespace().collect::<String>()).ok()?;
    Some(Sha256::digest(der).iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Card;

    #[test]
    fn the_default_route_is_found_and_nothing_else() {
        let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        let line =
            |destination: &str, gateway: u32, mask: &str| format!("eth0\t{destination}\t{gateway:08X}\t0003\t0\t0\t100\t{mask}\t0\t0\t0\n");
        let router = u32::from_ne_bytes([192, 168, 1, 1]);
        let table = format!("{head}{}{}", line("0001A8C0", 0, "00FFFFFF"), line("00000000", router, "00000000"));
        assert_eq!(gateway(&table), Some(Ipv4Addr::new(192, 168, 1, 1)));
        assert_eq!((gateway(head), gateway("x"), gateway(&format!("{head}eth0\t00000000"))), (None, None, None));
    }

    #[test]
    fn a_fingerprint_is_of_the_certificate_and_not_of_its_text() {
        let pem = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";
        assert!(fingerprint(pem).unwrap().starts_with("BA:78:16:BF"));
        assert_eq!((fingerprint("abc"), fingerprint("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----")), (None, None));
    }

    #[test]
    fn a_pipe_in_place_of_the_certificate_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let [pipe, link, file] = ["pipe", "link", "file"].map(|name| folder.path().join(name));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        fs::write(&file, "abc").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!((text(&pipe), text(&link), text(&file).as_deref()), (None, None, Some("abc")));
    }

    #[test]
    fn a_disk_without_room_for_bytes_or_for_files_is_full() {
        assert!(has_no_room(Some(0), Some(1_000)) && has_no_room(Some(1 << 30), Some(0)) && has_no_room(None, Some(OWN_DISK_LOW.1 - 1)));
        assert!(!has_no_room(Some(OWN_DISK_LOW.0), Some(OWN_DISK_LOW.1)) && !has_no_room(None, None) && !has_no_room(Some(1 << 30), None));
        // Where tests run there is room; a folder that is not there says nothing.
        let folder = tempfile::tempdir().unwrap();
        for file in [folder.path().join("file"), folder.path().join("no/file")] {
            let machine = Machine { power: "".into(), network_file: Some(file), network: "".into(), authority: None };
            assert!(!machine.look().disk_full);
        }
    }

    #[test]
    fn an_address_is_written_whole_and_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("10-keepwell.network");
        let machine =
            Machine { power: "/bin/false".into(), network_file: Some(file.clone()), network: "/bin/true".into(), authority: None };
        let cards = [Card { name: "eth0".into(), ..Card::default() }];
        let fixed = Fixed::typed(&cards, "eth0", "10.0.0.9/24", "", "").unwrap();
        assert!(matches!(machine.done(Deed::Address(Some(fixed))), Told::Done(_, Ok(()))));
        assert!(fs::read_to_string(&file).unwrap().contains("Address=10.0.0.9/24"));
        assert!(matches!(machine.done(Deed::Address(None)), Told::Done(_, Ok(()))) && !file.exists());
        assert!(matches!(machine.done(Deed::Restart), Told::Done(_, Err(_))));
    }
}

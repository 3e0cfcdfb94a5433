//! What is mounted, and what is swapped to, as the kernel lists it (proc(5): mountinfo, swaps). Parses; follows nothing.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The kernel's number of a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number {
    /// Driver.
    pub major: u32,
    /// Device of the driver.
    pub minor: u32,
}

impl Number {
    /// `8:1`, as sysfs and mountinfo write it.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once(':')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its device; major 0 for file systems that have none of their own.
    pub number: Number,
    /// Where.
    pub at: PathBuf,
    /// Kind of file system.
    pub kind: String,
    /// What was mounted, such as `/dev/sda1`.
    pub source: PathBuf,
}

/// Parses mountinfo. Lines that are no mounts are passed over.
pub fn parse_mountinfo(text: &[u8]) -> Vec<Mount> {
    text.split(|b| *b == b'\n').filter_map(mount).collect()
}

fn mount(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|b| *b == b' ');
    let number = Number::parse(std::str::from_utf8(words.nth(2)?).ok()?)?;
    let at = path(words.nth(1)?);
    let mut tail = words.skip_while(|word| *word != b"-").skip(1);
    let kind = String::from_utf8_lossy(tail.next()?).into_owned();
    Some(Mount { number, at, kind, source: path(tail.next()?) })
}

/// Blank, tab, newline and backslash are three octal digits.
fn path(word: &[u8]) -> PathBuf {
    let (mut out, mut rest) = (Vec::with_capacity(word.len()), word);
    while let [first, after @ ..] = rest {
        let octal = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => (out.push(byte), rest = &after[3..]).1,
            None => (out.push(*first), rest = after).1,
        }
    }
    OsString::from_vec(out).into()
}

/// Devices and files that are swapped to.
pub fn parse_swaps(text: &[u8]) -> Vec<PathBuf> {
    let lines = text.split(|b| *b == b'\n').skip(1);
    lines.filter_map(|line| line.split(u8::is_ascii_whitespace).next()).filter(|word| !word.is_empty()).map(path).collect()
}

/// The mount that `at` is the root of; the last one covers the others.
pub fn mounted_at<'a>(mounts: &'a [Mount], at: &Path) -> Option<&'a Mount> {
    mounts.iter().rfind(|mount| mount.at == at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernel() {
        let text = b"22 27 8:1 / /boot\\040dir rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw\n\
            27 1 0:25 / / rw - overlay overlay rw\nrubbish\n1 2 8:x / /x rw - ext4 /dev/x rw\n";
        let mounts = parse_mountinfo(text);
        assert_eq!(mounts.len(), 2);
        let boot = Mount { number: Number { major: 8, minor: 1 }, at: "/boot dir".into(), kind: "ext4".into(), source: "/dev/sda1".into() };
        assert_eq!(mounts[0], boot);
        assert_eq!(mounted_at(&mounts, Path::new("/")).unwrap().kind, "overlay");
    }

    #[test]
    fn escapes_at_the_end_and_false_ones() {
        assert_eq!(path(b"a\\134"), PathBuf::from("a\\"));
        assert_eq!(path(b"a\\9"), PathBuf::from("a\\9"));
        assert_eq!(path(b"\\777"), PathBuf::from("\\777"));
    }

    #[test]
    fn swaps() {
        let text = b"Filename\t\tType\n/dev/sda2                partition\t1\t0\t-2\n";
        assert_eq!(parse_swaps(text), [PathBuf::from("/dev/sda2")]);
    }
}

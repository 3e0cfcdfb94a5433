//! Shows a person which disk is meant: by the light of its bay where the case has one for that, else by the light that flickers when a disk is read. Only reads.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::DiskError;
use crate::inventory::{Found, Places};

/// Longest time a light blinks.
pub const LONGEST: Duration = Duration::from_secs(300);
/// Light and pause.
const HALF: Duration = Duration::from_millis(500);
const READ: usize = 64 << 10;

/// Begins to show the disk, in a thread of its own.
pub fn locate(found: &Found, places: &Places, seconds: u64) -> Result<(), DiskError> {
    let lasting = Duration::from_secs(seconds).min(LONGEST);
    let bay = bay_light(&places.sys.join("class/block").join(&found.name));
    if let Some(light) = bay.filter(|light| fs::write(light, "1").is_ok()) {
        thread::spawn(move || {
            thread::sleep(lasting);
            if let Err(error) = fs::write(&light, "0") {
                tracing::warn!(%error, light = %light.display(), "a bay's light stays on");
            }
        });
        return Ok(());
    }
    let device = found.device();
    let file = File::open(&device).map_err(DiskError::io("open", &device))?;
    let size = found.size_bytes;
    thread::spawn(move || blink(&file, size, lasting));
    Ok(())
}

/// The number of the bay that a disk is in, where the case says so.
pub fn bay(places: &Places, name: &str) -> Option<u16> {
    let slot = component(&places.sys.join("class/block").join(name))?;
    fs::read_to_string(slot.join("slot")).ok()?.trim().parse().ok()
}

fn bay_light(folder: &Path) -> Option<PathBuf> {
    component(folder).map(|slot| slot.join("locate")).filter(|light| light.exists())
}

/// The kernel's enclosure class (SES): the component that holds the disk.
fn component(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder.join("device")).ok()?.flatten();
    let mut slots = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("enclosure_device"));
    slots.next().map(|slot| slot.path())
}

fn blink(file: &File, size: u64, lasting: Duration) {
    let end = Instant::now() + lasting;
    let mut buffer = vec![0; READ];
    while Instant::now() < end {
        let dark = Instant::now() + HALF;
        while Instant::now() < dark {
            let at = getrandom::u64().unwrap_or(0) % size.saturating_sub(READ as u64).max(1);
            // Memory must not answer; and a place that can't be read makes the light flicker as well.
            let _ = rustix::fs::fadvise(file, at, None, rustix::fs::Advice::DontNeed);
            let _ = file.read_exact_at(&mut buffer, at);
        }
        thread::sleep(HALF);
    }
}

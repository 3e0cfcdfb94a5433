//! The bays of a box as a picture: each disk where it sits, with the end of its serial number, by shape, word and colour. A list on the same page says the same. Draws only.

use keepwell_api::disks::Standing;
use keepwell_api::vault::BoxDisk;

use crate::view::{self, Mark};

/// Bays side by side: so many can be read on a telephone.
const WIDE: usize = 4;
/// A bay's place.
const WIDTH: usize = 108;
const HEIGHT: usize = 76;
/// Around all of them.
const EDGE: usize = 6;
/// What is numbered higher is no bay of a box: then disks stand in order of their serial numbers.
const BAYS_MAX: u16 = 64;

/// A picture, in units of its own.
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) cells: Vec<Cell>,
    /// Whether the places are those of the case.
    pub(crate) placed: bool,
    /// All of it in a sentence for each disk.
    pub(crate) words: String,
}

/// One bay.
pub(crate) struct Cell {
    pub(crate) x: usize,
    pub(crate) y: usize,
    /// Number of its bay, or nothing.
    pub(crate) number: String,
    pub(crate) name: String,
    /// None where no disk is.
    pub(crate) mark: Option<Mark>,
    /// The last signs of the serial number.
    pub(crate) serial_end: String,
    /// Its light blinks.
    pub(crate) lit: bool,
}

/// The picture of these disks; none of no disks. `lit` is the serial number of the one that blinks.
pub(crate) fn picture<'a>(disks: impl Iterator<Item = (&'a BoxDisk, Mark)>, lit: Option<&str>) -> Option<Picture> {
    let mut all: Vec<_> = disks.map(|(disk, mark)| (bay(disk), serial(disk), cell(disk, mark, lit))).collect();
    if all.is_empty() {
        return None;
    }
    all.sort_by(|one, other| (one.0.is_none(), one.0, &one.1).cmp(&(other.0.is_none(), other.0, &other.1)));
    let numbers: Vec<u16> = all.iter().filter_map(|one| one.0).collect();
    let placed = !numbers.is_empty();
    let first = numbers.iter().copied().min().unwrap_or(1).min(1);
    let mut cells: Vec<Cell> = Vec::new();
    let mut next = first;
    for (number, _, cell) in all {
        // The empty ones in between; two cases may have a bay of the same number.
        for empty in next..number.unwrap_or(next) {
            cells.push(Cell::empty(empty));
        }
        next = number.map_or(next, |number| next.max(number + 1));
        cells.push(cell);
    }
    let columns = cells.len().min(WIDE);
    for (place, cell) in cells.iter_mut().enumerate() {
        (cell.x, cell.y) = (EDGE + place % WIDE * WIDTH, EDGE + place / WIDE * HEIGHT);
    }
    let words = cells.iter().map(Cell::words).collect::<Vec<_>>().join(" ");
    Some(Picture { width: 2 * EDGE + columns * WIDTH, height: 2 * EDGE + cells.len().div_ceil(WIDE) * HEIGHT, cells, placed, words })
}

fn bay(disk: &BoxDisk) -> Option<u16> {
    disk.disk.as_ref().and_then(|disk| disk.bay).filter(|bay| *bay <= BAYS_MAX)
}

fn serial(disk: &BoxDisk) -> String {
    disk.disk.as_ref().map_or_else(|| disk.pool_name.clone().unwrap_or_default(), |disk| disk.serial.to_string())
}

fn cell(disk: &BoxDisk, mark: Mark, lit: Option<&str>) -> Cell {
    let serial = disk.disk.as_ref().map(|disk| disk.serial.as_str()).unwrap_or_default();
    let end = serial.char_indices().rev().nth(5).map_or(serial, |(at, _)| &serial[at..]);
    let own = matches!(&disk.disk, Some(disk) if matches!(disk.standing, Standing::Own { .. }));
    let unused = || if own { "System".into() } else { "Not in use".into() };
    Cell {
        x: 0,
        y: 0,
        number: bay(disk).map_or_else(String::new, |bay| bay.to_string()),
        name: disk.pool_name.as_ref().map_or_else(unused, |name| view::name(name.as_bytes()).chars().take(9).collect()),
        mark: Some(mark),
        serial_end: end.to_owned(),
        lit: lit.is_some_and(|lit| lit == serial),
    }
}

impl Cell {
    fn empty(number: u16) -> Self {
        Self { x: 0, y: 0, number: number.to_string(), name: String::new(), mark: None, serial_end: String::new(), lit: false }
    }

    fn words(&self) -> String {
        let place = if self.number.is_empty() { String::new() } else { format!("Bay {}: ", self.number) };
        let Some(mark) = self.mark else { return format!("{place}empty.") };
        let end = if self.serial_end.is_empty() { String::new() } else { format!(", serial number ending in {}", self.serial_end) };
        let lit = if self.lit { ", its light blinks" } else { "" };
        format!("{place}{}, {}{end}{lit}.", self.name, mark.word.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn disk(serial: &str, bay: Option<u16>) -> BoxDisk {
        let health = json!({ "verdict": "healthy", "reasons": [] });
        serde_json::from_value(json!({
            "pool_name": format!("disk-{serial}"), "membership": "member",
            "disk": { "serial": serial, "device": "sda", "wwn": null, "bay": bay, "model": "m", "bus": "sata", "size_bytes": 1, "rotational": true, "removable": false,
                "notes": [], "standing": { "kind": "blank" }, "health": health, "job": null, "first_seen": 0, "last_seen": 0 },
        }))
        .expect("a disk")
    }

    fn drawn(disks: &[BoxDisk], lit: Option<&str>) -> Picture {
        let mark = view::of_verdict(keepwell_api::disks::Verdict::Healthy);
        picture(disks.iter().map(|disk| (disk, mark)), lit).expect("there are disks")
    }

    #[test]
    fn disks_are_where_the_case_has_them_and_empty_bays_between() {
        let shown = drawn(&[disk("SERIAL-B", Some(4)), disk("SERIAL-A", Some(2)), disk("USB", None)], Some("SERIAL-B"));
        let of: Vec<_> = shown.cells.iter().map(|cell| (&*cell.number, &*cell.serial_end, cell.lit)).collect();
        assert_eq!(of, [("1", "", false), ("2", "RIAL-A", false), ("3", "", false), ("4", "RIAL-B", true), ("", "USB", false)]);
        assert!(
            shown.placed && shown.words.starts_with("Bay 1: empty. Bay 2: disk-SERI, healthy, serial number ending in RIAL-A."),
            "{}",
            shown.words
        );
        assert!(shown.words.contains("its light blinks"));
        assert_eq!((shown.cells[4].x, shown.cells[4].y), (EDGE, EDGE + HEIGHT));
    }

    #[test]
    fn without_known_bays_they_stand_in_order_and_within_the_picture() {
        for many in 1..=24 {
            let disks: Vec<_> = (0..many).rev().map(|n| disk(&format!("S{n:02}"), None)).collect();
            let shown = drawn(&disks, None);
            assert_eq!((shown.cells.len(), shown.placed), (many, false));
            assert!(shown.cells.windows(2).all(|pair| pair[0].serial_end < pair[1].serial_end));
            assert!(shown.cells.iter().all(|cell| cell.x + WIDTH <= shown.width && cell.y + HEIGHT <= shown.height));
        }
        // Numbers that begin at 0, one twice, and one that no box has.
        let shown = drawn(&[disk("A", Some(0)), disk("B", Some(2)), disk("C", Some(2)), disk("D", Some(60_000))], None);
        assert_eq!(shown.cells.iter().map(|cell| &*cell.number).collect::<Vec<_>>(), ["0", "1", "2", "2", ""]);
        assert!(picture(std::iter::empty(), None).is_none());
    }
}

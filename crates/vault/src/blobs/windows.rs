//! Stretches of packs that many frames are read from: the second question into one brings all of it, so that the pages of a catalog, which lie together, cost few reads. What lies alone
//! is read alone.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keepwell_format::PackId;
use keepwell_storage::Pool;

use super::pack_name;

/// Bytes of a stretch.
const WIDTH: u64 = 256 << 10;
/// Stretches that are kept: 16 MiB.
const KEPT: usize = 64;
/// Stretches that are known to have been asked for once.
const TOUCHED: usize = 64 << 10;

type Place = (PackId, u64);

/// The stretches.
#[derive(Debug, Default)]
pub(crate) struct Windows(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    touched: HashSet<Place>,
    kept: VecDeque<(Place, Arc<Vec<u8>>)>,
}

impl Windows {
    /// A frame's bytes, if the stretches that it lies in are worth being read, and can be. Nothing of it was checked.
    pub(crate) fn read(&self, pool: &Pool, pack: PackId, offset: u64, len: u32) -> Option<Vec<u8>> {
        let end = offset.checked_add(u64::from(len)).filter(|_| len > 0)?;
        let (first, last) = (offset / WIDTH, (end - 1) / WIDTH);
        if last > first + 1 {
            return None;
        }
        let mut frame = Vec::with_capacity(len as usize);
        for number in first..=last {
            let window = self.window(pool, (pack, number))?;
            let start = number * WIDTH;
            let (from, to) = (offset.max(start) - start, end.min(start + WIDTH) - start);
            frame.extend_from_slice(window.get(from as usize..to as usize)?);
        }
        Some(frame)
    }

    fn window(&self, pool: &Pool, place: Place) -> Option<Arc<Vec<u8>>> {
        {
            let mut state = self.state();
            // The number first: neighbours are of one pack.
            if let Some((_, window)) = state.kept.iter().rev().find(|(kept, _)| kept.1 == place.1 && kept.0 == place.0) {
                return Some(Arc::clone(window));
            }
            if state.touched.len() >= TOUCHED {
                state.touched.clear();
            }
            if state.touched.insert(place) {
                return None;
            }
        }
        let (name, from) = (pack_name(place.0), place.1 * WIDTH);
        let length = pool.len(name).ok()?.checked_sub(from)?.min(WIDTH);
        let window = Arc::new(pool.read_range(name, from, length as usize).ok()?);
        let mut state = self.state();
        if state.kept.len() >= KEPT {
            state.kept.pop_front();
        }
        state.kept.push_back((place, Arc::clone(&window)));
        Some(window)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

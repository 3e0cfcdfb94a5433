//! The walk over a share in the order of keys. Holds the listings of the current path and of some folders that come next; decides what
//! is asked for ahead.

use std::collections::VecDeque;
use std::sync::Arc;

use keepwell_format::port::Walked;
use keepwell_format::{Gap, GapReason, Key, Kind, Node};
use keepwell_smb::{FileTime, WidePath, wide};

use super::ahead::{Ahead, Ticket};
use super::folder::{Folder, Task};
use super::metadata::{complete, file_id, is_folder, listed, opened, streams};
use super::rows::Row;
use super::session::Session;

/// Folders of one level that are asked for ahead.
const OF_A_LEVEL: usize = 16;

/// Levels that are looked through for folders to ask for.
const LEVELS: usize = 16;

pub(super) struct SmbWalk {
    volume: u64,
    root: WidePath,
    ahead: Ahead,
    path: Vec<Level>,
    started: bool,
    over: bool,
}

/// A folder on the current path.
struct Level {
    key: Key,
    path: WidePath,
    folder: Folder,
    id: Option<u64>,
    /// The row that comes next.
    next: usize,
    /// The row from which on nothing has been asked for.
    unasked: usize,
    asked: VecDeque<(usize, Ticket)>,
}

impl SmbWalk {
    pub(super) fn new(session: Arc<Session>, as_of: Option<FileTime>) -> Self {
        let (volume, root) = (session.volume_id(), session.root.clone());
        Self { volume, root, ahead: Ahead::new(session, as_of), path: Vec::new(), started: false, over: false }
    }

    /// The entries of one folder.
    pub(super) fn list(session: &Arc<Session>, as_of: Option<FileTime>, key: &Key, path: WidePath) -> Result<Vec<Walked>, Gap> {
        let mut walk = Self::new(Arc::clone(session), as_of);
        let folder = walk.ahead.take(walk.ahead.ask(Task { path: path.clone(), key_length: key.as_bytes().len() }))?;
        if let (Some(gap), 0) = (&folder.gap, folder.rows.len()) {
            return Err(gap.clone());
        }
        walk.path.push(Level { key: key.clone(), path, folder, id: None, next: 0, unasked: 0, asked: VecDeque::new() });
        let mut entries = Vec::new();
        while let Some((key, _, row, at)) = walk.row() {
            entries.push(walk.leaf(key, &row, at));
        }
        Ok(entries)
    }

    fn step(&mut self) -> Option<Result<Walked, Gap>> {
        if !self.started {
            self.started = true;
            let ticket = self.ahead.ask(Task { path: self.root.clone(), key_length: 0 });
            return Some(self.enter(Key::root(), self.root.clone(), ticket, Node::new(Kind::Folder), None));
        }
        loop {
            if let Some((key, path, row, at)) = self.row() {
                return Some(if is_folder(&row) { self.subfolder(key, path, &row, at) } else { Ok(self.leaf(key, &row, at)) });
            }
            self.path.pop()?;
        }
    }

    /// The next row of the current folder.
    fn row(&mut self) -> Option<(Key, WidePath, Row, usize)> {
        let level = self.path.last_mut()?;
        loop {
            let at = level.next;
            let (name, row) = level.folder.rows.get(at)?;
            level.next += 1;
            // Both were checked when the folder was listed.
            if let (Ok(key), Some(Ok(path))) = (level.key.join(name), wide(name).map(|units| level.path.join(&units))) {
                return Some((key, path, *row, at));
            }
        }
    }

    /// A file or reparse point.
    fn leaf(&mut self, key: Key, row: &Row, at: usize) -> Walked {
        let mut node = listed(row, self.volume);
        let size = if node.kind == Kind::File { row.size } else { 0 };
        let mut names = Vec::new();
        match self.path.last_mut().and_then(|level| level.folder.points.remove(&at)) {
            Some(Ok(stat)) => {
                opened(&mut node, &stat.info);
                complete(&mut node, &stat);
                names = streams(&stat);
            }
            Some(Err(gap)) => node.gap = Some(gap),
            None => {}
        }
        Walked { key, node, size, streams: names }
    }

    fn subfolder(&mut self, key: Key, path: WidePath, row: &Row, at: usize) -> Result<Walked, Gap> {
        let mut node = listed(row, self.volume);
        if self.is_above(row.file_id) {
            let text = "a link to a folder above it: the folder would contain itself";
            node.gap = Some(Gap { reason: GapReason::Unsupported, text: text.into() });
            return Ok(Walked { key, node, size: 0, streams: Vec::new() });
        }
        let asked = self.path.last_mut().and_then(|level| {
            level.unasked = level.unasked.max(at + 1);
            level.asked.pop_front_if(|(of, _)| *of == at)
        });
        let ticket = match asked {
            Some((_, ticket)) => ticket,
            None => self.ahead.ask(Task { path: path.clone(), key_length: key.as_bytes().len() }),
        };
        let id = is_id(row.file_id).then_some(row.file_id);
        self.enter(key, path, ticket, node, id)
    }

    /// Makes a folder the current one.
    fn enter(&mut self, key: Key, path: WidePath, ticket: Ticket, mut node: Node, id: Option<u64>) -> Result<Walked, Gap> {
        let folder = self.ahead.take(ticket)?;
        let mut names = Vec::new();
        let mut id = id;
        match &folder.stat {
            Ok(stat) => {
                opened(&mut node, &stat.info);
                complete(&mut node, stat);
                names = streams(stat);
                node.file_id = node.file_id.or(file_id(self.volume, stat.info.file_id));
                id = id.or(Some(stat.info.file_id).filter(|id| is_id(*id)));
            }
            Err(gap) => node.gap = Some(Gap { reason: GapReason::Metadata, ..gap.clone() }),
        }
        node.gap = folder.gap.clone().or(node.gap);
        self.path.push(Level { key: key.clone(), path, folder, id, next: 0, unasked: 0, asked: VecDeque::new() });
        self.look_ahead();
        Ok(Walked { key, node, size: 0, streams: names })
    }

    fn is_above(&self, id: u64) -> bool {
        is_id(id) && self.path.iter().any(|level| level.id == Some(id))
    }

    /// Asks for the folders that come next, the nearest first.
    fn look_ahead(&mut self) {
        let above: Vec<u64> = self.path.iter().filter_map(|level| level.id).collect();
        for level in self.path.iter_mut().rev().take(LEVELS) {
            while level.asked.len() < OF_A_LEVEL {
                let Some((name, row)) = level.folder.rows.get(level.unasked) else { break };
                if is_folder(row) && !above.contains(&row.file_id) {
                    if !self.ahead.has_room() {
                        return;
                    }
                    let (key_length, path) = (level.key.as_bytes().len() + 1 + name.len(), wide(name).map(|units| level.path.join(&units)));
                    if let Some(Ok(path)) = path {
                        level.asked.push_back((level.unasked, self.ahead.ask(Task { path, key_length })));
                    }
                }
                level.unasked += 1;
            }
        }
    }
}

fn is_id(id: u64) -> bool {
    id != 0 && id != u64::MAX
}

impl Iterator for SmbWalk {
    type Item = Result<Walked, Gap>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let step = self.step();
        self.over = !matches!(step, Some(Ok(_)));
        step
    }
}

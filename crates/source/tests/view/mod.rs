//! A tree as Ganesha keeps it over NFS version 3: no extended attributes and no access lists, times modulo 2^32, none for symbolic links
//! (it answers that it set them).

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use keepwell_format::port::{Piece, ReadFile, Source, SourceInfo, Steady, Walk, Walked};
use keepwell_format::{Gap, Kind, Node};

pub struct View<'a>(pub &'a dyn Source);

fn seen(node: &mut Node) {
    node.attributes.clear();
    if node.kind == Kind::Symlink {
        (node.mtime, node.ctime) = (None, None);
    }
    for time in [&mut node.mtime, &mut node.ctime].into_iter().flatten() {
        time.seconds &= 0xFFFF_FFFF;
    }
}

impl Source for View<'_> {
    fn info(&self) -> &SourceInfo {
        self.0.info()
    }

    fn walk(&self) -> Result<Walk<'_>, Gap> {
        let walk = self.0.walk()?;
        Ok(Box::new(walk.map(|entry| {
            entry.map(|mut entry| {
                seen(&mut entry.node);
                entry
            })
        })))
    }

    fn open(&self, entry: &Walked) -> Result<Box<dyn ReadFile + '_>, Gap> {
        self.0.open(entry).map(|file| Box::new(ViewedFile(file)) as Box<dyn ReadFile>)
    }
}

struct ViewedFile<'a>(Box<dyn ReadFile + 'a>);

impl ReadFile for ViewedFile<'_> {
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, Gap> {
        self.0.next(buffer)
    }

    fn finish(&mut self, node: &mut Node) -> Result<Steady, Gap> {
        let steady = self.0.finish(node);
        seen(node);
        steady
    }
}

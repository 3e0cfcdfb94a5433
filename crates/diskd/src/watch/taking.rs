//! The disks of a box that is no more, given to this one by a person at its screen. They are a stranger's until then, and a file system that somebody else made is mounted for no less
//! than a serial number typed from a sticker.

use std::sync::Arc;

use keepwell_api::disks::{Serial, Standing, TakeOver, TakenOver, Typed};

use super::{Asker, Entry, Watch};
use crate::content::Content;
use crate::error::DiskError;
use crate::identity::PublicKey;

impl Watch {
    /// All disks that are here with labels of this box, mounted; from then on they are this box's. That is remembered only when one could be mounted: what brings the
    /// system down is a stranger's again at its next start.
    pub fn take_over(self: &Arc<Self>, order: &TakeOver, asker: Asker) -> Result<TakenOver, DiskError> {
        let refused = |code, text: &str| DiskError::refused(code, format!("{text}. Nothing was changed"));
        let key = PublicKey::from_hex(&order.key).ok_or_else(|| refused("malformed", "what was given is no public key of a box"))?;
        self.rescan();
        let disks = self.labelled_by(&key);
        if disks.is_empty() {
            return Err(refused("no-such-box", "no disk that is here has a label of that box"));
        }
        if disks.iter().all(|serial| serial.as_str() != order.typed_serial.trim()) {
            return Err(refused("wrong-serial", "the serial number that was typed is not one of a disk of that box"));
        }
        tracing::warn!(uid = asker.uid, disks = disks.len(), key = key.to_hex(), "the disks of another box are taken over");
        let is_new = self.former.add(key)?;
        let (mut mounted, mut failed) = (Vec::new(), Vec::new());
        for serial in disks {
            match self.mount(&serial, &Typed::default()) {
                Ok(_) => mounted.push(serial),
                Err(error) => failed.push((serial, error)),
            }
        }
        failed.iter().for_each(|(serial, error)| super::log(error, serial));
        let (left, first): (Vec<Serial>, Vec<DiskError>) = failed.into_iter().unzip();
        if let (true, Some(error)) = (mounted.is_empty(), first.into_iter().next()) {
            if is_new {
                self.former.forget(&key);
            }
            return Err(error);
        }
        if is_new {
            self.former.keep()?;
        }
        Ok(TakenOver { mounted, left })
    }

    fn labelled_by(&self, key: &PublicKey) -> Vec<Serial> {
        let own = self.own_keys();
        let theirs = |entry: &Entry| {
            let standing = entry.found.as_ref().map(|found| self.standing(found, &entry.content, &own));
            let is_ours_to_mount = matches!(standing, Some(Standing::OtherBox { .. } | Standing::Prepared { .. }));
            is_ours_to_mount && matches!(&entry.content, Ok(Content::Labelled(label)) if label.key == *key)
        };
        self.table().entries.iter().filter(|(_, entry)| theirs(entry)).map(|(serial, _)| serial.clone()).collect()
    }
}

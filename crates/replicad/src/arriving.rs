//! An object on its way to the spool. Owns that nothing of it is forgotten, whoever stops waiting for the rest.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::Receiver;
use crate::spool::{Growing, Item, Upload};

/// An object that is coming. What came of it is kept if nobody waits for the rest any more: its line was cut, or its sender wants something else first.
pub(crate) struct Arriving {
    receiver: Arc<Receiver>,
    item: Item,
    upload: Upload,
}

impl Arriving {
    pub(crate) fn new(receiver: Arc<Receiver>, item: Item, upload: Upload) -> Self {
        Self { receiver, item, upload }
    }

    pub(crate) fn upload(&self) -> &Upload {
        &self.upload
    }

    /// All that came; none when another line has taken it up.
    pub(crate) fn end(&self) -> Option<Growing> {
        self.receiver.spool.end(self.item, &self.upload)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        // Without a runtime the program ends.
        if let Ok(runtime) = Handle::try_current() {
            let (receiver, item, upload) = (Arc::clone(&self.receiver), self.item, self.upload.clone());
            runtime.spawn_blocking(move || receiver.spool.put_aside(item, &upload));
        }
    }
}

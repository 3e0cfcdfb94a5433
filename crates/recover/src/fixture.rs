//! What tests of this crate share.

use keepwell_format::manifest::{ManifestBody, Outcome, Statistics};
use keepwell_format::port::Encoding;
use keepwell_format::{BlobId, SnapshotId, Time};

/// What stands in a manifest of this share, as far as anybody looks at it here.
pub(crate) fn body(name: &str, outcome: Outcome) -> ManifestBody {
    let at = Time { seconds: 0, nanos: 0 };
    ManifestBody {
        name: name.into(),
        source: String::new(),
        identity: String::new(),
        encoding: Encoding::Bytes,
        outcome,
        started: at,
        finished: at,
        depth: 0,
        root: BlobId([0; 32]),
        base: SnapshotId([0; 32]),
        gaps: Vec::new(),
        statistics: Statistics::default(),
        program: String::new(),
        held: String::new(),
    }
}

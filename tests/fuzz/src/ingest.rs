//! What either end of an ingest connection reads. The first byte says which.

use keepwell_ingest::fuzz;

/// Frames, whole or cut, in any order.
pub fn ingest_frames(data: &[u8]) {
    match data.split_first() {
        Some((b'c', frames)) => fuzz::at_the_caller(frames),
        Some((b's', frames)) => fuzz::at_a_source(frames),
        Some((b't', frames)) => fuzz::at_a_target(frames),
        _ => return,
    };
}

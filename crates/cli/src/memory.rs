//! Keeps freed buffers from staying with the process, and secrets from the disk. Owns a setting of the C library's allocator and one of the
//! process, and nothing else.

/// Lets all threads share one arena. glibc gives each thread its own and keeps in it what the thread has freed: a backup of 2 GiB of images
/// peaked at 221 MiB by default and at 155 MiB with this, in the same processor time, as the engine allocates large pieces and few of them.
#[cfg(target_env = "gnu")]
pub(crate) fn share_arena() {
    #[expect(unsafe_code, reason = "mallopt has no safe wrapper; see docs/decisions/0005-one-arena.md")]
    // SAFETY: called first thing in `main`, before any other thread exists; M_ARENA_MAX takes any positive number (mallopt(3)).
    let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Other C libraries have one arena anyway.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn share_arena() {}

/// To be called before papers, passphrases or keys are read: a crash writes no core (prctl(2), PR_SET_DUMPABLE), and no other program looks on.
pub(crate) fn seclude() {
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::warn!(%error, "the system may write a core with keys in it, should this program crash");
    }
}

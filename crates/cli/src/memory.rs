//! Keeps freed buffers from staying with the process. Owns two settings of the C library's allocator, and nothing else.
//!
//! glibc keeps what several threads have freed in arenas of their own: a backup of 4 GB on two cores peaked at 250 to 261 MiB by default
//! and at 159 MiB with these settings, at the same speed within what could be told apart. They can only be set by an unsafe call or by
//! the environment at the start of a process, so the program starts itself anew once, under the same process id.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Buffers of packs and large chunks go back to the system when they are freed; all others share two arenas.
const SETTINGS: [(&str, &str); 2] = [("MALLOC_MMAP_THRESHOLD_", "1048576"), ("MALLOC_ARENA_MAX", "2")];

/// Starts the program anew with the settings, unless somebody has set them: so at most once. Where that fails, it goes on without.
pub(crate) fn restart_lean() {
    if !cfg!(target_env = "gnu") || SETTINGS.iter().any(|(name, _)| std::env::var_os(name).is_some()) {
        return;
    }
    let mut words = std::env::args_os();
    let (Some(name), Ok(program)) = (words.next(), std::env::current_exe()) else { return };
    let error = Command::new(program).arg0(name).args(words).envs(SETTINGS).exec();
    tracing::debug!(%error, "going on with the allocator's own settings");
}

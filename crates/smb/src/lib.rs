//! SMB 2.1 to 3.1.1 client, written for backup. Never talks unprotected, never steers a caller by a name the server sent.

mod name;
mod status;
mod time;

pub use name::{BadName, WidePath, check_name, wide, wtf8};
pub use status::NtStatus;
pub use time::FileTime;

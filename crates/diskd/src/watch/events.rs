//! Hears from the kernel when block devices come, go or change (netlink, through libudev). The kernel's own events, not those of udev's service: they come in a
//! sandbox too. An event only says that it is time to look; what is there, sysfs says.

use std::sync::Weak;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Watch;

/// Looked at in any case: what was missed shows by then.
const ANYHOW: Duration = Duration::from_secs(60);
/// Names and partitions of a new disk settle within this.
const SETTLE: Duration = Duration::from_secs(2);
const TICK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

pub(super) fn listen(watch: Weak<Watch>) {
    thread::spawn(move || {
        let socket =
            udev::MonitorBuilder::new_kernel().and_then(|builder| builder.match_subsystem("block")).and_then(|builder| builder.listen());
        if let Err(error) = &socket {
            tracing::warn!(%error, "the kernel's events can't be heard: disks are looked at once a minute");
        }
        let (mut looked, mut again) = (Instant::now(), None);
        loop {
            let heard = socket.as_ref().is_ok_and(heard);
            if socket.is_err() {
                thread::sleep(Duration::from_secs(1));
            }
            let Some(watch) = watch.upgrade() else { return };
            let settled = again.is_some_and(|at| Instant::now() >= at);
            if heard || settled || looked.elapsed() >= ANYHOW {
                watch.rescan();
                looked = Instant::now();
                again = heard.then(|| looked + SETTLE).or(again.filter(|_| !settled));
            }
        }
    });
}

/// Waits at most a second; true when there were events, which are all taken.
fn heard(socket: &udev::MonitorSocket) -> bool {
    let mut fds = [PollFd::new(socket, PollFlags::IN)];
    let ready = poll(&mut fds, Some(&TICK)).is_ok_and(|ready| ready > 0);
    ready && socket.iter().count() > 0
}

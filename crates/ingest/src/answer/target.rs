//! A target, served.
use super::WarnedTarget;
use crate::IngestError;
use crate::frame::Frames;
use crate::outlet::Outlet;
use std::os::unix::net::UnixStream;
pub(super) fn serve(_target: &dyn WarnedTarget, _frames: &mut Frames<UnixStream>, _outlet: &Outlet) -> Result<(), IngestError> {
    Err(IngestError::Protocol("later"))
}

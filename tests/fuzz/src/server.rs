//! Parsers of what file servers answer: `keepwell-smb` and `keepwell-nfs`, which assert what must hold of accepted values themselves.

pub use keepwell_nfs::fuzz::{records as nfs_records, reply as nfs_reply, results as nfs_results};
pub use keepwell_smb::fuzz::{frame as smb_frame, negotiate as smb_negotiate, session as smb_session, spnego as smb_spnego};
pub use keepwell_smb::fuzz_client::{bodies as smb_bodies, information as smb_information, listing as smb_listing, names as smb_names};

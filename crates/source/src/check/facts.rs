//! What is known of a source beside its entries, in words for a person. Reads rights from the server and never tries them out.

use keepwell_smb::{Ability, Dialect, Protection, access};

use super::{CheckReport, Opened};
use crate::{NfsVersion, SmbSource};

/// All of it.
pub(super) fn add(opened: &Opened, report: &mut CheckReport) {
    if let Opened::Smb(source) = opened {
        let rights = source.rights().ok().flatten();
        let granted = source.facts().maximal_access & rights.unwrap_or(u32::MAX);
        add_rights(report, granted, source.reads_audit_lists());
    }
    describe(opened, report);
}

/// What is known without asking what the account may do.
pub(super) fn describe(opened: &Opened, report: &mut CheckReport) {
    match opened {
        Opened::Folder(_) => {
            (report.protocol, report.protection) = ("folder".into(), "on this machine".into());
        }
        Opened::Nfs(_, version) => {
            let version = if *version == NfsVersion::V41 { "4.1" } else { "3" };
            (report.protocol, report.protection) = (format!("NFS {version}"), "not protected".into());
            report.findings.push(
                "NFS is neither encrypted nor signed: whoever is on the network between can read and change what is read, and claim to be any \
                 user. Use SMB for what must stay secret, or a network of its own"
                    .into(),
            );
        }
        Opened::Smb(source) => describe_share(source, report),
    }
}

fn describe_share(source: &SmbSource, report: &mut CheckReport) {
    let (facts, volume) = (source.facts(), source.volume());
    report.protocol = format!("SMB {}", facts.dialect);
    report.protection = facts.protection.to_string();
    report.server = Some(guid(&facts.server_guid));
    report.file_system = Some(volume.file_system.clone());
    if let Protection::Signed(_) = facts.protection {
        let how =
            if facts.dialect == Dialect::Smb210 { "this server's protocol has no encryption" } else { "switch on SMB encryption there" };
        report
            .findings
            .push(format!("not encrypted: nobody can change what is read on its way, but whoever is between can read it; {how}"));
    }
    for (ability, text) in [
        (Ability::Descriptors, "this share shows no security descriptors, so none are kept"),
        (Ability::Streams, "this share shows no alternate streams, so none are kept"),
    ] {
        if !volume.has(ability) {
            report.findings.push(text.into());
        }
    }
    if facts.share_is_dfs {
        report.findings.push("this share is part of a DFS name space: links in it that lead to other servers are not followed".into());
    }
    match source.snapshots() {
        Ok(times) if times.is_empty() => {
            report
                .findings
                .push("this server keeps no snapshots of the share: files that are held open while a backup runs can't be read".into());
        }
        Ok(times) => report.snapshots = times,
        Err(gap) => report.findings.push(format!("the server's snapshots can't be listed: {}", gap.text)),
    }
}

fn add_rights(report: &mut CheckReport, granted: u32, reads_audit_lists: bool) {
    let has = |rights: u32| granted & rights == rights;
    if has(access::READ_DATA | access::READ_ATTRIBUTES | access::READ_EA | access::READ_CONTROL) {
        report.rights.push("read files, attributes and access lists".into());
    } else if has(access::READ_DATA) {
        report.rights.push("read files, but not all of their attributes and access lists".into());
        report
            .findings
            .push("this account may not read all attributes and access lists here: they would be missing after a restore".into());
    } else {
        report.findings.push("this account may not list this folder".into());
    }
    if granted & (access::WRITE_DATA | access::APPEND_DATA | access::DELETE | access::DELETE_CHILD) != 0 {
        report.rights.push("write".into());
        report.findings.push(
            "this account may also write: one that may only read is enough for backups, and does less harm when its password is stolen"
                .into(),
        );
    }
    if has(access::WRITE_DAC) {
        report.rights.push("change access lists".into());
    }
    if has(access::WRITE_OWNER) {
        report.rights.push("change owners".into());
    }
    if reads_audit_lists {
        report.rights.push("read audit lists (SACLs)".into());
    } else {
        report.rights.push("not: read audit lists (SACLs); they are left out".into());
    }
}

/// As Windows writes them: the first three parts are little-endian (MS-DTYP 2.3.4).
fn guid(bytes: &[u8; 16]) -> String {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::with_capacity(36);
    for (at, from) in order.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{:02x}", bytes[from]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_put_into_words() {
        let mut report = CheckReport::default();
        add_rights(&mut report, 0x0012_0089, false);
        assert_eq!(report.rights, ["read files, attributes and access lists", "not: read audit lists (SACLs); they are left out"]);
        assert_eq!(report.findings, Vec::<String>::new());
        let mut report = CheckReport::default();
        add_rights(&mut report, 0x001F_01FF, true);
        assert!(report.rights.contains(&"change owners".to_owned()));
        assert!(report.findings[0].contains("may only read is enough"));
    }

    #[test]
    fn ids_are_written_as_windows_does() {
        let bytes = std::array::from_fn(|n| n as u8);
        assert_eq!(guid(&bytes), "03020100-0504-0706-0809-0a0b0c0d0e0f");
    }
}

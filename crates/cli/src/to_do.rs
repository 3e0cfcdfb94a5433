//! What a person can do when a program of the box did not do what it was asked. One sentence for each kind of answer; asks nobody, and knows no secret.

use std::io::ErrorKind;

use keepwell_api::ClientError;

/// The sentence, where there is something to do that the message itself does not say.
pub(crate) fn about(error: &ClientError) -> Option<String> {
    match error {
        ClientError::Unreachable { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            Some("run this as root, or as a user of the group keepwell".into())
        }
        ClientError::Unreachable { program, .. } => Some(format!(
            "see whether it runs: systemctl status {program}. A box that lives in a folder is named with --box DIR, and runs as long as its 'keepwell dev' does"
        )),
        ClientError::NoAnswer { program, .. } => {
            Some(format!("try again; if it stays so, see whether it runs, and what it says: journalctl -u {program}"))
        }
        ClientError::Refused(refusal) => about_code(&refusal.code).map(str::to_owned),
        ClientError::NotTaken { .. } | ClientError::Unknown { .. } => None,
    }
}

fn about_code(code: &str) -> Option<&'static str> {
    Some(match code {
        "no-session" => SIGN_IN,
        "step-up" => {
            "give the command at a terminal, where the code of the authenticator can be typed; or sign in again and give it within five minutes"
        }
        "role" | "not-allowed" => {
            "ask somebody whose role may: 'keepwell users list' names everybody, and docs/users.md says who may do what"
        }
        "not-you" => "run this as root, or as a user whom that program was told to serve",
        "grant-expired" | "grant-other-boot" | "grant-used" => {
            "give the command again, which asks for a new grant. If that one is refused too, the machine's clock was set meanwhile: keepwell clock confirm"
        }
        "grant-malformed" | "grant-forged" | "grant-other-verb" | "grant-other-arguments" => {
            "give the command again. If it is refused again, the box's programs are of different releases: start all of them again"
        }
        "locked" | "keyd-silent" => "say what keeps the keys closed: keepwell keys status",
        "no-pool" | "pool" | "damaged" => "see which disks are there: keepwell disks list",
        "starting" | "busy" | "authd-silent" => "try again in a minute; nothing has to be done for that",
        "own-state" => "the box keeps this of itself, for a new box with the same vault: nobody else gets it",
        "gap" => "see why it could not be read: keepwell runs gaps RUN; an older one may be whole: keepwell files versions SHARE PATH",
        "too-large" => "take a part of it, or have it written to a share: keepwell restore",
        "other-time" => "give the command again, and look at both times first",
        "no-snapshot" => "list what there is: keepwell snapshots",
        "broken" => "what happened is in the program's log, under the number of the request: journalctl",
        _ => return None,
    })
}

/// For who is not signed in, or not any more.
pub(crate) const SIGN_IN: &str = "sign in: keepwell sign-in --user NAME --password-file FILE --code NNNNNN";

#[cfg(test)]
mod tests {
    use super::*;

    /// As it comes over a socket.
    fn refused(code: &str) -> ClientError {
        ClientError::Refused(serde_json::from_value(serde_json::json!({ "code": code, "error": "no" })).unwrap())
    }

    #[test]
    fn whoever_is_sent_away_hears_what_to_do() {
        let unreachable = |kind: ErrorKind| ClientError::Unreachable { program: "keepwell-vaultd", path: "/s".into(), source: kind.into() };
        let rows = [
            (unreachable(ErrorKind::NotFound), "systemctl status keepwell-vaultd"),
            (unreachable(ErrorKind::ConnectionRefused), "keepwell dev"),
            (unreachable(ErrorKind::PermissionDenied), "as root"),
            (ClientError::NoAnswer { program: "keepwell-authd", why: "none".into() }, "journalctl -u keepwell-authd"),
            (refused("no-session"), "keepwell sign-in"),
            (refused("step-up"), "within five minutes"),
            (refused("role"), "keepwell users list"),
            (refused("not-allowed"), "keepwell users list"),
            (refused("grant-expired"), "give the command again"),
            (refused("locked"), "keepwell keys status"),
            (refused("no-snapshot"), "keepwell snapshots"),
        ];
        for (error, wanted) in rows {
            let told = about(&error).unwrap_or_else(|| panic!("nothing to do about {error:?}"));
            assert!(told.contains(wanted), "{error:?}: {told}");
        }
        assert_eq!(about(&refused("name-taken")), None);
    }
}

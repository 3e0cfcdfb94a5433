//! What the JSON API offers: one table, of which its answers, its description and the tests are made. It is vaultd's own table, with who may ask what vaultd tells
//! without a grant: whoever may see the page that shows the same.

use axum::http::Method;
use keepwell_api::grants::{Role, Verb};
use keepwell_api::offsite::{
    CancelOrder, EndTenant, Invite, Invited, Line, Offsite, PairWith, Paired, ProveNow, Receipts, SendNow, Unpair,
};
use keepwell_api::vault::{
    Acknowledge, AddDisk, AddShare, BoxDisks, Cancel, ChangeShare, Changes, ChannelTold, CheckShare, ClockConfirmed, CompareSnapshots,
    ConfirmClock, CreatePool, Deletions, Done, Download, DownloadZip, Files, FoundFiles, Gaps, ListFiles, ListGaps, ListSnapshots,
    ListVersions, LocateDisk, LogRecord, LogVerdict, PoolMaking, ReadLog, RemoveDisk, RemoveShare, Restore, RestoreState, ResumeRestore,
    Run, RunNow, SearchFiles, SetChannel, Share, ShareAdded, ShareChecked, Snapshot, Started, SupportBundle, TestChannel, TestDisk,
    TestRestores, VaultState, Versions,
};
use keepwell_duties::{Policy, Status};

use super::shapes::{Shape, list, none, of};

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A token of one of these roles, and for one of these verbs where there are any. What a token that is limited to some shares gets is [`Told`].
    Told(&'static [Role], &'static [Verb], Told),
    /// A token for this verb; vaultd is shown a grant.
    Granted(Verb),
    /// The same, where the request says which verb it takes.
    ByContent(ByContent),
}

/// How an answer is limited to some shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It names none.
    All,
    /// What is of others is left out of the status.
    Status,
    /// Out of a list of shares.
    Shares,
    /// Out of a list of runs.
    Runs,
    /// A run of another share is not there.
    Run,
    /// Only its own restores are there. So it is for who restores only, too.
    Restores,
    /// One that is not its own is not there.
    Restore,
    /// It can't be limited, and is refused.
    Nothing,
}

/// Where the verb stands in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByContent {
    /// [`ChangeShare::verb`].
    Tier,
    /// [`Policy::is_loosened_by`].
    Policy,
}

/// What the answer is.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// JSON.
    Json(Shape),
    /// Something else, of this type; it may be long.
    Flow(&'static str),
}

/// What has no end of its own.
pub const EVENTS: &str = "text/event-stream";

/// A route of vaultd.
#[derive(Debug)]
pub struct Route {
    /// GET or POST.
    pub method: Method,
    /// Under `/api`, and at vaultd.
    pub path: &'static str,
    /// Who may ask.
    pub who: Who,
    /// In a few words.
    pub about: &'static str,
    /// What is sent.
    pub request: Shape,
    /// What comes back.
    pub answer: Answer,
}

use Answer::{Flow, Json};
use Role::{Auditor, Operator, Owner, RestoreOnly, Security, Technician};

const RUNNING: &[Role] = &[Owner, Operator, Technician];
const LOOKING: &[Role] = &[Owner, Operator, Technician, Auditor];
const READING: &[Role] = &[Owner, Security, Auditor];
const RESTORING: &[Role] = &[Owner, Operator, RestoreOnly];
const DECIDING: &[Role] = &[Owner, Operator];
const RESTORES: &[Verb] = &[Verb::Restore, Verb::TestRestore];

const fn get(path: &'static str, who: Who, about: &'static str, answer: Answer) -> Route {
    Route { method: Method::GET, path, who, about, request: none, answer }
}

const fn post(path: &'static str, verb: Verb, about: &'static str, request: Shape, answer: Answer) -> Route {
    Route { method: Method::POST, path, who: Who::Granted(verb), about, request, answer }
}

/// All of them.
pub const ROUTES: &[Route] = &[
    get("/v1/status", Who::Told(Role::ALL, &[], Told::Status), "Can I restore today?", Json(of::<Status>)),
    get("/v1/vault", Who::Told(RUNNING, &[], Told::All), "The vault", Json(of::<VaultState>)),
    get("/v1/shares", Who::Told(RUNNING, &[], Told::Shares), "The shares", Json(list::<Share>)),
    get("/v1/runs", Who::Told(LOOKING, &[], Told::Runs), "Backups, newest first", Json(list::<Run>)),
    get("/v1/runs/{id}", Who::Told(LOOKING, &[], Told::Run), "One backup", Json(of::<Run>)),
    get("/v1/restores", Who::Told(RESTORING, RESTORES, Told::Restores), "Restores", Json(list::<RestoreState>)),
    get("/v1/restores/{id}", Who::Told(RESTORING, RESTORES, Told::Restore), "One restore", Json(of::<RestoreState>)),
    get("/v1/channels", Who::Told(RUNNING, &[], Told::All), "Ways for messages", Json(list::<ChannelTold>)),
    get("/v1/policies", Who::Told(DECIDING, &[], Told::All), "What is promised", Json(list::<Policy>)),
    get("/v1/log/verify", Who::Told(READING, &[Verb::LogRead], Told::All), "Whether the log is whole", Json(of::<LogVerdict>)),
    get("/v1/disks", Who::Told(RUNNING, &[], Told::All), "The disks", Json(of::<BoxDisks>)),
    get("/v1/offsite", Who::Told(LOOKING, &[], Told::Nothing), "The second site, and what is kept for others", Json(of::<Offsite>)),
    get("/v1/offsite/receipts", Who::Told(LOOKING, &[], Told::Nothing), "What the second site has signed for", Json(of::<Receipts>)),
    get("/v1/pool", Who::Told(DECIDING, &[], Told::All), "How far the first pool is", Json(of::<PoolMaking>)),
    get("/v1/events", Who::Told(LOOKING, &[], Told::Nothing), "What happens, as server-sent events", Flow(EVENTS)),
    get("/metrics", Who::Told(LOOKING, &[], Told::Nothing), "Metrics for Prometheus", Flow("text/plain")),
    post("/v1/shares", Verb::SharesAdd, "Adds a share", of::<AddShare>, Json(of::<ShareAdded>)),
    post(
        "/v1/shares/check",
        Verb::SharesAdd,
        "What an account may do, before its share is added",
        of::<CheckShare>,
        Json(of::<ShareChecked>),
    ),
    Route {
        method: Method::POST,
        path: "/v1/shares/change",
        who: Who::ByContent(ByContent::Tier),
        about: "Changes a share",
        request: of::<ChangeShare>,
        answer: Json(of::<Done>),
    },
    post("/v1/shares/remove", Verb::SharesRemove, "Backs a share up no longer", of::<RemoveShare>, Json(of::<Done>)),
    post("/v1/runs", Verb::RunNow, "Begins a backup", of::<RunNow>, Json(of::<Started>)),
    post("/v1/runs/cancel", Verb::RunCancel, "Ends a backup", of::<Cancel>, Json(of::<Done>)),
    post("/v1/restores", Verb::Restore, "Writes back to a share", of::<Restore>, Json(of::<Started>)),
    post(
        "/v1/restores/resume",
        Verb::Restore,
        "Goes on with a restore that waits for its password",
        of::<ResumeRestore>,
        Json(of::<Started>),
    ),
    post("/v1/restores/cancel", Verb::Restore, "Ends a restore", of::<Cancel>, Json(of::<Done>)),
    post("/v1/snapshots", Verb::SnapshotsList, "Snapshots", of::<ListSnapshots>, Json(list::<Snapshot>)),
    post("/v1/snapshots/compare", Verb::FilesList, "What differs between two snapshots", of::<CompareSnapshots>, Json(of::<Changes>)),
    post("/v1/files", Verb::FilesList, "A folder of a snapshot", of::<ListFiles>, Json(of::<Files>)),
    post("/v1/files/search", Verb::FilesList, "Finds names", of::<SearchFiles>, Json(of::<FoundFiles>)),
    post("/v1/files/versions", Verb::FilesList, "All versions of a file", of::<ListVersions>, Json(of::<Versions>)),
    post("/v1/runs/gaps", Verb::FilesList, "What a backup could not read", of::<ListGaps>, Json(of::<Gaps>)),
    post("/v1/files/content", Verb::Download, "A file", of::<Download>, Flow("application/octet-stream")),
    post("/v1/files/zip", Verb::Download, "Files and folders as an archive", of::<DownloadZip>, Flow("application/zip")),
    Route {
        method: Method::POST,
        path: "/v1/policies",
        who: Who::ByContent(ByContent::Policy),
        about: "Promises something else",
        request: of::<Policy>,
        answer: Json(of::<Done>),
    },
    post("/v1/incidents/acknowledge", Verb::IncidentsAcknowledge, "Takes an incident", of::<Acknowledge>, Json(of::<Done>)),
    post("/v1/channels", Verb::SettingsChange, "Sets a channel for messages", of::<SetChannel>, Json(of::<Done>)),
    post("/v1/channels/test", Verb::SettingsChange, "Sends a test message", of::<TestChannel>, Json(of::<Done>)),
    post("/v1/deletions/freeze", Verb::DeletionsFreeze, "Forgets no old copy from now on", of::<Deletions>, Json(of::<Done>)),
    post("/v1/deletions/thaw", Verb::DeletionsThaw, "Lets old copies be forgotten again", of::<Deletions>, Json(of::<Done>)),
    post("/v1/pool", Verb::DisksChange, "Makes the first pool", of::<CreatePool>, Json(of::<Done>)),
    post("/v1/disks/add", Verb::DisksChange, "Erases a disk and adds it to the pool", of::<AddDisk>, Json(of::<Done>)),
    post("/v1/disks/remove", Verb::DisksChange, "Takes a disk out of the pool", of::<RemoveDisk>, Json(of::<Done>)),
    post("/v1/disks/locate", Verb::DisksTest, "Has a disk blink", of::<LocateDisk>, Json(of::<Done>)),
    post("/v1/disks/self-test", Verb::DisksTest, "Has a disk test itself", of::<TestDisk>, Json(of::<Done>)),
    post("/v1/offsite/invite", Verb::OffsiteChange, "Lets another box send its copies here", of::<Invite>, Json(of::<Invited>)),
    post("/v1/offsite/pair", Verb::OffsiteChange, "Sends the copies to another box", of::<PairWith>, Json(of::<Paired>)),
    post("/v1/offsite/unpair", Verb::OffsiteChange, "Sends nothing more to a box", of::<Unpair>, Json(of::<Done>)),
    post("/v1/offsite/end", Verb::OffsiteChange, "Takes nothing more from a box", of::<EndTenant>, Json(of::<Done>)),
    post("/v1/offsite/cancel-order", Verb::OffsiteChange, "Cancels an order to keep less there", of::<CancelOrder>, Json(of::<Done>)),
    post("/v1/offsite/line", Verb::OffsiteChange, "Says what copies may take of the line, and when", of::<Line>, Json(of::<Done>)),
    post("/v1/offsite/send", Verb::RunNow, "Looks at once whether something is to be sent", of::<SendNow>, Json(of::<Done>)),
    post("/v1/offsite/prove", Verb::RunNow, "Has the second site prove at once what it signed for", of::<ProveNow>, Json(of::<Done>)),
    post("/v1/log", Verb::LogRead, "The log", of::<ReadLog>, Json(list::<LogRecord>)),
    post("/v1/clock/confirm", Verb::SettingsChange, "Says that the clock is right", of::<ConfirmClock>, Json(of::<ClockConfirmed>)),
    post("/v1/test-restores", Verb::TestRestore, "Begins a test restore", of::<TestRestores>, Json(of::<Started>)),
    post("/v1/support-bundle", Verb::SupportBundle, "The support file", of::<Nothing>, Json(of::<SupportBundle>)),
];

/// `{}`.
#[derive(Debug, utoipa::ToSchema)]
#[schema(description = "Nothing has to be said")]
pub struct Nothing {}

impl Route {
    /// Where it is under the console's name.
    pub fn place(&self) -> String {
        if self.path.starts_with("/v1/") { format!("/api{}", self.path) } else { format!("/api/v1{}", self.path) }
    }

    /// Its path at vaultd for a request's path, if it is one of this route.
    pub(super) fn at_vaultd(&self, path: &str) -> Option<String> {
        let (place, mut id) = (self.place(), None);
        let (mut wanted, mut given) = (place.split('/'), path.split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => break,
                (Some("{id}"), Some(digits)) => id = Some(digits.parse::<u64>().ok()?),
                (Some(one), Some(other)) if one == other => {}
                _ => return None,
            }
        }
        Some(id.map_or_else(|| self.path.to_owned(), |id| self.path.replace("{id}", &id.to_string())))
    }

    /// What a query may say.
    pub(super) fn query(&self) -> &'static [&'static str] {
        if self.method == Method::GET && self.path == "/v1/runs" { &["share", "limit"] } else { &[] }
    }
}

/// The route of a request; else which methods there are at its path.
pub(super) fn find(method: &Method, path: &str) -> Result<(&'static Route, String), Vec<&'static Method>> {
    let here: Vec<_> = ROUTES.iter().filter_map(|route| Some((route, route.at_vaultd(path)?))).collect();
    match here.iter().position(|(route, _)| route.method == method) {
        Some(at) => Ok((here[at].0, here[at].1.clone())),
        None => Err(here.into_iter().map(|(route, _)| &route.method).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const API: &str = include_str!("../../../../docs/api.md");
    /// Routes of vaultd that are not for programs elsewhere: those of the downtime share have their own door, papers are a person's, the screen asks for its own, and recoverd for its disks.
    const NOT_HERE: &[&str] = &["/v1/emergency", "/v1/kit/", "/v1/disks/outward", "/v1/address", "/v1/pool/recovery"];

    #[test]
    fn a_path_is_one_route_or_none() {
        let at = |method: &Method, path: &str| find(method, path).ok().map(|(_, path)| path);
        assert_eq!(at(&Method::GET, "/api/v1/status").as_deref(), Some("/v1/status"));
        assert_eq!(at(&Method::GET, "/api/v1/metrics").as_deref(), Some("/metrics"));
        assert_eq!(at(&Method::GET, "/api/v1/runs/07").as_deref(), Some("/v1/runs/7"));
        assert_eq!(at(&Method::POST, "/api/v1/runs/gaps").as_deref(), Some("/v1/runs/gaps"));
        for bad in ["/api/v1", "/api/v1/", "/api/v1/status/", "/api/v1/runs/-1", "/api/v1/runs/1/2", "/api/v1/runs/%31", "/api/v1//runs"] {
            assert_eq!(at(&Method::GET, bad), None, "{bad}");
        }
        assert_eq!(find(&Method::DELETE, "/api/v1/shares").err().map(|methods| methods.len()), Some(2));
    }

    /// The page of the box's API knows no route that is not here, and none is here that it does not know.
    #[test]
    fn it_is_vaultds_table() {
        let section = API.split("\n## ").find(|section| section.starts_with("vaultd")).unwrap();
        let rows: Vec<_> = section.lines().filter(|line| line.starts_with("| `GET /") || line.starts_with("| `POST /")).collect();
        let mut written = Vec::new();
        for row in &rows {
            let cells: Vec<_> = row.split(" | ").collect();
            let (method, path) = cells[0].trim_matches(['|', ' ', '`']).split_once(' ').unwrap();
            written.push((method, path));
            let Some(route) = ROUTES.iter().find(|route| route.method.as_str() == method && route.path == path) else {
                assert!(NOT_HERE.iter().any(|prefix| path.starts_with(prefix)), "{method} {path} is not offered");
                continue;
            };
            match route.who {
                Who::Granted(verb) => assert!(cells[1].contains(&format!("`{verb}`")), "{row}"),
                Who::ByContent(_) => assert!(cells[1].contains("`policy-loosen`"), "{row}"),
                Who::Told(..) => assert!(!cells[1].starts_with('`'), "{row}"),
            }
        }
        for route in ROUTES {
            assert!(written.contains(&(route.method.as_str(), route.path)), "{} {} is none of vaultd's", route.method, route.path);
        }
    }
}

//! What a Prometheus server is told (text exposition format 0.0.4). Never a name: shares are known by their ids, disks by their places.

use std::fmt::Write as _;

use keepwell_duties::status::{Headline, Mark};
use keepwell_duties::{Severity, Standing, Status};

/// The whole page.
pub(crate) fn page(status: &Status, unsent: u64, strangers: Option<u64>) -> String {
    let mut page = Page(String::new());
    page.family("keepwell_restorable", "Whether a restore today is proven to work: 0 no, 1 not proven, 2 partly, 3 yes.", "gauge");
    page.sample("keepwell_restorable", &[], headline(status.headline));
    page.family("keepwell_answer_proven", "Whether the answer to a question of the front page is proven.", "gauge");
    for answer in &status.answers {
        page.sample("keepwell_answer_proven", &[("question", &word(&answer.question))], i64::from(answer.mark == Mark::Proven));
    }
    page.family("keepwell_share_copy_age_seconds", "Age of the newest copy of a share.", "gauge");
    for share in &status.shares {
        if let Some(age) = share.copy_age_s {
            page.sample("keepwell_share_copy_age_seconds", &[("share", &share.id.0), ("tier", &share.tier.number().to_string())], age);
        }
    }
    page.family("keepwell_share_copy_age_goal_seconds", "How old the newest copy of a share may get.", "gauge");
    for share in &status.shares {
        page.sample("keepwell_share_copy_age_goal_seconds", &[("share", &share.id.0)], i64::from(share.goal_s));
    }
    page.family("keepwell_share_state", "1 for the state that a share is in.", "gauge");
    for share in &status.shares {
        page.sample("keepwell_share_state", &[("share", &share.id.0), ("state", &word(&share.state))], 1);
    }
    page.family("keepwell_runs_under_way", "Runs that go on.", "gauge");
    page.sample("keepwell_runs_under_way", &[], i64::from(status.running));
    page.family("keepwell_incidents_open", "Open incidents by severity.", "gauge");
    for severity in [Severity::Notice, Severity::Warning, Severity::Critical] {
        let open = status.incidents.iter().filter(|incident| incident.severity == severity).count();
        page.sample("keepwell_incidents_open", &[("severity", &word(&severity))], i64::try_from(open).unwrap_or(i64::MAX));
    }
    page.family("keepwell_duty_proven", "Whether a promise of a kind is proven for everything it was made about.", "gauge");
    let mut kinds: Vec<_> = status.duties.iter().map(|(duty, _)| duty.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let proven =
            status.duties.iter().filter(|(duty, _)| duty.kind == kind).all(|(_, standing)| matches!(standing, Standing::Proven { .. }));
        page.sample("keepwell_duty_proven", &[("duty", kind.code())], i64::from(proven));
    }
    if let Some(pool) = status.pool {
        page.family("keepwell_pool_free_bytes", "Bytes free in the pool.", "gauge");
        page.sample("keepwell_pool_free_bytes", &[], pool.free_bytes.cast_signed());
        page.family("keepwell_pool_size_bytes", "Bytes of all disks of the pool.", "gauge");
        page.sample("keepwell_pool_size_bytes", &[], pool.total_bytes.cast_signed());
    }
    page.family("keepwell_notices_waiting", "Messages that were not delivered yet.", "gauge");
    page.sample("keepwell_notices_waiting", &[], unsent.cast_signed());
    if let Some(strangers) = strangers {
        let help = "Requests of boxes that are not paired here, and were refused, since replicad began.";
        page.family("keepwell_offsite_strangers_total", help, "counter");
        page.sample("keepwell_offsite_strangers_total", &[], strangers.cast_signed());
    }
    page.0
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: i64) {
        let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn headline(headline: Headline) -> i64 {
    match headline {
        Headline::No => 0,
        Headline::NotProven => 1,
        Headline::Partly => 2,
        Headline::Yes => 3,
    }
}

/// The word that a value of a closed list has in JSON.
fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

//! What is promised for each tier, and changing it. A change that promises less takes an owner; vaultd decides which one does.

use askama::Template;
use axum::response::Response;
use keepwell_api::grants::Verb;
use keepwell_api::vault::Done;
use keepwell_duties::policy::Weekly;
use keepwell_duties::{Keep, Policy, PolicyError, Tier, words};

use super::frame::Frame;
use super::trouble;
use crate::form::Form;
use crate::neighbours::Trouble;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "policies.html")]
struct PoliciesPage {
    frame: Frame,
    tiers: Result<Vec<TierView>, Trouble>,
    may_loosen: bool,
    needs_code: bool,
}

struct TierView {
    number: u8,
    needed: &'static str,
    every: String,
    goal: String,
    keep: String,
    sample: u32,
    hours: String,
    every_min: u32,
    goal_min: u32,
    hourly: u32,
    daily: u32,
    weekly: u32,
    monthly: u32,
    spared: bool,
    days: Vec<(u8, &'static str, bool)>,
    from: String,
    to: String,
    zone: String,
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The page.
pub(crate) async fn page(visit: Visit) -> Response {
    let zone = visit.app.settings.zone.iana_name().unwrap_or("UTC").to_owned();
    let tiers = visit.app.neighbours.get::<Vec<Policy>>("/v1/policies").await;
    let tiers = tiers.map(|all| all.iter().map(|policy| view(policy, &zone)).collect());
    let (may_loosen, needs_code) = (visit.may(Verb::PolicyLoosen), visit.needs_code(Verb::PolicyLoosen));
    visit.show(&PoliciesPage { frame: visit.frame("Policies"), tiers, may_loosen, needs_code })
}

fn view(policy: &Policy, zone: &str) -> TierView {
    let Keep { hourly, daily, weekly, monthly } = policy.keep;
    let hours = policy.clinic_hours.as_ref();
    let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60);
    let open = |day: u8| hours.map_or(day < 5, |hours| hours.days.contains(&day));
    TierView {
        number: policy.tier.number(),
        needed: match policy.tier {
            Tier::One => "You can't see patients without it",
            Tier::Two => "You need it the same day",
            Tier::Three => "All else",
        },
        every: words::duration(policy.cadence_s.into()),
        goal: words::duration(policy.copy_age_goal_s.into()),
        keep: format!("{hourly} hourly, {daily} daily, {weekly} weekly, {monthly} monthly"),
        sample: policy.test_sample,
        hours: match hours {
            Some(hours) if hours.spared => {
                format!("Servers are left alone {} to {}, as long as the goal holds", clock(hours.from_min), clock(hours.to_min))
            }
            _ => "At all hours".into(),
        },
        every_min: policy.cadence_s.div_ceil(60),
        goal_min: policy.copy_age_goal_s / 60,
        hourly,
        daily,
        weekly,
        monthly,
        spared: hours.is_some_and(|hours| hours.spared),
        days: DAYS.iter().zip(0..).map(|(name, day)| (day, *name, open(day))).collect(),
        from: hours.map_or("08:00".into(), |hours| clock(hours.from_min)),
        to: hours.map_or("18:00".into(), |hours| clock(hours.to_min)),
        zone: hours.map_or(zone, |hours| &hours.tz).to_owned(),
    }
}

/// Changes one tier's. What the form does not say stays.
pub(crate) async fn change(visit: Visit) -> Response {
    let all = match visit.app.neighbours.get::<Vec<Policy>>("/v1/policies").await {
        Ok(all) => all,
        Err(trouble) => return visit.after::<()>("/policies", Err(trouble), ""),
    };
    let Some(before) = all.iter().find(|policy| Some(policy.tier.number()) == visit.form.number("tier")) else {
        return trouble::missing(&visit, "There is no such tier.");
    };
    let wanted = typed(&visit.form, before);
    if let Err(error) = wanted.check() {
        visit.look_at(match error {
            PolicyError::Cadence(_) => &["every"],
            PolicyError::Goal { .. } => &["goal"],
            PolicyError::Hours => &["from", "to"],
            PolicyError::Zone(_) => &["zone"],
            PolicyError::KeepsNothing => &["hourly", "daily", "weekly", "monthly"],
        });
        let text = super::runs::capital(&error.to_string());
        return visit.go("/policies", Some(crate::sessions::Notice { good: false, text: format!("{text} Nothing was changed.") }));
    }
    let verb = if before.is_loosened_by(&wanted) { Verb::PolicyLoosen } else { Verb::PolicyChange };
    let done = match visit.granted::<Done>(verb, "/v1/policies", &wanted).await {
        Err(Trouble::Role) => {
            let text = "This promises less than before, so it takes an owner. Nothing was changed.".into();
            return visit.go("/policies", Some(crate::sessions::Notice { good: false, text }));
        }
        done => done,
    };
    visit.after("/policies", done, "The promise was changed. It holds from now on.")
}

fn typed(form: &Form, before: &Policy) -> Policy {
    let seconds = |name: &str, known: u32| form.number::<u32>(name).map_or(known, |minutes| minutes.saturating_mul(60));
    let count = |name: &str, known: u32| form.number(name).unwrap_or(known);
    // What was shown rounded and is sent back as it was shown was not changed.
    let unless_same = |typed: u32, shown: u32, known: u32| if typed == shown { known } else { typed };
    let cadence = seconds("every", before.cadence_s);
    let goal = seconds("goal", before.copy_age_goal_s);
    Policy {
        tier: before.tier,
        cadence_s: unless_same(cadence, before.cadence_s.div_ceil(60) * 60, before.cadence_s),
        copy_age_goal_s: unless_same(goal, before.copy_age_goal_s / 60 * 60, before.copy_age_goal_s),
        clinic_hours: hours(form, before.clinic_hours.as_ref()),
        keep: Keep {
            hourly: count("hourly", before.keep.hourly),
            daily: count("daily", before.keep.daily),
            weekly: count("weekly", before.keep.weekly),
            monthly: count("monthly", before.keep.monthly),
        },
        test_sample: count("sample", before.test_sample),
    }
}

fn hours(form: &Form, before: Option<&Weekly>) -> Option<Weekly> {
    let spared = form.has("spared");
    if !spared && before.is_none() {
        return None;
    }
    let minute = |name: &str| {
        let (hours, minutes) = form.text(name).split_once(':')?;
        hours.parse::<u16>().ok()?.checked_mul(60)?.checked_add(minutes.parse::<u16>().ok()?)
    };
    Some(Weekly {
        days: form.all("day").filter_map(|day| day.parse().ok()).collect(),
        from_min: minute("from").unwrap_or(480),
        to_min: minute("to").unwrap_or(1_080),
        tz: form.text("zone").to_owned(),
        spared,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_touched_stays() {
        let before = Policy { cadence_s: 90, copy_age_goal_s: 200, ..Policy::of(Tier::One) };
        let same = Form::parse(b"every=2&goal=3&hourly=48&daily=35&weekly=13&monthly=24&sample=100").expect("a form");
        assert_eq!(typed(&same, &before), before);
        let other = typed(
            &Form::parse(b"every=1&daily=5&spared=on&day=0&day=4&from=07%3A30&to=19%3A00&zone=Europe/Berlin").expect("a form"),
            &before,
        );
        assert_eq!((other.cadence_s, other.keep.daily, other.copy_age_goal_s), (60, 5, 200));
        let hours = other.clinic_hours.unwrap();
        assert_eq!((hours.days, hours.from_min, hours.to_min), (vec![0, 4], 450, 1_140));
    }
}

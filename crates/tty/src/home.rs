//! The first page: can I restore today, the four answers, where the console is and how it is known, the claim code, and what can be chosen. Nobody has to be signed in to
//! see it, so it names no share and no person.

use std::net::IpAddr;

use keepwell_api::grants::{Verb, allows};
use keepwell_api::keys::Phase;
use keepwell_api::state_locked::StateLocked;
use keepwell_duties::status::{Answer, Mark, Question};
use keepwell_duties::words;
use keepwell_duties::{Duty, DutyKind, Headline, Incident};

use crate::console::{Console, away, strangers};
use crate::facts::Facts;
use crate::screen::{Line, Look, Menu, Pick};

/// The page. Its choices stand in `menu`.
pub(crate) fn lines(console: &Console, up: u64) -> Vec<Line> {
    let facts = &console.facts;
    let mut lines = Vec::new();
    if let Some(why) = console.state_locked {
        lines.extend(without_state(why));
        if facts.keys.now(up).is_none_or(|keys| keys.phase != Phase::Open) {
            lines.extend(locked_state(why));
            lines.extend(strangers::first(facts, up));
            lines.extend(away::lines(facts, up));
            return lines;
        }
    }
    lines.extend(headline(console, up));
    lines.extend(facts.status.now(up).and_then(|status| status.doubt).map(|doubt| wrong_clock(doubt.ahead_s)));
    lines.extend(own_disk(facts, up));
    lines.push(Line::of(""));
    lines.extend(strangers::first(facts, up));
    let coming = away::lines(facts, up);
    let comes = !coming.is_empty();
    lines.extend(coming);
    if let Some(keys) = facts.keys.now(up)
        && keys.phase == Phase::Locked
    {
        lines.push(Line::looking(Look::Bad, "KEYS LOCKED: nothing can be backed up or restored before they are opened (Recovery papers)."));
    }
    for address in addresses(console) {
        lines.push(Line::of(format!("Console      {address}")));
    }
    match &facts.local.fingerprint {
        Some(fingerprint) => {
            lines.push(Line::looking(
                Look::Muted,
                "Its certificate authority has this SHA-256 fingerprint. Compare it before the first password:",
            ));
            lines.push(Line::of(fingerprint));
        }
        None => lines.push(Line::looking(Look::Muted, "The console has not made its certificate authority yet.")),
    }
    let keys_first = facts.keys.now(up).is_some_and(|keys| !keys.may_be_claimed());
    // People come back with it.
    if comes {
        return lines;
    }
    if facts.is_unclaimed(up) && console.state_locked.is_none() && facts.claim.now(up).is_none() && keys_first {
        lines.push(Line::looking(Look::Strong, "This box has a vault, but none of its people."));
        lines.push(Line::of(
            "The backups are unharmed. Type two papers of the recovery kit (Recovery papers); until then nobody can claim it.",
        ));
    } else if facts.is_unclaimed(up) && console.state_locked.is_none() {
        let code = facts.claim.now(up).map(|claim| String::from_utf8_lossy(claim.code.as_ref()).into_owned());
        lines.push(Line::looking(Look::Strong, format!("Claim code   {}", code.as_deref().unwrap_or("not known yet"))));
        lines.push(Line::looking(Look::Muted, "This box has no owner. Open the console and type the code there."));
    }
    lines
}

/// Who stands here is about to type a code that may not fit.
fn wrong_clock(ahead_s: i64) -> Line {
    let by = words::duration(ahead_s.saturating_abs());
    Line::looking(Look::Warn, format!("THE CLOCK MAY BE WRONG, by {by}. Where codes don't fit, recovery codes do."))
}

/// What nobody has to be signed in to know: it names no share, and who can put it right may be the one who stands here.
fn own_disk(facts: &Facts, up: u64) -> Option<Line> {
    let open =
        |incident: &Incident| incident.closed_at.is_none() && incident.duty == Duty::of_box(DutyKind::State) && incident.code == "full";
    // A program that finds no room for what it writes as it starts can't say so: the machine can.
    let full = facts.local.disk_full || facts.status.now(up).is_some_and(|status| status.incidents.iter().any(open));
    let text = "THE BOX'S OWN DISK IS FULL: begin no changes, and call whoever looks after the box. Backups that were made are unharmed; a restart gives no room.";
    full.then(|| Line::looking(Look::Bad, text))
}

/// The line that stays as long as it is so.
fn without_state(why: StateLocked) -> Vec<Line> {
    let to_do = format!("Until it is put right, what is changed here may be lost when it is switched off. To do: {}.", why.to_do());
    vec![Line::looking(Look::Bad, "WITHOUT ITS OWN STATE in this start."), Line::looking(Look::Warn, to_do)]
}

/// What whoever stands there has to know before the keys are open. A claim code would lead them to a new, empty box. Whether the box was anybody's before, nobody can know.
fn locked_state(why: StateLocked) -> Vec<Line> {
    let sentence = |text: &str| Line::of(format!("{}{}.", text[..1].to_uppercase(), &text[1..]));
    let mut lines = vec![sentence(why.happened())];
    lines.extend(why.caution().map(|caution| Line::looking(Look::Bad, format!("{caution}."))));
    lines.extend([
        Line::looking(Look::Good, "Nothing is lost: backups that were made are on the pool's disks, unharmed."),
        Line::of(
            "Else two papers of the recovery kit open them until the box is switched off (Recovery papers). Shares, people and history come back with them.",
        ),
        Line::looking(Look::Muted, "There is no claim code in this start: what was set up would be gone after it."),
        Line::of(""),
    ]);
    lines
}

fn headline(console: &Console, up: u64) -> Vec<Line> {
    let facts = &console.facts;
    let Some(status) = facts.status.now(up) else {
        let words = match &facts.status.silent {
            Some(why) => format!("The program with the backups does not answer. {why}"),
            None => "The box is being asked how it is.".into(),
        };
        return vec![Line::looking(Look::Warn, "CAN I RESTORE TODAY?   UNKNOWN"), Line::of(words)];
    };
    let (word, look) = match status.headline {
        Headline::Yes => ("YES", Look::Good),
        Headline::Partly => ("PARTLY", Look::Warn),
        Headline::NotProven => ("NOT PROVEN", Look::Warn),
        Headline::No => ("NO", Look::Bad),
    };
    // The sentence of the headline may name a share, and nobody has to be signed in to stand here, or may know of all shares.
    let mut lines = vec![Line::looking(look, format!("CAN I RESTORE TODAY?   {word}"))];
    if console.person.as_ref().is_some_and(|person| person.shares.is_all()) {
        lines.push(Line::of(status.words.clone()));
    }
    lines.extend(status.answers.iter().map(|one| answer(console, one)));
    lines.push(Line::of(format!("To do {}   Running {}", status.todo.len(), status.running)));
    lines
}

fn answer(console: &Console, answer: &Answer) -> Line {
    let name = match answer.question {
        Question::Here => "HERE",
        Question::Offsite => "OFFSITE",
        Question::Keys => "KEYS",
        Question::People => "PEOPLE",
    };
    let (sign, word, look) = match answer.mark {
        Mark::Proven => ("\u{2713}", "Proven", Look::Good),
        Mark::Overdue => ("\u{25f7}", "Overdue", Look::Warn),
        Mark::NotProven => ("\u{25f7}", "Not proven", Look::Warn),
        Mark::Unknown => ("?", "Unknown", Look::Muted),
        Mark::NotSetUp => ("\u{25cb}", "Not set up", Look::Warn),
        Mark::Failed => ("\u{2717}", "Failed", Look::Bad),
    };
    let words = if console.person.is_some() { answer.words.as_str() } else { "" };
    Line::looking(look, format!("{name:<8} {sign} {word:<11} {words}").trim_end())
}

/// Where browsers find the console.
pub(crate) fn addresses(console: &Console) -> Vec<String> {
    if let Some(url) = &console.url {
        return vec![url.clone()];
    }
    let ours = console.facts.local.cards.iter().flat_map(|card| &card.addresses);
    let parsed = ours.filter_map(|address| address.split('/').next()?.parse::<IpAddr>().ok());
    let port = if console.port == 443 { String::new() } else { format!(":{}", console.port) };
    let found: Vec<String> = parsed
        .map(|address| match address {
            IpAddr::V4(v4) => format!("https://{v4}{port}"),
            IpAddr::V6(v6) => format!("https://[{v6}]{port}"),
        })
        .take(3)
        .collect();
    if found.is_empty() { vec!["no network address: plug in a cable, or see Network".into()] } else { found }
}

/// What can be chosen now.
pub(crate) fn menu(console: &Console) -> Menu {
    let menu = Menu::new("", Vec::new());
    let menu = match &console.person {
        None => menu.item("Sign in", Pick::SignIn),
        Some(person) if allows(person.role, Verb::Restore) => menu.item("Restore a share", Pick::Restore),
        Some(_) => menu,
    };
    let menu = menu.item("Emergency access", Pick::Emergency).item("Recovery papers", Pick::Papers).item("Network", Pick::Network);
    let menu = menu.item("Find a disk", Pick::Disks).item("Restart, shut down, move", Pick::Power);
    if console.person.is_some() { menu.item("Sign out", Pick::SignOut) } else { menu }
}

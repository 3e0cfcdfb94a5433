//! The step of the papers: each printed through this browser once, and confirmed by six of its words. What passes through is wiped, and kept nowhere. vaultd has
//! keyd give out the papers of a first kit alone, for an owner's fresh grant, and each only until it is confirmed; afterwards nothing here can print one again.

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use keepwell_api::grants::Verb;
use keepwell_api::keys::{self, PaperConfirmed, PaperFormat, PaperQuestion, Reissued};
use keepwell_api::vault::{ConfirmKitPaper, KitAgain, PrintKitPaper, VaultState};
use keepwell_api::{Base64, wiped};
use zeroize::Zeroizing;

use super::progress::{Progress, Stage, kit_of};
use super::{Rung, rungs};
use crate::neighbours::Trouble;
use crate::pages::frame::Frame;
use crate::pages::trouble;
use crate::sessions::Notice;
use crate::view::{self, Mark};
use crate::visit::Visit;

const PAGE: &str = "/setup/kit";

#[derive(Template)]
#[template(path = "setup_kit.html")]
struct KitPage {
    frame: Frame,
    steps: Vec<Rung>,
    kit: Result<Option<Kit>, Trouble>,
    needs_code: bool,
    confirming_needs_code: bool,
}

/// The kit as it stands.
struct Kit {
    papers: Vec<Paper>,
    turn: Option<Turn>,
    /// Papers that nobody has and nobody can print any more.
    lost: bool,
}

struct Paper {
    number: u8,
    keeper: String,
    mark: Mark,
}

/// The paper whose turn it is.
struct Turn {
    number: u8,
    /// Rows and words that are asked for, once it was printed.
    places: Option<Vec<(u8, u8)>>,
}

/// The page.
pub(crate) async fn page(visit: Visit) -> Response {
    let (progress, kit) = tokio::join!(Progress::of(&visit.app), kit(&visit));
    visit.show(&KitPage {
        frame: visit.frame("Set up: papers"),
        steps: rungs(&progress, Stage::Kit),
        kit,
        needs_code: visit.needs_code(Verb::KitPrint),
        confirming_needs_code: visit.needs_code(Verb::SettingsChange),
    })
}

/// This box's vault, as keyd has it.
async fn known(visit: &Visit) -> Result<Option<keys::VaultStatus>, Trouble> {
    let (keys, vault) =
        tokio::join!(visit.app.neighbours.ask_keyd::<keys::Status>("/v1/status"), visit.app.neighbours.get::<VaultState>("/v1/vault"));
    Ok(kit_of(&keys?, vault.as_ref().ok()).cloned())
}

/// The first paper that was not confirmed.
fn turn(kit: &keys::VaultStatus) -> Option<u8> {
    (1..).zip(&kit.papers).find(|(_, paper)| paper.confirmed_at.is_none()).map(|(number, _)| number)
}

async fn kit(visit: &Visit) -> Result<Option<Kit>, Trouble> {
    let Some(known) = known(visit).await? else { return Ok(None) };
    let next = turn(&known);
    let mark = |number: u8, confirmed: bool| match confirmed {
        true => Mark { status: "ok", icon: "tick", word: "Confirmed" },
        false if next == Some(number) => Mark { status: "action", icon: "arrow", word: "Next" },
        false => Mark { status: "muted", icon: "ring", word: "Later" },
    };
    let papers = (1..).zip(&known.papers).map(|(number, paper)| Paper {
        number,
        keeper: view::name(paper.keeper.as_bytes()),
        mark: mark(number, paper.confirmed_at.is_some()),
    });
    let papers = papers.collect();
    let Some(number) = next else { return Ok(Some(Kit { papers, turn: None, lost: false })) };
    match visit.app.neighbours.get::<PaperQuestion>(format!("/v1/kit/{number}")).await {
        Ok(asked) => {
            let places = asked.places.iter().map(|place| (place.row, place.word)).collect();
            Ok(Some(Kit { papers, turn: Some(Turn { number, places: Some(places) }), lost: false }))
        }
        Err(trouble) if trouble.code() == Some("not-printed") => {
            Ok(Some(Kit { papers, turn: Some(Turn { number, places: None }), lost: false }))
        }
        Err(trouble) if trouble.code() == Some("no-paper") => Ok(Some(Kit { papers, turn: None, lost: true })),
        Err(trouble) => Err(trouble),
    }
}

/// A paper, for the printer.
pub(crate) async fn print(visit: Visit) -> Response {
    match printed(&visit).await {
        Ok((page, kind)) => sent(page, kind),
        Err(trouble) => visit.after::<()>(PAGE, Err(trouble), ""),
    }
}

async fn printed(visit: &Visit) -> Result<(Zeroizing<Vec<u8>>, &'static str), Trouble> {
    let (Some(kit), Some(paper)) = (known(visit).await?, visit.form.number::<u8>("paper")) else { return Err(Trouble::Busy) };
    let (format, kind) = match visit.form.text("format") {
        "text" => (PaperFormat::Text, "text/plain; charset=utf-8"),
        _ => (PaperFormat::Pdf, "application/pdf"),
    };
    let order = PrintKitPaper { vault: kit.vault, paper, format, keeper: visit.form.text("keeper").to_owned() };
    let who = (&visit.person()?.session, visit.form.code());
    Ok((visit.app.neighbours.paper(who, Verb::KitPrint, "/v1/kit/print", &order).await?, kind))
}

/// To be shown and printed. No cache keeps it: the guard says so of all that is not style or script.
fn sent(page: Zeroizing<Vec<u8>>, kind: &'static str) -> Response {
    let mut answer = Body::from(wiped(page)).into_response();
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
    answer
}

/// Six words of it.
pub(crate) async fn confirm(visit: Visit) -> Response {
    let known = match known(&visit).await {
        Ok(Some(known)) => known,
        Ok(None) => return trouble::missing(&visit, "This box has no papers yet. Set up its disks first."),
        Err(trouble) => return visit.after::<()>(PAGE, Err(trouble), ""),
    };
    let words: Vec<Base64> = visit.form.all("word").map(|word| Base64::from(word.trim().as_bytes().to_vec())).take(7).collect();
    let (Ok(words), Some(paper)) = (<[Base64; 6]>::try_from(words), visit.form.number::<u8>("paper")) else {
        return visit.go(PAGE, Some(Notice { good: false, text: "Type all six words. Nothing was confirmed.".into() }));
    };
    let order = ConfirmKitPaper { vault: known.vault, paper, words };
    match visit.granted::<PaperConfirmed>(Verb::SettingsChange, "/v1/kit/confirm", &order).await {
        Ok(confirmed) => {
            let more = if confirmed.left.is_empty() { "All three exist now." } else { "Print the next one." };
            let text = format!("Paper {paper} is confirmed. Hand it to who keeps it, away from the box and from the others. {more}");
            visit.go(PAGE, Some(Notice { good: true, text }))
        }
        Err(trouble) => visit.after::<()>(PAGE, Err(trouble), ""),
    }
}

/// A new kit, where keyd was started again and has forgotten the papers of one that was not finished.
pub(crate) async fn again(visit: Visit) -> Response {
    let made = match known(&visit).await {
        Ok(Some(kit)) => visit.granted::<Reissued>(Verb::KitPrint, "/v1/kit/again", &KitAgain { vault: kit.vault }).await,
        Ok(None) => return trouble::missing(&visit, "This box has no papers yet. Set up its disks first."),
        Err(trouble) => Err(trouble),
    };
    let well = made.as_ref().map_or_else(
        |_| String::new(),
        |made| {
            format!(
                "A new kit is ready, with the number {}. Print its three papers, and burn those of the number {}.",
                made.set, made.replaces
            )
        },
    );
    visit.after(PAGE, made, &well)
}

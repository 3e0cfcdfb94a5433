//! What is done with disks: found by their light, tested, added, put in another's place, taken out. Whoever erases one types its serial number; vaultd and diskd look again.

use std::time::Duration;

use askama::Template;
use axum::response::Response;
use keepwell_api::disks::{SelfTestKind, Serial, Standing};
use keepwell_api::grants::Verb;
use keepwell_api::vault::{AddDisk, BoxDisk, BoxDisks, Done, LocateDisk, Membership, RemoveDisk, TestDisk};

use super::picture::Picture;
use crate::neighbours::Trouble;
use crate::pages::frame::Frame;
use crate::sessions::{Notice, locked};
use crate::view;
use crate::visit::Visit;

/// The page.
const PAGE: &str = "/disks/act";
/// A light blinks so long, seconds.
const BLINKS: u32 = 60;
/// What takes longer goes on by itself.
const SOON: Duration = Duration::from_secs(5);

#[derive(Template)]
#[template(path = "disks_act.html")]
struct ActPage {
    frame: Frame,
    disks: Result<Lists, Trouble>,
    may_change: bool,
    needs_code: bool,
    error: Option<String>,
    typed: String,
    wanted: String,
}

/// Those that something can be done with.
struct Lists {
    picture: Option<Picture>,
    /// Serial number, and how it is called.
    connected: Vec<(String, String)>,
    addable: Vec<(String, String)>,
    members: Vec<String>,
}

/// The forms.
pub(crate) async fn page(visit: Visit) -> Response {
    show(&visit, None).await
}

async fn show(visit: &Visit, error: Option<String>) -> Response {
    let disks = visit.app.neighbours.get::<BoxDisks>("/v1/disks").await;
    visit.show(&ActPage {
        frame: visit.frame("Disks: find, add, take out"),
        disks: disks.map(|disks| lists(&disks.disks, super::lit(visit).as_deref())),
        may_change: visit.may(Verb::DisksChange),
        needs_code: visit.needs_code(Verb::DisksChange),
        error,
        typed: visit.form.text("typed").to_owned(),
        wanted: visit.form.text("serial").to_owned(),
    })
}

fn lists(disks: &[BoxDisk], lit: Option<&str>) -> Lists {
    let mut lists = Lists { picture: super::drawn(disks, lit), connected: Vec::new(), addable: Vec::new(), members: Vec::new() };
    for one in disks {
        if one.membership != Membership::None {
            lists.members.extend(one.pool_name.clone());
        }
        let Some(disk) = &one.disk else { continue };
        let own = one.pool_name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        let named = format!("{own}{}, {}, serial {}", view::name(disk.model.as_bytes()), view::size(disk.size_bytes), disk.serial);
        let free = !matches!(disk.standing, Standing::Own { .. } | Standing::Busy { .. } | Standing::Absent);
        if one.membership == Membership::None && free {
            lists.addable.push((disk.serial.to_string(), named.clone()));
        }
        lists.connected.push((disk.serial.to_string(), named));
    }
    lists
}

/// Its light blinks.
pub(crate) async fn locate(visit: Visit) -> Response {
    let Some(serial) = Serial::parse(visit.form.text("serial")) else { return visit.go(PAGE, None) };
    let lit = (serial.to_string(), visit.now() + i64::from(BLINKS));
    let done = visit.granted::<Done>(Verb::DisksTest, "/v1/disks/locate", &LocateDisk { serial, seconds: BLINKS }).await;
    if done.is_ok() {
        let _ = visit.kept(|kept| kept.lit = Some(lit));
    }
    visit.after(PAGE, done, "Its light blinks for a minute.")
}

/// It tests itself.
pub(crate) async fn test(visit: Visit) -> Response {
    let Some(serial) = Serial::parse(visit.form.text("serial")) else { return visit.go(PAGE, None) };
    let kind = if visit.form.text("kind") == "long" { SelfTestKind::Long } else { SelfTestKind::Short };
    let done = visit.granted::<Done>(Verb::DisksTest, "/v1/disks/self-test", &TestDisk { serial, kind }).await;
    visit.after(PAGE, done, "The test has begun. What it finds shows under Disks.")
}

/// Erases one and takes it into the pool, in another's place if that is wanted.
pub(crate) async fn add(visit: Visit) -> Response {
    let typed = visit.form.text("typed").to_owned();
    let Some(serial) = Serial::parse(visit.form.text("serial")).filter(|serial| typed_for(&typed, serial)) else {
        visit.look_at(&["typed"]);
        let text = "Type ERASE, a blank, and the serial number of the very disk that you chose, as on its sticker. Nothing was touched.";
        return show(&visit, Some(text.into())).await;
    };
    let ask = AddDisk { typed_serial: serial.to_string(), serial, replaces: visit.form.some("replaces") };
    let asking = visit.clone();
    let mut asked = tokio::spawn(crate::passkey::along(async move {
        let person = asking.person()?;
        let who = (&person.session, asking.form.code());
        let done = asking.app.neighbours.granted_slowly::<Done>(who, Verb::DisksChange, "/v1/disks/add", &ask).await;
        // Whoever has gone on by then is told on their next page.
        if let Err(trouble) = &done {
            locked(&person.kept).notice = Some(Notice { good: false, text: trouble.to_string() });
        }
        done
    }));
    match tokio::time::timeout(SOON, &mut asked).await {
        Ok(Ok(Ok(_))) => visit.after("/disks", Ok(()), "The disk is in the pool. Copies are spread over it by themselves."),
        Ok(Ok(Err(trouble))) => {
            let _ = visit.kept(|kept| kept.notice = None);
            visit.blame(&trouble);
            show(&visit, Some(trouble.to_string())).await
        }
        Ok(Err(_)) => visit.after::<()>(PAGE, Err(Trouble::Busy), ""),
        Err(_) => {
            let text = "The disk is being erased and made ready. It shows here when it holds copies.".into();
            visit.go("/disks", Some(Notice { good: true, text }))
        }
    }
}

/// As when a box is set up: the word, and the number of this very disk.
fn typed_for(typed: &str, serial: &Serial) -> bool {
    typed.strip_prefix("ERASE").filter(|rest| rest.starts_with(' ')).is_some_and(|rest| rest.trim() == serial.as_str())
}

/// Has its data moved to the others, so that it can be taken out.
pub(crate) async fn remove(visit: Visit) -> Response {
    let Some(pool_name) = visit.form.some("name") else { return visit.go(PAGE, None) };
    match visit.granted::<Done>(Verb::DisksChange, "/v1/disks/remove", &RemoveDisk { pool_name }).await {
        Ok(_) => visit.after("/disks", Ok(()), "Its copies move to the others. Leave it in until this page says that it holds none."),
        Err(Trouble::SignedOut) => visit.go("/sign-in", None),
        Err(trouble) => {
            visit.blame(&trouble);
            show(&visit, Some(trouble.to_string())).await
        }
    }
}

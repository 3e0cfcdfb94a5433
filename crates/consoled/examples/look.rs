//! A console before a box that is made up, to look at its pages: `cargo run -p keepwell-consoled --example look -- 127.0.0.1:8443`; with `new` after the address,
//! before a box on its first day, whose backup and test go well by themselves; with `alone`, `lost` or the word for a failure, before one whose second site is so. Sign in as `owner`, `operator`, `auditor` and so on; password and code stand in
//! `tests/desk/authd.rs`.

#[path = "../tests/desk/mod.rs"]
mod desk;

use std::time::Duration;

use desk::offsite;
use keepwell_api::vault::Outcome;

#[tokio::main]
async fn main() {
    let at = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8443".into());
    let state = std::env::args().nth(2);
    if state.as_deref() != Some("new") {
        let desk = desk::Desk::with(keepwell_consoled::listen::Limits::default(), &at).await;
        match state.as_deref() {
            None => {}
            Some("alone") => desk.vaultd.has_offsite(offsite::none()),
            Some("lost") => desk.vaultd.has_offsite(offsite::both(desk::now(), &[offsite::lost(desk::now(), 0)])),
            Some(code) => desk.vaultd.has_offsite(offsite::both(desk::now(), &[offsite::failing(desk::now(), code)])),
        }
        println!("https://{}", desk.at);
        return std::future::pending().await;
    }
    let (desk, new) = desk::Desk::first(&at).await;
    println!("https://{}", desk.at);
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let has = |wanted: &str| new.done().iter().any(|(verb, _)| verb == wanted);
        if has("shares-add") {
            new.gets_a_share();
            new.backup(Some(Outcome::Complete));
        }
        if has("test-restore") {
            new.test_ends(Outcome::Complete);
        }
    }
}

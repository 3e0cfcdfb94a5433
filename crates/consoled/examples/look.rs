//! A console before a box that is made up, to look at its pages: `cargo run -p keepwell-consoled --example look -- 127.0.0.1:8443`. Sign in as `owner`,
//! `operator`, `auditor` and so on; password and code stand in `tests/desk/authd.rs`.

#[path = "../tests/desk/mod.rs"]
mod desk;

#[tokio::main]
async fn main() {
    let at = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8443".into());
    let desk = desk::Desk::with(keepwell_consoled::listen::Limits::default(), &at).await;
    println!("https://{}", desk.at);
    std::future::pending::<()>().await;
}

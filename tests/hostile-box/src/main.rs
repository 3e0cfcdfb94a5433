//! The other box, when somebody else has it. Speaks the protocol between boxes (`docs/wire.md`) with keys that it is given, and says what no box of ours says: for scenarios alone.
//!
//! Owns no check: what came of each attack is told as JSON, and the scenario judges.

mod attacks;
mod forge;
mod front;
mod line;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use keepwell_wire::{Invitation, Token};

use crate::attacks::{AttackArgs, PairArgs};
use crate::front::FrontArgs;
use crate::line::{AskArgs, parse_name};

#[derive(Parser)]
#[command(version, about = "Says what no box of ours says: for tests")]
struct Program {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// One request with somebody's key, and what is answered.
    Ask(AskArgs),
    /// What root on the source can do.
    Attack(AttackArgs),
    /// Pairs with an invitation, for a vault that is another box's already.
    Pair(PairArgs),
    /// Stands before a receiver, with its key, and lies.
    Front(FrontArgs),
    /// An invitation with another token, or one that leads to somebody else.
    Invitation {
        /// The one that somebody was given.
        text: String,
        /// Where it leads to.
        #[arg(long)]
        address: Option<String>,
        /// Who is to be there, 64 hexadecimal digits.
        #[arg(long)]
        of: Option<String>,
        /// The same right to pair, or one that nobody gave.
        #[arg(long)]
        wrong_token: bool,
    },
    /// A transport key, as PEM, and its name on standard output.
    Key {
        /// Where to.
        file: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Program::parse().verb {
        Verb::Invitation { text, address, of, wrong_token } => {
            let mut invitation = Invitation::parse(&text)?;
            if let Some(address) = address {
                invitation.address = address;
            }
            if let Some(of) = of {
                invitation.receiver = parse_name(&of)?;
            }
            if wrong_token {
                invitation.token = Token::from_bytes([9; 16]);
            }
            println!("{}", invitation.to_text());
            Ok(())
        }
        Verb::Key { file } => {
            let pem = keepwell_link::Identity::make()?;
            println!("{}", keepwell_link::Identity::of(&pem)?.name());
            std::fs::write(&file, pem).with_context(|| file.display().to_string())
        }
        Verb::Ask(args) => run(line::ask(&args)),
        Verb::Attack(args) => run(attacks::run(&args)),
        Verb::Pair(args) => run(attacks::pair(&args)),
        Verb::Front(args) => run(front::run(args)),
    }
}

fn run(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

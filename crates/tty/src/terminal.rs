//! The terminal: keys in, pages out, and the threads that carry orders out meanwhile. As thin as can be: what a key means is `console`'s.

use std::io::{self, Stdout};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use keepwell_api::LifeSigns;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};

use crate::ask::{Order, Told, Trouble};
use crate::console::Console;
use crate::draw::draw;
use crate::error::TtyError;
use crate::machine::Machine;
use crate::neighbours::Neighbours;
use crate::screen::Key;
use crate::view::view;

/// A key is waited for so long; then it is looked what was answered.
const BEAT: Duration = Duration::from_millis(200);

/// What carries orders out.
#[derive(Debug)]
pub(crate) struct Hands {
    pub(crate) neighbours: Neighbours,
    pub(crate) machine: Machine,
}

/// How the page looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looks {
    pub(crate) ascii: bool,
    pub(crate) colours: bool,
}

/// Shows the screen until the terminal is gone.
pub(crate) fn run(console: &mut Console, hands: Hands, looks: Looks) -> Result<(), TtyError> {
    let mut screen = Raw::begin().map_err(TtyError::Terminal)?;
    let result = turn(console, &mut screen.terminal, &Arc::new(hands), looks);
    drop(screen);
    result.map_err(TtyError::Terminal)
}

fn turn(console: &mut Console, terminal: &mut Terminal<CrosstermBackend<Stdout>>, hands: &Arc<Hands>, looks: Looks) -> io::Result<()> {
    let began = Instant::now();
    let up = || began.elapsed().as_secs();
    let (tell, told): (Sender<Told>, Receiver<Told>) = channel();
    let mut signs = LifeSigns::new();
    loop {
        signs.round();
        told.try_iter().for_each(|told| console.told(told, up()));
        console.tick(up());
        console.orders().into_iter().for_each(|order| begin(order, hands, &tell));
        terminal.draw(|frame| draw(frame, &view(console, up(), looks.ascii), looks.colours))?;
        if event::poll(BEAT)?
            && let Some(key) = key(&event::read()?)
        {
            console.press(key, up());
        }
    }
}

/// Each order has a thread of its own and a deadline; there are as many at a time as the console waits for, which is few.
fn begin(order: Order, hands: &Arc<Hands>, tell: &Sender<Told>) {
    let (theirs, answer, refused) = (Arc::clone(hands), tell.clone(), order.clone());
    let begun = std::thread::Builder::new().name("order".into()).spawn(move || {
        let told = match order {
            Order::Ask(ask) => theirs.neighbours.answer(ask),
            Order::Do(deed) => theirs.machine.done(deed),
        };
        // The screen is gone: nobody is to be told.
        let _ = answer.send(told);
    });
    if begun.is_err() {
        let text = "Too much is being waited for already. Wait a minute and try again; nothing was done.";
        let trouble = Trouble { code: "busy".into(), text: text.into() };
        let _ = tell.send(match refused {
            Order::Ask(ask) => Told::Answer(ask, Err(trouble)),
            Order::Do(deed) => Told::Done(deed, Err(trouble)),
        });
    }
}

fn key(event: &Event) -> Option<Key> {
    let Event::Key(key) = event else { return None };
    if key.kind == KeyEventKind::Release {
        return None;
    }
    match key.code {
        KeyCode::Char('h') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Backspace),
        KeyCode::Char(c) if !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => Some(Key::Char(c)),
        KeyCode::Enter => Some(Key::Enter),
        KeyCode::Esc => Some(Key::Escape),
        KeyCode::Backspace | KeyCode::Delete => Some(Key::Backspace),
        KeyCode::Tab | KeyCode::Down | KeyCode::PageDown => Some(Key::Down),
        KeyCode::BackTab | KeyCode::Up | KeyCode::PageUp => Some(Key::Up),
        _ => None,
    }
}

/// The terminal as it is while the screen is shown; what it was before comes back when this goes.
struct Raw {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Raw {
    fn begin() -> io::Result<Self> {
        enable_raw_mode()?;
        // The system's console has no second screen: what the start of the machine has written stands there still, and blanks are drawn only over what is known.
        // Not by `Terminal::clear`, which asks the terminal for its cursor: on a serial line there is often nobody to answer.
        execute!(io::stdout(), EnterAlternateScreen, Clear(ClearType::All))?;
        Ok(Self { terminal: Terminal::new(CrosstermBackend::new(io::stdout()))? })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = disable_raw_mode();
        let _ = execute!(io::stdout(), LeaveAlternateScreen);
        let _ = self.terminal.show_cursor();
    }
}

//! The terminal: keys in, pages out, and the threads that carry orders out meanwhile. As thin as can be: what a key means is `console`'s.

use std::io::{self, Stdout, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use keepwell_api::LifeSigns;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::style::ResetColor;
use ratatui::crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};

use crate::ask::{Order, Told, Trouble};
use crate::console::Console;
use crate::draw::draw;
use crate::error::TtyError;
use crate::machine::Machine;
use crate::neighbours::Neighbours;
use crate::screen::{Key, Screen};
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
        if !event::poll(BEAT)? {
            continue;
        }
        let event = event::read()?;
        if asks_for_all(&event, &console.screen) {
            anew(terminal)?;
        }
        if let Some(key) = key(&event) {
            console.press(key, up());
        }
    }
}

/// Ctrl-L as everywhere, and any key of whoever stands at the first page: a cable that was plugged into the serial line just now has only what changed since.
fn asks_for_all(event: &Event, screen: &Screen) -> bool {
    let Event::Key(key) = event else { return false };
    let ctrl_l = key.code == KeyCode::Char('l') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind != KeyEventKind::Release && (ctrl_l || matches!(screen, Screen::Home))
}

/// The next page is drawn whole. Not by `Terminal::clear`, which asks the terminal for its cursor: on a serial line there is often nobody to answer.
fn anew<W: Write>(terminal: &mut Terminal<CrosstermBackend<W>>) -> io::Result<()> {
    execute!(terminal.backend_mut(), ResetColor, Clear(ClearType::All))?;
    // Forgets what was drawn last; what is drawn next is empty at this moment.
    terminal.swap_buffers();
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use jiff::tz::TimeZone;
    use ratatui::crossterm::event::KeyEvent;
    use ratatui::layout::Rect;
    use ratatui::{TerminalOptions, Viewport};

    use super::*;

    /// What goes over the line.
    #[derive(Clone, Default)]
    struct Wire(Rc<RefCell<Vec<u8>>>);

    impl Wire {
        fn taken(&self) -> String {
            String::from_utf8(self.0.take()).unwrap()
        }
    }

    impl Write for Wire {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_comes_later_gets_the_whole_page_and_is_asked_nothing() {
        let wire = Wire::default();
        let options = TerminalOptions { viewport: Viewport::Fixed(Rect::new(0, 0, 80, 24)) };
        let mut terminal = Terminal::with_options(CrosstermBackend::new(wire.clone()), options).unwrap();
        let console = Console::new(TimeZone::UTC, None, 443, false);
        let mut drawn = |fresh: bool| {
            if fresh {
                anew(&mut terminal).unwrap();
            }
            terminal.draw(|frame| draw(frame, &view(&console, 0, true), false)).unwrap();
            wire.taken()
        };
        let first = drawn(false);
        assert!(first.contains("Recovery") && !drawn(false).contains("Recovery"), "only what changed");
        for _ in 0..2 {
            let again = drawn(true);
            let (_, after) = again.split_once("\u{1b}[2J").expect("what stands there is cleared");
            assert_eq!(after, first);
            assert!(!again.contains("\u{1b}[6n"), "the question for the cursor");
        }
        assert!(!drawn(false).contains("Recovery"));
    }

    #[test]
    fn the_page_is_drawn_whole_for_ctrl_l_everywhere_and_for_any_key_at_the_first() {
        let pressed = |code, modifiers| Event::Key(KeyEvent::new(code, modifiers));
        let waiting = Screen::Waiting { number: 1, what: String::new(), since: 0, to_the_end: true };
        let ctrl_l = pressed(KeyCode::Char('l'), KeyModifiers::CONTROL);
        assert!(asks_for_all(&ctrl_l, &waiting) && asks_for_all(&ctrl_l, &Screen::Home) && key(&ctrl_l).is_none());
        for code in [KeyCode::Enter, KeyCode::Esc, KeyCode::Char('x'), KeyCode::F(1)] {
            assert!(asks_for_all(&pressed(code, KeyModifiers::NONE), &Screen::Home));
            assert!(!asks_for_all(&pressed(code, KeyModifiers::NONE), &waiting));
        }
        assert!(
            !asks_for_all(&pressed(KeyCode::Char('l'), KeyModifiers::NONE), &waiting) && !asks_for_all(&Event::FocusGained, &Screen::Home)
        );
    }
}

//! The page as 24 lines of 80 characters: what stands in which line, and how it looks. Pure; what others wrote is made plain here and nowhere else.

use zeroize::Zeroizing;

use crate::console::{Console, restore_progress};
use crate::home;
use crate::screen::{Form, Kind, Line, Look, Menu, Screen};
use crate::words::{WIDTH, plain, wrapped};

/// Lines between the title and the last line.
pub(crate) const ROOM: usize = 21;

/// What is drawn.
#[derive(Debug)]
pub(crate) struct View {
    /// First line: what this page is, and who is signed in.
    pub(crate) title: (String, String),
    /// At most [`ROOM`] lines, each at most [`WIDTH`] characters.
    pub(crate) lines: Vec<Line>,
    /// Last line: which keys do what.
    pub(crate) keys: String,
    /// Line and character where typing goes on.
    pub(crate) cursor: Option<(usize, usize)>,
}

/// The page of now.
pub(crate) fn view(console: &Console, up: u64, ascii: bool) -> View {
    let mut view = match &console.screen {
        Screen::Home => on_home(console, up),
        Screen::Menu(menu) => on_menu(menu, console.top),
        Screen::Form(form) => on_form(form),
        Screen::Waiting { what, since, to_the_end, .. } => {
            let line = Line::of(format!("{what} ... {} s", up.saturating_sub(*since)));
            View {
                title: ("Please wait".into(), String::new()),
                lines: fold(&[line]),
                keys: if *to_the_end { "" } else { "Esc back" }.into(),
                cursor: None,
            }
        }
        Screen::Progress { state, silent, .. } => {
            let lines = restore_progress(state.as_deref(), silent.as_deref());
            View { title: ("Restore".into(), String::new()), lines: fold(&lines), keys: "0 back; it goes on".into(), cursor: None }
        }
    };
    view.title.1 = console.who();
    view.lines.truncate(ROOM);
    if ascii {
        let texts = [&mut view.title.0, &mut view.title.1, &mut view.keys].into_iter();
        texts.chain(view.lines.iter_mut().map(|line| &mut *line.text)).for_each(|text| *text = in_ascii(text));
    }
    view
}

fn on_home(console: &Console, up: u64) -> View {
    let mut lines = fold(&home::lines(console, up));
    let menu = home::menu(console);
    let items: Vec<String> = menu.shown().map(|(digit, (label, _))| format!("{digit} {label}")).collect();
    let rows = items.len().div_ceil(2);
    // What can be chosen always fits, whatever the status has to say.
    lines.truncate(ROOM - rows - 1);
    lines.resize(ROOM - rows, Line::of(""));
    for row in 0..rows {
        let right = items.get(rows + row).map_or("", String::as_str);
        lines.push(Line::looking(Look::Strong, format!("{:<38}{right}", items[row])));
    }
    View { title: ("Keepwell".into(), String::new()), lines, keys: "Press a digit".into(), cursor: None }
}

fn on_menu(menu: &Menu, top: usize) -> View {
    let mut lines = fold(&menu.lead);
    let shown: Vec<Line> =
        menu.shown().map(|(digit, (label, _))| Line::looking(Look::Strong, format!("{digit}  {}", plain(label, WIDTH - 3)))).collect();
    let room = ROOM - if shown.is_empty() { 0 } else { shown.len() + 1 };
    let hidden = lines.len().saturating_sub(room);
    lines.drain(..top.min(hidden));
    lines.truncate(room);
    if !shown.is_empty() {
        lines.push(Line::of(""));
        lines.extend(shown);
    }
    let pages = menu.pages();
    let turn = if pages > 1 { format!("   8 9 pages ({} of {pages})", menu.page + 1) } else { String::new() };
    let scroll = if hidden > 0 && menu.items.is_empty() { "   arrows scroll" } else { "" };
    View { title: (menu.title.clone(), String::new()), lines, keys: format!("0 back{turn}{scroll}"), cursor: None }
}

fn on_form(form: &Form) -> View {
    let mut lines = fold(&form.lead);
    if let Some(error) = &form.error {
        lines.push(Line::of(""));
        lines.extend(fold(&[Line::looking(Look::Bad, error.clone())]));
    }
    // The fields always fit, however long the sentences are.
    lines.truncate(ROOM - (2 * form.fields.len()).min(ROOM));
    let mut cursor = None;
    for (at, field) in form.fields.iter().enumerate() {
        let active = at == form.at;
        lines.push(Line::looking(if active { Look::Strong } else { Look::Muted }, field.label));
        let length = field.text.chars().count();
        let shown = match field.kind {
            Kind::Secret => Zeroizing::new("*".repeat(length)),
            Kind::Words if !active && length > 0 => Zeroizing::new(format!("({} words)", field.text.split_whitespace().count())),
            Kind::Words | Kind::Text => field.text.clone(),
        };
        // The end of it, where the typing is.
        let tail: Zeroizing<String> = Zeroizing::new(shown.chars().skip(shown.chars().count().saturating_sub(WIDTH - 4)).collect());
        if active {
            cursor = Some((lines.len(), 2 + tail.chars().count()));
        }
        lines.push(Line { text: Zeroizing::new(format!("> {}", plain(&tail, WIDTH))), look: Look::Plain });
    }
    View { title: (form.title.clone(), String::new()), lines, keys: "Enter next   arrows move   Esc back".into(), cursor }
}

fn fold(lines: &[Line]) -> Vec<Line> {
    let wrap = |line: &Line| wrapped(&line.text, WIDTH).into_iter().map(|text| Line::looking(line.look, text)).collect::<Vec<_>>();
    lines.iter().flat_map(wrap).collect()
}

/// For terminals that know no more. Each mark stands beside its word.
fn in_ascii(text: &str) -> String {
    let letter = |c: char| match c {
        '\u{2713}' => '+',
        '\u{2717}' => 'X',
        '\u{25f7}' => '!',
        '\u{25cb}' => '-',
        '\u{2010}'..='\u{2015}' => '-',
        '\u{2018}' | '\u{2019}' => '\'',
        '\u{201c}' | '\u{201d}' => '"',
        '\u{b7}' => '.',
        c if c.is_ascii() => c,
        _ => '?',
    };
    text.chars().map(letter).collect()
}

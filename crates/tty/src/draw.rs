//! Puts a page on a terminal. Decides nothing.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line as Text;

use crate::screen::Look;
use crate::view::View;

/// Columns and rows that a page is made for; a larger terminal has it in its corner.
const SIZE: (u16, u16) = (80, 24);

pub(crate) fn draw(frame: &mut Frame<'_>, view: &View, colours: bool) {
    let whole = frame.area();
    let area = Rect { width: whole.width.min(SIZE.0), height: whole.height.min(SIZE.1), ..whole };
    let mut row = |at: u16, text: &str, style: Style| {
        if at < area.height {
            frame.render_widget(Text::styled(text.to_owned(), style), Rect { y: area.y + at, height: 1, ..area });
        }
    };
    let (title, who) = &view.title;
    let gap = usize::from(SIZE.0).saturating_sub(2 + who.chars().count());
    row(0, &format!(" {title:<gap$.gap$}{who} "), Style::new().add_modifier(Modifier::REVERSED));
    for (line, at) in view.lines.iter().zip(2..) {
        row(at, &format!(" {}", *line.text), style(line.look, colours));
    }
    row(SIZE.1 - 1, &format!(" {:<79}", view.keys), Style::new().add_modifier(Modifier::REVERSED));
    if let Some((line, column)) = view.cursor {
        let at = Position::new(area.x + 1 + column as u16, area.y + 2 + line as u16);
        if area.contains(at) {
            frame.set_cursor_position(at);
        }
    }
}

fn style(look: Look, colours: bool) -> Style {
    let colour = |colour: Color| if colours { Style::new().fg(colour) } else { Style::new() };
    match look {
        Look::Plain | Look::Muted => Style::new(),
        Look::Strong => Style::new().add_modifier(Modifier::BOLD),
        Look::Good => colour(Color::Green),
        Look::Warn => colour(Color::Yellow),
        Look::Bad => colour(Color::Red).add_modifier(Modifier::BOLD),
    }
}

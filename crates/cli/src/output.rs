//! Standard output: lines for people, or exactly one JSON object for programs. Streams: a long list never lies in memory.

use std::fmt::{self, Display};
use std::io::{self, BufWriter, Stdout, Write};

use serde_json::{Value, json};

use crate::exit::{CliError, Exit};

/// The answer to one command.
pub(crate) struct Answer {
    out: BufWriter<Stdout>,
    form: Form,
    failed: Option<io::Error>,
}

/// Who reads it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    People,
    /// Inside the object.
    Object,
    /// Inside a list of the object, which has so many items.
    List(u64),
}

impl Answer {
    /// Begins the answer to `command`.
    pub(crate) fn new(command: &str, json: bool) -> Self {
        let form = if json { Form::Object } else { Form::People };
        let mut answer = Self { out: BufWriter::new(io::stdout()), form, failed: None };
        if json {
            answer.write(format_args!("{{\"command\":{}", Value::from(command)));
        }
        answer
    }

    /// Whether a program reads it.
    pub(crate) fn is_json(&self) -> bool {
        self.form != Form::People
    }

    /// A line for people.
    pub(crate) fn line(&mut self, text: impl Display) {
        if self.form == Form::People {
            self.write(format_args!("{text}\n"));
        }
    }

    /// A field for programs.
    pub(crate) fn field(&mut self, name: &str, value: impl Into<Value>) {
        debug_assert!(!matches!(self.form, Form::List(_)), "a list is open");
        if self.is_json() {
            self.write(format_args!(",{}:{}", Value::from(name), value.into()));
        }
    }

    /// What people read before a list that is not empty.
    pub(crate) fn heading(&mut self, text: &str, items: usize) {
        if items > 0 {
            self.line(format_args!("{text} ({items}):"));
        }
    }

    /// A field for programs that lists `items` and, for each, what `line` makes of it for people, indented.
    pub(crate) fn list<T>(&mut self, name: &str, items: &[T], line: impl Fn(&T) -> String, value: impl Fn(&T) -> Value) {
        self.begin_list(name);
        items.iter().for_each(|item| self.item(|| format!("  {}", line(item)), || value(item)));
        self.end_list();
    }

    /// The same where one cause can make very many items: people get the first twenty and the number of the others.
    pub(crate) fn long_list<T>(&mut self, name: &str, items: &[T], line: impl Fn(&T) -> String, value: impl Fn(&T) -> Value) {
        const SHOWN: usize = 20;
        if self.is_json() || items.len() <= SHOWN {
            return self.list(name, items, line, value);
        }
        self.list(name, &items[..SHOWN], line, value);
        self.line(format_args!("  and {} more; --json names all", items.len() - SHOWN));
    }

    /// Begins a list for programs.
    pub(crate) fn begin_list(&mut self, name: &str) {
        if self.is_json() {
            self.write(format_args!(",{}:[", Value::from(name)));
            self.form = Form::List(0);
        }
    }

    /// An item of it, or the line that people get instead.
    pub(crate) fn item(&mut self, line: impl FnOnce() -> String, value: impl FnOnce() -> Value) {
        match self.form {
            Form::List(items) => {
                let comma = if items == 0 { "" } else { "," };
                self.write(format_args!("{comma}{}", value()));
                self.form = Form::List(items + 1);
            }
            Form::Object | Form::People => self.line(line()),
        }
    }

    /// Ends it.
    pub(crate) fn end_list(&mut self) {
        if matches!(self.form, Form::List(_)) {
            self.write(format_args!("]"));
            self.form = Form::Object;
        }
    }

    /// Something that is shown at once: to programs as an object on a line of its own, before that of the answer. False when nobody reads any more.
    pub(crate) fn event(&mut self, line: impl FnOnce() -> String, value: impl FnOnce() -> Value) -> bool {
        let told = if self.is_json() {
            // The beginning of the answer waits in the buffer.
            let out = self.out.get_mut();
            writeln!(out, "{}", value()).and_then(|()| out.flush())
        } else {
            writeln!(self.out, "{}", line()).and_then(|()| self.out.flush())
        };
        self.failed = self.failed.take().or(told.err());
        self.failed.is_none()
    }

    /// Shows what there is so far.
    pub(crate) fn flush(&mut self) -> Result<(), CliError> {
        self.out.flush().map_err(CliError::Output)
    }

    /// Ends the answer and says how the run ended; a failure is told on standard error too.
    pub(crate) fn finish(mut self, result: Result<Exit, CliError>) -> Exit {
        let (mut exit, error) = match result {
            Ok(exit) => (exit, None),
            Err(error) => (error.exit(), Some(error)),
        };
        self.end_list();
        if let Some(error) = &error {
            tell_failure(error, self.is_json());
            self.field("error", error.to_string());
            self.field("causes", error.causes());
            let known =
                [("code", error.code().map(str::to_owned)), ("request", error.request().map(str::to_owned)), ("to_do", error.to_do())];
            known.into_iter().filter_map(|(name, value)| Some((name, value?))).for_each(|(name, value)| self.field(name, value));
        }
        self.field("outcome", exit.outcome());
        self.field("exit", exit.code());
        if self.is_json() {
            self.write(format_args!("}}\n"));
        }
        if let Err(error) = self.out.flush() {
            self.failed.get_or_insert(error);
        }
        // A reader that has seen enough (`| head`) is no failure.
        if let Some(lost) = self.failed.take().filter(|lost| lost.kind() != io::ErrorKind::BrokenPipe) {
            tell_failure(&CliError::Output(lost), self.is_json());
            exit = if exit == Exit::Usage { exit } else { Exit::Failed };
        }
        exit
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        if self.failed.is_none() {
            self.failed = self.out.write_fmt(text).err();
        }
    }
}

/// Tells people, or the reader of JSON lines, something on standard error.
pub(crate) fn tell(event: &str, text: &str, json: bool) {
    let mut err = io::stderr().lock();
    // Nothing better can be done when standard error is closed.
    let _ = if json { writeln!(err, "{}", json!({ "event": event, "text": text })) } else { writeln!(err, "{text}") };
}

fn tell_failure(error: &CliError, json: bool) {
    let causes = error.causes();
    if json {
        let mut err = io::stderr().lock();
        let _ = writeln!(err, "{}", json!({ "event": "error", "error": error.to_string(), "causes": causes }));
    } else {
        let mut text = format!("keepwell: {error}");
        causes.iter().for_each(|cause| text.push_str(&format!("\n  because: {cause}")));
        error.to_do().iter().for_each(|to_do| text.push_str(&format!("\n  to do: {to_do}")));
        tell("error", &text, false);
    }
}

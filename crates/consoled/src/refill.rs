//! A form that was not taken, given back as it was typed: its fields filled, those to look at again marked and linked from what is said on top. Works on finished pages of
//! this console, where attributes are quoted and texts escaped. Never gives back a password, a code or a word of a paper.

use std::ops::Range;

use crate::form::Form;
use crate::neighbours::Trouble;
use crate::pages::address::TypedWrong;

/// Fields that nobody is given back, beside all that a page asks for as a password or a one-time code.
/// A chain of certificates often comes in one text with its key.
pub const SECRETS: [&str; 9] = ["form", "password", "again", "new", "code", "secret", "chain", "setup", "word"];
/// What is longer is not kept for the next page.
const KEPT_MAX: usize = 16 << 10;

/// What somebody sent, without its secrets.
#[derive(Debug)]
pub struct Sent {
    path: String,
    form: Form,
    at_fault: Vec<&'static str>,
}

impl Sent {
    /// What was sent to this path, and the fields to look at again.
    pub fn new(path: &str, form: &Form, at_fault: Vec<&'static str>) -> Self {
        Self { path: path.to_owned(), form: form.without(&SECRETS), at_fault }
    }

    /// Whether it is small enough to be kept until the next page.
    pub fn is_small(&self) -> bool {
        self.form.bytes() <= KEPT_MAX
    }
}

/// The fields that a refusal is about, as far as its code says so.
pub fn at_fault(trouble: &Trouble, form: &Form) -> &'static [&'static str] {
    match trouble {
        Trouble::StepUp => &["code"],
        Trouble::Typed(TypedWrong::Server) => &["server"],
        Trouble::Typed(TypedWrong::Share) => &["share"],
        Trouble::Typed(TypedWrong::User) => &["user"],
        _ => match trouble.code().unwrap_or_default() {
            "wrong-code" => &["code"],
            "wrong-proof" => &["password", "code"],
            "sign-in-refused" => &["user", "password", "code"],
            "wrong-claim-code" | "set-up-refused" => &["setup"],
            "bad-name" | "user-exists" | "unknown-user" if form.has("user") => &["user"],
            "bad-name" | "user-exists" | "bad-token" | "name-taken" => &["name"],
            "weak-password" if form.has("new") => &["new"],
            "weak-password" => &["password"],
            "password" | "no-password" => &["password"],
            "denied" => &["user", "password"],
            "unreachable" | "address" => &["server"],
            "share" | "no-folder" | "not-found" if form.has("server") => &["share"],
            "can-write" => &["may_write"],
            "wrong-serial" => &["typed"],
            _ => &[],
        },
    }
}

/// The page with its form filled, if the form that was sent is on it: the same address, and the same hidden fields.
pub fn given_back(html: String, sent: &Sent) -> String {
    let tags = tags(&html);
    let Some(form) = find(&tags, sent) else { return html };
    let mut filling = Filling { html: &html, sent, edits: Vec::new(), links: String::new(), seen: Vec::new() };
    for number in opened(&tags, form.start) {
        filling.change(&tags[number], |attributes| set(attributes, "open", None));
    }
    filling.change(&tags[form.start], |attributes| set(attributes, "data-kept", Some("yes".into())));
    filling.fields(&tags[form]);
    filling.summary(&tags);
    filling.finished()
}

/// One tag of a page.
struct Tag<'a> {
    at: Range<usize>,
    name: &'a str,
    closes: bool,
    attributes: Vec<(&'a str, Option<&'a str>)>,
}

impl Tag<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| value.unwrap_or_default())
    }

    fn opens(&self, name: &str) -> bool {
        self.name == name && !self.closes
    }
}

/// All tags, in order. What is cut off is left out.
fn tags(html: &str) -> Vec<Tag<'_>> {
    let (mut all, mut from) = (Vec::new(), 0);
    while let Some(start) = html.get(from..).and_then(|rest| rest.find('<')).map(|at| from + at) {
        let Some(tag) = tag(html, start) else { break };
        from = tag.at.end;
        all.push(tag);
    }
    all
}

fn tag(html: &str, start: usize) -> Option<Tag<'_>> {
    let mut quoted = false;
    let end = html[start..].find(|c| {
        quoted ^= c == '"';
        c == '>' && !quoted
    })?;
    let inner = &html[start + 1..start + end];
    let closes = inner.starts_with('/');
    let inner = inner.trim_start_matches('/').trim_end_matches('/');
    let (name, rest) = inner.split_at(inner.find(|c: char| c.is_ascii_whitespace()).unwrap_or(inner.len()));
    Some(Tag { at: start..start + end + 1, name, closes, attributes: attributes(rest) })
}

fn attributes(mut rest: &str) -> Vec<(&str, Option<&str>)> {
    let mut all = Vec::new();
    loop {
        rest = rest.trim_start();
        let end = rest.find(|c: char| c == '=' || c.is_ascii_whitespace()).unwrap_or(rest.len());
        if end == 0 {
            return all;
        }
        let (name, after) = rest.split_at(end);
        match after.strip_prefix("=\"").and_then(|value| value.split_once('"')) {
            Some((value, after)) => {
                all.push((name, Some(value)));
                rest = after;
            }
            None => {
                all.push((name, None));
                rest = after.trim_start_matches('=');
            }
        }
    }
}

/// Where the form that was sent begins and ends, in numbers of tags.
fn find(tags: &[Tag<'_>], sent: &Sent) -> Option<Range<usize>> {
    let starts = (0..tags.len()).filter(|at| tags[*at].opens("form") && tags[*at].get("method") == Some("post"));
    let whole = |start: usize| tags[start..].iter().position(|tag| tag.name == "form" && tag.closes).map(|length| start..start + length);
    let is_it = |form: &Range<usize>| {
        let hidden = tags[form.clone()].iter().filter(|tag| tag.opens("input") && tag.get("type") == Some("hidden"));
        let mut known = hidden.filter(|tag| tag.get("name") != Some("form"));
        let fits = |tag: &Tag<'_>| {
            sent.form.all(tag.get("name").unwrap_or_default()).any(|value| escaped(value) == tag.get("value").unwrap_or_default())
        };
        tags[form.start].get("action") == Some(&escaped(&sent.path)) && known.all(fits)
    };
    starts.filter_map(whole).find(is_it)
}

/// What has to be unfolded for a form to be seen.
fn opened(tags: &[Tag<'_>], form: usize) -> Vec<usize> {
    let mut open = Vec::new();
    for (number, tag) in tags[..form].iter().enumerate().filter(|(_, tag)| tag.name == "details") {
        if tag.closes {
            open.pop();
        } else {
            open.push(number);
        }
    }
    open
}

type Attributes<'a> = Vec<(&'a str, Option<String>)>;

/// The changes to a page, as they come.
struct Filling<'a> {
    html: &'a str,
    sent: &'a Sent,
    edits: Vec<(Range<usize>, String)>,
    links: String,
    seen: Vec<&'a str>,
}

impl<'a> Filling<'a> {
    fn fields(&mut self, form: &'a [Tag<'a>]) {
        let (mut select, mut group) = (None, "");
        for (number, tag) in form.iter().enumerate() {
            match (tag.name, tag.closes) {
                ("legend", false) => group = self.text_of(tag),
                ("fieldset", true) => group = "",
                ("input", false) => self.input(tag, form, group),
                ("select", false) => {
                    select = tag.get("name").filter(|name| self.sent.form.has(name));
                    self.marked(tag, form, "");
                }
                ("select", true) => select = None,
                ("option", false) => self.option(tag, select),
                ("textarea", false) => {
                    self.marked(tag, form, "");
                    self.textarea(tag, form.get(number + 1));
                }
                _ => {}
            }
        }
    }

    fn input(&mut self, tag: &'a Tag<'a>, form: &[Tag<'a>], group: &str) {
        let Some(name) = tag.get("name") else { return };
        match tag.get("type").unwrap_or("text") {
            "hidden" => {}
            "checkbox" | "radio" => {
                let own = tag.get("value").unwrap_or("on");
                let ticked = self.sent.form.all(name).any(|value| escaped(value) == own);
                if tag.get("type") == Some("radio") && !self.sent.form.has(name) {
                    return;
                }
                self.change(tag, |attributes| {
                    attributes.retain(|(known, _)| *known != "checked");
                    if ticked {
                        set(attributes, "checked", None);
                    }
                });
                self.linked(tag, form, group);
            }
            kind => {
                // Fields of one name are given back in their order.
                let before = self.seen.iter().filter(|known| **known == name).count();
                self.seen.push(name);
                let is_secret = kind == "password" || SECRETS.contains(&name) || tag.get("autocomplete") == Some("one-time-code");
                let value = self.sent.form.all(name).nth(before).filter(|_| !is_secret).map(escaped);
                let at_fault = self.linked(tag, form, "");
                if value.is_some() || at_fault {
                    self.change(tag, |attributes| {
                        if let Some(value) = value {
                            set(attributes, "value", Some(value));
                        }
                        if at_fault {
                            invalid(attributes);
                        }
                    });
                }
            }
        }
    }

    fn option(&mut self, tag: &Tag<'_>, select: Option<&str>) {
        let (Some(select), Some(own)) = (select, tag.get("value")) else { return };
        let chosen = escaped(self.sent.form.raw(select)) == own;
        self.change(tag, |attributes| {
            attributes.retain(|(known, _)| *known != "selected");
            if chosen {
                set(attributes, "selected", None);
            }
        });
    }

    fn textarea(&mut self, tag: &Tag<'_>, end: Option<&Tag<'_>>) {
        let (Some(name), Some(end)) = (tag.get("name"), end) else { return };
        if self.sent.form.has(name) {
            self.edits.push((tag.at.end..end.at.start, escaped(self.sent.form.raw(name))));
        }
    }

    fn marked(&mut self, tag: &Tag<'_>, form: &[Tag<'_>], group: &str) {
        if self.linked(tag, form, group) {
            self.change(tag, invalid);
        }
    }

    /// Whether the field is to be looked at again; then what is said on top leads to it.
    fn linked(&mut self, tag: &Tag<'_>, form: &[Tag<'_>], group: &str) -> bool {
        let (Some(name), Some(id)) = (tag.get("name"), tag.get("id")) else { return false };
        let Some(known) = self.sent.at_fault.iter().find(|known| **known == name) else { return false };
        let in_group = matches!(tag.get("type"), Some("checkbox" | "radio"));
        let is_first = !self.links.contains(&format!("data-of=\"{known}\""));
        let own = || form.iter().find(|label| label.opens("label") && label.get("for") == Some(id)).map(|label| self.text_of(label));
        let label = Some(group).filter(|_| in_group && !group.is_empty()).map(str::to_owned).or_else(|| own().map(str::to_owned));
        if let Some(label) = label.filter(|_| is_first || !in_group) {
            self.links.push_str(&format!("<li><a href=\"#{id}\" data-of=\"{known}\">{label}</a></li>"));
        }
        true
    }

    /// What is said on top of the page gets its links.
    fn summary(&mut self, tags: &[Tag<'_>]) {
        let error = tags.iter().position(|tag| tag.get("id") == Some("error"));
        let end = error.and_then(|at| tags[at..].iter().find(|tag| tag.name == "p" && tag.closes));
        if let (Some(end), false) = (end, self.links.is_empty()) {
            self.edits.push((end.at.end..end.at.end, format!("<ul class=\"faults\">{}</ul>", self.links)));
        }
    }

    fn text_of(&self, tag: &Tag<'_>) -> &'a str {
        self.html[tag.at.end..].split('<').next().unwrap_or_default().trim()
    }

    fn change(&mut self, tag: &Tag<'_>, change: impl FnOnce(&mut Attributes<'_>)) {
        let mut attributes: Attributes<'_> = tag.attributes.iter().map(|(name, value)| (*name, value.map(str::to_owned))).collect();
        change(&mut attributes);
        let mut text = format!("<{}", tag.name);
        for (name, value) in attributes {
            text.push(' ');
            text.push_str(name);
            if let Some(value) = value {
                text.push_str(&format!("=\"{value}\""));
            }
        }
        text.push('>');
        self.edits.push((tag.at.clone(), text));
    }

    fn finished(mut self) -> String {
        self.edits.sort_by_key(|(at, _)| at.start);
        let (mut page, mut from) = (String::with_capacity(self.html.len() + 1_024), 0);
        for (at, text) in self.edits {
            page.push_str(&self.html[from..at.start]);
            page.push_str(&text);
            from = at.end;
        }
        page.push_str(&self.html[from..]);
        page
    }
}

fn set<'a>(attributes: &mut Attributes<'a>, name: &'a str, value: Option<String>) {
    attributes.retain(|(known, _)| *known != name);
    attributes.push((name, value));
}

/// To be looked at again, for the reason on top (WAI-ARIA 1.2, aria-invalid and aria-describedby).
fn invalid(attributes: &mut Attributes<'_>) {
    let before = attributes.iter().find(|(name, _)| *name == "aria-describedby").and_then(|(_, value)| value.clone());
    let by = before.map_or_else(|| "error-text".into(), |before| format!("{before} error-text"));
    set(attributes, "aria-describedby", Some(by));
    set(attributes, "aria-invalid", Some("true".into()));
}

/// As templates escape it.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '\'' => safe.push_str(&format!("&#{};", u32::from(c))),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests;

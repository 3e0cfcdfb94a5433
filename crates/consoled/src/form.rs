//! What a person sent with a form: fields by name, wiped afterwards since some are passwords. Parses; believes nothing.

use keepwell_api::Base64;
use zeroize::Zeroizing;

/// Fields of one form. A page of files has 200 ticks.
const FIELDS_MAX: usize = 1_024;

/// Fields, in the order in which they came.
#[derive(Default)]
pub struct Form(Vec<(String, Zeroizing<String>)>);

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Form {
    /// The fields in a body (`application/x-www-form-urlencoded`, URL Standard, section 5.1). None if there are more than 1,024, which no page sends.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut fields = form_urlencoded::parse(body);
        let taken = fields.by_ref().take(FIELDS_MAX).map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned())));
        let form = Self(taken.collect());
        fields.next().is_none().then_some(form)
    }

    /// The same without fields of these names.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        Self(self.0.iter().filter(|(name, _)| !names.contains(&name.as_str())).cloned().collect())
    }

    /// Bytes in its names and values.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// A field as it was sent; empty if it was not.
    pub fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }

    /// A field without blanks around it.
    pub fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The same, if there is something in it.
    pub fn some(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// Whether a box is ticked, or a button was used.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// All fields of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What must not be changed by anybody, such as a password.
    pub fn secret(&self, name: &str) -> Base64 {
        Base64::from(self.raw(name).as_bytes().to_vec())
    }

    /// The same, if there is one.
    pub fn some_secret(&self, name: &str) -> Option<Base64> {
        Some(self.secret(name)).filter(|secret| !secret.as_ref().is_empty())
    }

    /// A number.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name).parse().ok()
    }

    /// A one-time code: people type blanks into it.
    pub fn code(&self) -> Option<String> {
        let code: String = self.text("code").chars().filter(|c| !c.is_whitespace()).collect();
        Some(code).filter(|code| !code.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_as_they_were_typed() {
        let form = Form::parse(b"user=+Ann%20&password=+a%26b+&pick=f1&pick=f2&code=123+456&n=7").expect("they are few");
        assert_eq!((form.text("user"), form.raw("password")), ("Ann", " a&b "));
        assert_eq!(form.all("pick").collect::<Vec<_>>(), ["f1", "f2"]);
        assert_eq!((form.code().as_deref(), form.number::<u64>("n"), form.some("none")), (Some("123456"), Some(7), None));
        assert!(!format!("{form:?}").contains("a&b"));
    }

    #[test]
    fn more_fields_than_any_page_has_are_no_form() {
        assert!(Form::parse("pick=9999999&".repeat(FIELDS_MAX).as_bytes()).is_some_and(|form| form.all("pick").count() == FIELDS_MAX));
        assert!(Form::parse("a&".repeat(FIELDS_MAX + 1).as_bytes()).is_none());
    }
}

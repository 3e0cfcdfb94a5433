//! What is given back, and what never is.

use askama::Template;
use proptest::prelude::*;

use super::*;

const PAGE: &str = r##"<div id="error" role="alert"><svg><use href="#i-cross"/></svg><div><p id="error-text">No.</p></div></div>
<form method="post" action="/other"><input type="text" name="a" value="untouched"></form>
<details class="more"><summary>Change</summary><details open><form method="post" action="/x"><input type="hidden" name="form" value="t"><input type="hidden" name="id" value="2">
<label for="f-a">Its &#60;name&#62;</label><p class="hint" id="h-a">x</p><input id="f-a" name="a" type="text" value="old" aria-describedby="h-a" required>
<label for="f-p">Password</label><input id="f-p" name="password" type="password" value="">
<input name="kind" type="text" autocomplete="one-time-code" value="">
<fieldset><legend>Rights</legend><input type="checkbox" name="v" id="v-1" value="1" checked><input type="checkbox" name="v" id="v-2" value="2"></fieldset>
<input type="radio" name="r" value="x" checked><input type="radio" name="r" value="y">
<select id="f-s" name="s"><option value="1" selected>One</option><option value="2">Two</option></select>
<textarea name="t">old</textarea><input name="e" type="text" value=""><input name="e" type="text" value="">
</form></details></details>"##;

fn back(body: &str, at_fault: &[&'static str]) -> String {
    let form = Form::parse(body.as_bytes()).expect("a form");
    given_back(PAGE.into(), &Sent::new("/x", &form, at_fault.to_vec()))
}

#[test]
fn what_was_typed_is_there_again_and_secrets_are_not() {
    let body = "id=2&a=a%22b%3Cc&password=hunter2&kind=123456&v=2&r=y&s=2&t=%3C%2Ftextarea%3E&e=&e=second";
    let page = back(body, &["a", "password", "v"]);
    for there in [
        r##"value="a&#34;b&#60;c""##,
        r##"id="v-2" value="2" checked>"##,
        r##"id="v-1" value="1">"##,
        r##"name="r" value="x">"##,
        r##"name="r" value="y" checked>"##,
        r##"<option value="1">"##,
        r##"<option value="2" selected>"##,
        r##"<textarea name="t">&#60;/textarea&#62;</textarea>"##,
        r##"<input name="e" type="text" value=""><input name="e" type="text" value="second">"##,
        r##"aria-describedby="h-a error-text" aria-invalid="true""##,
        r##"<details class="more" open>"##,
        r##"<li><a href="#f-a" data-of="a">Its &#60;name&#62;</a></li><li><a href="#f-p" data-of="password">Password</a></li><li><a href="#v-1" data-of="v">Rights</a></li></ul>"##,
        r##"value="untouched""##,
    ] {
        assert!(page.contains(there), "{there} is in {page}");
    }
    assert!(!page.contains("hunter2") && !page.contains("123456"), "{page}");
}

#[test]
fn another_form_of_the_same_address_is_left_alone() {
    assert_eq!(back("id=3&a=typed", &["a"]), PAGE);
    let form = Form::parse(b"id=2&a=typed").expect("a form");
    assert_eq!(given_back(PAGE.into(), &Sent::new("/y", &form, vec!["a"])), PAGE);
}

#[test]
fn a_long_form_is_not_kept() {
    let sent = |length: usize| Sent::new("/x", &Form::parse(format!("a={}", "b".repeat(length)).as_bytes()).expect("a form"), Vec::new());
    assert!(sent(100).is_small() && !sent(KEPT_MAX).is_small());
}

#[derive(Template)]
#[template(source = "{{ text }}", ext = "html")]
struct Text<'a> {
    text: &'a str,
}

proptest! {
    #[test]
    fn texts_are_escaped_as_templates_do(text in ".{0,200}") {
        prop_assert_eq!(escaped(&text), Text { text: &text }.render().expect("it is text"));
    }

    #[test]
    fn whatever_is_typed_makes_no_markup(typed in ".{0,80}", page in "[ -~]{0,80}") {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.append_pair("id", "2").append_pair("a", &typed).append_pair("t", &typed).append_pair("e", &typed);
        let filled = back(&body.finish(), &["a"]);
        prop_assert_eq!(filled.matches('<').count(), PAGE.matches('<').count() + "<ul><li><a></a></li></ul>".matches('<').count());
        // And a page that is no page does no harm.
        let form = Form::parse(b"a=b").expect("a form");
        let _ = given_back(page, &Sent::new("/x", &form, vec!["a"]));
    }
}

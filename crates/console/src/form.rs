//! The forms of pages: what every one repeats, and how one comes back that was not done, with what was
//! typed and with what is wrong.

use maud::{Markup, html};

use crate::door::Admitted;
use crate::visit::{Returned, Visit};

/// A form of a page.
#[derive(Clone, Copy)]
pub(crate) struct Form<'a> {
    /// Tells the fields of several forms of a page apart.
    name: &'a str,
    who: &'a Admitted,
    returned: Option<&'a Returned>,
}

impl<'a> Form<'a> {
    pub(crate) fn of(visit: &'a Visit, name: &'a str) -> Self {
        let returned = visit.returned.as_ref().filter(|returned| returned.form == name);
        Self { name, who: &visit.who, returned }
    }

    /// It came back: whoever has sent it sees it at once.
    pub(crate) const fn is_open(self) -> bool {
        self.returned.is_some()
    }

    /// What was typed into a field.
    pub(crate) fn typed(self, field: &str) -> Option<&'a str> {
        self.returned.and_then(|returned| returned.typed.get(field))
    }

    /// A field is why it was not done.
    pub(crate) fn is_wrong(self, field: &str) -> bool {
        let rest = self.returned.and_then(|returned| returned.why.strip_prefix(field));
        rest.is_some_and(|rest| rest.starts_with([':', ' ']))
    }

    /// What every form repeats.
    pub(crate) fn key(self) -> Markup {
        html! { input type="hidden" name="key" value=(self.who.form_key); }
    }

    /// A line of text. `usual` stands in it before anybody has typed.
    pub(crate) fn text(self, field: &Field<'_>) -> Markup {
        let why = self.returned.filter(|_| self.is_wrong(field.name)).map(|it| it.why.as_str());
        let (id, usual) = (format!("{}-{}", self.name, field.name), field.usual.as_deref());
        let says = why.map(|_| format!("{id}-wrong"));
        html! {
            label for=(id) { (field.label) }
            // Whoever types into it need not look for what is wrong.
            @if let (Some(says), Some(why)) = (&says, why) { p.note.fail #(says) { (why) } }
            input #(id) name=(field.name) required[!field.optional] maxlength=[field.chars_max]
                autocomplete=(if field.name == "by" { "name" } else { "off" }) inputmode=[field.keyboard]
                placeholder=[field.hint] value=[self.typed(field.name).or(usual)]
                aria-invalid=[why.map(|_| "true")] aria-describedby=[says.as_deref()] autofocus[why.is_some()];
        }
    }

    /// Why, and who where nobody has shown a token.
    pub(crate) fn reason(self) -> Markup {
        let field = Field { name: "reason", label: "Reason", chars_max: Some(500), ..Field::EMPTY };
        html! { (self.text(&field)) (self.by()) }
    }

    /// Who, where nobody has shown a token.
    pub(crate) fn by(self) -> Markup {
        let field = Field { name: "by", label: "Your name", chars_max: Some(100), ..Field::EMPTY };
        html! { @if self.who.name.is_none() { (self.text(&field)) } }
    }

    /// One of several words to choose: its name, and what it means.
    pub(crate) fn choice(self, field: &str, word: &str, name: &str, means: &str) -> Markup {
        html! {
            label.choice {
                input type="radio" name=(field) value=(word) required checked[self.typed(field) == Some(word)];
                b { (name) } span { (means) }
            }
        }
    }
}

/// A field of a form.
#[derive(Clone)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a str,
    pub(crate) label: &'a str,
    pub(crate) optional: bool,
    pub(crate) chars_max: Option<usize>,
    /// Which keyboard a phone shows.
    pub(crate) keyboard: Option<&'a str>,
    pub(crate) hint: Option<&'a str>,
    pub(crate) usual: Option<String>,
}

impl Field<'_> {
    pub(crate) const EMPTY: Self = Self {
        name: "",
        label: "",
        optional: false,
        chars_max: None,
        keyboard: None,
        hint: None,
        usual: None,
    };
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use gopay_http::asked::Asked;

    use super::*;

    #[test]
    fn a_form_that_comes_back_keeps_what_was_typed_and_marks_the_field_that_is_wrong() {
        let who =
            Admitted { name: None, operate: true, finance: true, form_key: "the-key".to_owned() };
        let returned = Returned {
            form: "refund".to_owned(),
            typed: Asked::read(b"amount=1%2C5&reason=%3Cb%3Etwice&by=Sri"),
            status: StatusCode::BAD_REQUEST,
            why: "amount: must be whole rupiah".to_owned(),
        };
        let amount = Field { name: "amount", usual: Some("99".to_owned()), ..Field::EMPTY };
        let form = Form { name: "refund", who: &who, returned: Some(&returned) };
        let shown = html! { (form.text(&amount)) (form.reason()) }.0;
        assert!(
            shown.contains(
                "value=\"1,5\" aria-invalid=\"true\" aria-describedby=\"refund-amount-wrong\" autofocus"
            ),
            "{shown}"
        );
        assert_eq!(shown.matches("aria-invalid").count(), 1, "{shown}");
        assert_eq!(shown.matches("amount: must be whole rupiah").count(), 1, "{shown}");
        assert!(
            shown.contains("value=\"&lt;b&gt;twice\"") && shown.contains("value=\"Sri\""),
            "{shown}"
        );
        let fresh = Form { name: "cancel", who: &who, returned: None };
        let shown = html! { (fresh.text(&amount)) (fresh.reason()) }.0;
        assert!(shown.contains("value=\"99\"") && !shown.contains("twice"), "{shown}");
    }
}

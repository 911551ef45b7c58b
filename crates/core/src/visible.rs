//! Makes text from outside safe to print: bodies, headers, and errors that quote them.
//!
//! Control characters can move a terminal's cursor or recolour it. Format characters such as U+202E show text in
//! another order than it has, and invisible ones make two different ids look equal.

use std::borrow::Cow;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// The text with every character escaped that a terminal would obey or not show: `\n`, `\u{202e}`. The result
/// is one line.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, is_visible, |shown, c| {
        shown.extend(c.escape_default());
    })
}

/// The same for a JSON document, which keeps its meaning: `\u202e`. Its own line breaks stay.
#[must_use]
pub fn visible_json(document: &str) -> Cow<'_, str> {
    // Outside strings only spaces and line breaks are not visible, and within strings JSON itself escapes them.
    let stays = |c: char| is_visible(c) || matches!(c, '\n' | '\r' | '\t');
    escaped(document, stays, |shown, c| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            shown.extend(["\\u", &const_hex::encode(unit.to_be_bytes())]);
        }
    })
}

fn escaped(
    text: &str,
    stays: impl Fn(char) -> bool,
    escape: impl Fn(&mut String, char),
) -> Cow<'_, str> {
    if text.chars().all(&stays) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if stays(c) {
            shown.push(c);
        } else {
            escape(&mut shown, c);
        }
    }
    Cow::Owned(shown)
}

fn is_visible(c: char) -> bool {
    if c.is_ascii() {
        return c == ' ' || c.is_ascii_graphic();
    }
    let is_printed = !matches!(
        c.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
            | GeneralCategory::Unassigned
    );
    is_printed && !is_ignorable(c)
}

/// Letters and marks that nothing shows: the `Default_Ignorable_Code_Point` of Unicode 17 in other categories than
/// those above.
fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180d}'
            | '\u{180f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{e0100}'..='\u{e01ef}'
    )
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::{is_visible, visible, visible_json};

    #[test]
    fn whatever_a_terminal_obeys_or_hides_is_escaped() {
        for (text, shown) in [
            ("payment\u{1b}[2J", r"payment\u{1b}[2J"),
            ("a\r\nb\tc\0\u{7f}", r"a\r\nb\tc\u{0}\u{7f}"),
            // C1, which 8-bit terminals obey.
            ("\u{9b}31m", r"\u{9b}31m"),
            // Bidirectional overrides, embeddings, isolates and marks.
            ("pay_\u{202e}lru", r"pay_\u{202e}lru"),
            (
                "\u{202a}\u{2066}\u{2069}\u{200f}\u{61c}",
                r"\u{202a}\u{2066}\u{2069}\u{200f}\u{61c}",
            ),
            // Of no width.
            (
                "\u{200b}\u{200d}\u{feff}\u{ad}\u{2060}",
                r"\u{200b}\u{200d}\u{feff}\u{ad}\u{2060}",
            ),
            (
                "\u{3164}\u{34f}\u{fe0f}\u{e0041}",
                r"\u{3164}\u{34f}\u{fe0f}\u{e0041}",
            ),
            // Line and paragraph separators, private use, no character.
            (
                "\u{2028}\u{2029}\u{e000}\u{ffff}",
                r"\u{2028}\u{2029}\u{e000}\u{ffff}",
            ),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn ordinary_text_of_any_script_is_borrowed() {
        for text in [
            "",
            r#"it's "quoted" \ and {braced}"#,
            "₹ 499 → captured … – ×",
            "आशा café 漢字 עברית 😀",
        ] {
            assert!(
                matches!(visible(text), Cow::Borrowed(shown) if shown == text),
                "{text}"
            );
            assert!(
                matches!(visible_json(text), Cow::Borrowed(shown) if shown == text),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_invisible_is_left(text: String) {
            prop_assert!(visible(&text).chars().all(is_visible));
        }

        #[test]
        fn json_means_what_it_did(text: String) {
            let document = serde_json::to_string_pretty(&[&text]).unwrap();
            let shown = visible_json(&document);
            prop_assert!(shown.chars().all(|c| c == '\n' || is_visible(c)));
            let [read]: [String; 1] = serde_json::from_str(&shown).unwrap();
            prop_assert_eq!(read, text);
        }
    }
}

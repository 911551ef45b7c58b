//! The same JSON as different programs write it.
//!
//! The order of keys and the numbers stay: changes to those cannot be guessed.

use serde::de::IgnoredAny;

/// Largest text that is tried, in bytes: indenting can make a small body large.
const TEXT_BYTES_MAX: usize = 4 * super::BODY_BYTES_MAX;

/// How a program writes JSON.
#[derive(Clone, Copy)]
struct Spelling {
    space: Space,
    escapes: Escapes,
}

/// Whether a character is escaped that need not be: `/` as `\/`, any other as `\uXXXX`.
type Escapes = fn(char) -> bool;

const ESCAPES: [Escapes; 5] = [
    |_| false,
    |c| c == '/',
    |c| !c.is_ascii(),
    |c| c == '/' || !c.is_ascii(),
    |c| matches!(c, '<' | '>' | '&'),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Space {
    /// None at all.
    Compact,
    /// After commas and colons.
    Spaced,
    /// One line for each value, indented by this many characters.
    Indented(usize),
}

/// A body in the spelling of each common program; nothing if it is not JSON.
pub(super) fn respelled(body: &[u8]) -> impl Iterator<Item = String> + '_ {
    let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
    let text = std::str::from_utf8(body).ok().filter(|_| is_json);
    spellings().filter_map(move |spelling| written(text?, spelling))
}

fn spellings() -> impl Iterator<Item = Spelling> {
    let spaces = [
        Space::Compact,
        Space::Spaced,
        Space::Indented(2),
        Space::Indented(4),
    ];
    let with_escapes = |space| ESCAPES.map(|escapes| Spelling { space, escapes });
    spaces.into_iter().flat_map(with_escapes)
}

/// The JSON `text` in another spelling; `None` if that becomes too long.
fn written(text: &str, spelling: Spelling) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut depth = 0usize;
    let mut rest = text.trim_ascii_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => {
                let length = string_length(rest)?;
                write_string(&mut out, &rest[..length], spelling.escapes)?;
                length
            }
            '{' | '[' => {
                out.push(first);
                let inside = rest[1..].trim_ascii_start();
                if let Some(close) = inside.chars().next().filter(|c| matches!(c, '}' | ']')) {
                    out.push(close);
                    rest.len() - inside.len() + 1
                } else {
                    depth += 1;
                    spelling.space.break_line(&mut out, depth);
                    1
                }
            }
            '}' | ']' => {
                depth = depth.checked_sub(1)?;
                spelling.space.break_line(&mut out, depth);
                out.push(first);
                1
            }
            ',' | ':' => {
                out.push(first);
                if spelling.space == Space::Spaced
                    || (first == ':' && spelling.space != Space::Compact)
                {
                    out.push(' ');
                }
                if first == ',' {
                    spelling.space.break_line(&mut out, depth);
                }
                1
            }
            _ => {
                let length = rest
                    .find(|c: char| c.is_ascii_whitespace() || ",:{}[]\"".contains(c))
                    .unwrap_or(rest.len());
                out.push_str(&rest[..length]);
                length
            }
        };
        if out.len() > TEXT_BYTES_MAX {
            return None;
        }
        rest = rest.get(length..)?.trim_ascii_start();
    }
    Some(out)
}

impl Space {
    fn break_line(self, out: &mut String, depth: usize) {
        if let Self::Indented(by) = self {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', by * depth));
        }
    }
}

/// The length of the quoted string at the start of a text, quotes included.
fn string_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn write_string(out: &mut String, quoted: &str, escapes: Escapes) -> Option<()> {
    let text: String = serde_json::from_str(quoted).ok()?;
    for character in serde_json::to_string(&text).ok()?.chars() {
        if !escapes(character) {
            out.push(character);
        } else if character == '/' {
            out.push_str("\\/");
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.push_str("\\u");
                out.push_str(const_hex::Buffer::<2>::new().format(&unit.to_be_bytes()));
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::respelled;

    #[test]
    fn json_is_written_as_common_programs_write_it() {
        let body =
            "{ \"b\" : [1.50, {}, [ ]],\n\"a\":\"x\\/\\u00e9<\\ud83d\\ude00\\n\" , \"n\":null}";
        let all: Vec<String> = respelled(body.as_bytes()).collect();
        for (program, text) in [
            (
                "JavaScript",
                r#"{"b":[1.50,{},[]],"a":"x/é<😀\n","n":null}"#,
            ),
            (
                "PHP",
                r#"{"b":[1.50,{},[]],"a":"x\/\u00e9<\ud83d\ude00\n","n":null}"#,
            ),
            (
                "Python",
                r#"{"b": [1.50, {}, []], "a": "x/\u00e9<\ud83d\ude00\n", "n": null}"#,
            ),
            ("Go", r#"{"b":[1.50,{},[]],"a":"x/é\u003c😀\n","n":null}"#),
            (
                "an editor",
                "{\n  \"b\": [\n    1.50,\n    {},\n    []\n  ],\n  \"a\": \"x/é<😀\\n\",\n  \"n\": null\n}",
            ),
        ] {
            assert!(all.iter().any(|one| one == text), "{program}: {all:#?}");
        }
    }

    #[test]
    fn other_texts_are_left_alone() {
        for body in ["", "{", "{\"a\"", "nothing", "\"\\"] {
            assert_eq!(respelled(body.as_bytes()).count(), 0, "{body}");
        }
        assert_eq!(respelled(b"\xff").count(), 0);
    }

    #[test]
    fn the_size_of_indented_text_is_bounded() {
        let row = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let wide = format!("[{}]", vec![row; 300].join(","));
        let deep = "[".repeat(30_000) + "1" + &"]".repeat(30_000);
        for body in [wide, deep] {
            assert!(body.len() < super::super::BODY_BYTES_MAX);
            let longest = respelled(body.as_bytes()).map(|text| text.len()).max();
            assert!(longest.unwrap() <= super::TEXT_BYTES_MAX, "{longest:?}");
        }
    }
}

//! Text of unknown origin in messages: short and printable.

/// Characters of a value that a message shows.
const LONGEST: usize = 80;

/// The beginning of a text, with `…` where more follows and escapes for what a terminal would act on.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == LONGEST {
            shown.push('…');
            break;
        }
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn short_and_without_control_characters() {
        assert_eq!(printable("a (= \"1\") é"), "a (= \"1\") é");
        assert_eq!(printable("a\n\u{1b}[1m\0"), "a\\n\\u{1b}[1m\\0");
        assert_eq!(printable(&"x".repeat(80)), "x".repeat(80));
        assert_eq!(printable(&"x".repeat(81)), format!("{}…", "x".repeat(80)));
    }
}

//! Values that become part of a request's head. White space at their ends, often a newline from a file, is
//! dropped. A value with characters that would end the line is refused, and not shown: most are secrets.

/// A value without the white space at its ends; `None` if nothing is left, or a character is not allowed.
pub(crate) fn word(value: &str, is_allowed: fn(char) -> bool) -> Option<String> {
    let value = value.trim();
    (!value.is_empty() && value.chars().all(is_allowed)).then(|| value.to_owned())
}

/// The name of a region; `None` if the text is not one.
pub(crate) fn region(name: &str) -> Option<String> {
    word(name, |c| c.is_ascii_alphanumeric() || "-._".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_a_name() {
        assert_eq!(region("eu-west-1\n").as_deref(), Some("eu-west-1"));
        assert_eq!(region("Region_1").as_deref(), Some("Region_1"));
        for bad in ["", " ", "eu\nwest", "eu west", "a/b", "a@b", "é"] {
            assert_eq!(region(bad), None, "{bad:?}");
        }
    }
}

//! Yes and no, as apt reads them (`StringToBool`, `apt-pkg/contrib/strutl.cc`).

const YES: [&str; 6] = ["yes", "true", "with", "on", "enable", "1"];
const NO: [&str; 6] = ["no", "false", "without", "off", "disable", "0"];

/// None for what is neither.
#[must_use]
pub fn parse(value: &[u8]) -> Option<bool> {
    let is = |word: &&str| value.eq_ignore_ascii_case(word.as_bytes());
    match (YES.iter().any(is), NO.iter().any(is)) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

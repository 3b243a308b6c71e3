//! Spans of time on the command line.

use std::{
    fmt,
    num::{IntErrorKind, NonZeroU32},
    str::FromStr,
};

use jiff::SignedDuration;

/// A span of time in seconds, at least one: a number and a unit (`90d`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub NonZeroU32);

const UNITS: [(char, u32); 5] = [
    ('w', 7 * 86_400),
    ('d', 86_400),
    ('h', 3600),
    ('m', 60),
    ('s', 1),
];

impl From<Span> for SignedDuration {
    fn from(span: Span) -> Self {
        Self::from_secs(span.0.get().into())
    }
}

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected a number and a unit: 30s, 15m, 36h, 14d or 8w";
        let unit = |(letter, seconds)| Some((text.strip_suffix(letter)?, seconds));
        let (number, unit) = UNITS.into_iter().find_map(unit).ok_or(expected)?;
        let too_long = "is longer than 136 years";
        let number = number.parse::<u32>();
        let number = number.map_err(|error| match error.kind() {
            IntErrorKind::PosOverflow => too_long,
            _ => expected,
        })?;
        let seconds = number.checked_mul(unit).ok_or(too_long)?;
        NonZeroU32::new(seconds)
            .map(Self)
            .ok_or("is no time at all")
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.get();
        let mut units = UNITS.into_iter();
        match units.find(|(_, unit)| seconds.is_multiple_of(*unit)) {
            Some((letter, unit)) => write!(f, "{}{letter}", seconds / unit),
            None => write!(f, "{seconds}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_shown() {
        for (text, seconds) in [
            ("30s", 30),
            ("15m", 900),
            ("36h", 129_600),
            ("1d", 86_400),
            ("8w", 4_838_400),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!((span.0.get(), span.to_string()), (seconds, text.to_owned()));
        }
        for text in ["", "d", "1", "-1d", "0d", "1y", "1.5d", "999999w", "1 d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        for text in ["999999w", "99999999999999999999d"] {
            assert_eq!(text.parse::<Span>(), Err("is longer than 136 years"));
        }
    }
}

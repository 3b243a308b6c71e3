//! Phased updates: `Phased-Update-Percentage` in a stanza of an index, which the package's control file does not have.
//!
//! apt keeps such a version back, where it would be an upgrade, on all devices but so many percent of them. Which these are follows
//! from the machine's id and the version's source package, so all binary packages of one source that have the same percentage reach
//! the same devices (`apt-pkg/upgrade.cc`). A device draws a number from 0 to 100, so even 0 % lets about one percent through. The
//! field counts for each version on its own.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::paragraph;

const FIELD: &str = "Phased-Update-Percentage";

/// A part of the devices, from 0 to 100 percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Percentage(u8);

/// The number or text is not a [`Percentage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole number from 0 to 100")]
pub struct InvalidPercentage;

impl Percentage {
    /// Every device.
    pub const ALL: Self = Self(100);

    /// The part that a stanza names; all devices if it names none.
    #[must_use]
    pub fn of(stanza: &[u8]) -> Self {
        let value = paragraph::field(stanza, FIELD).and_then(|value| str::from_utf8(value).ok());
        value
            .and_then(|value| value.parse().ok())
            .unwrap_or(Self::ALL)
    }

    /// The stanza, for this part of the devices.
    #[must_use]
    pub fn written_to(self, stanza: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(stanza.len() + FIELD.len() + 8);
        let mut is_field = false;
        for line in stanza.split_inclusive(|&byte| byte == b'\n') {
            if !line.starts_with(b" ") && !line.starts_with(b"\t") {
                is_field = paragraph::field(line, FIELD).is_some();
            }
            if !is_field {
                bytes.extend_from_slice(line);
            }
        }
        if self != Self::ALL {
            if !bytes.is_empty() && !bytes.ends_with(b"\n") {
                bytes.push(b'\n');
            }
            bytes.extend_from_slice(format!("{FIELD}: {}\n", self.0).as_bytes());
        }
        bytes
    }

    /// Whether it is zero percent, which apt still lets about one percent of the devices through for.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl TryFrom<u8> for Percentage {
    type Error = InvalidPercentage;

    fn try_from(number: u8) -> Result<Self, InvalidPercentage> {
        (number <= 100)
            .then_some(Self(number))
            .ok_or(InvalidPercentage)
    }
}

impl FromStr for Percentage {
    type Err = InvalidPercentage;

    fn from_str(text: &str) -> Result<Self, InvalidPercentage> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<u8>().map_err(|_| InvalidPercentage)?;
        is_number
            .then_some(number)
            .ok_or(InvalidPercentage)?
            .try_into()
    }
}

impl From<Percentage> for u8 {
    fn from(percentage: Percentage) -> Self {
        percentage.0
    }
}

impl fmt::Display for Percentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(number: u8, stanza: &str) -> String {
        let percentage = Percentage::try_from(number).unwrap();
        String::from_utf8(percentage.written_to(stanza.as_bytes())).unwrap()
    }

    #[test]
    fn the_field_is_added_replaced_and_taken_away() {
        let plain = "Package: a\nDescription: x\n Phased-Update-Percentage: 7\nSize: 1\n";
        let phased = format!("{plain}Phased-Update-Percentage: 10\n");
        assert_eq!(text(10, plain), phased);
        assert_eq!(text(100, plain), plain);
        assert_eq!(text(100, &phased), plain);
        let other = format!("phased-update-percentage : 50\n folded\n{plain}");
        assert_eq!(text(10, &other), phased);
        assert_eq!(
            text(0, "Package: a"),
            "Package: a\nPhased-Update-Percentage: 0\n"
        );
    }

    #[test]
    fn a_stanza_without_a_valid_percentage_is_for_all_devices() {
        for value in ["", "101", "-1", "+1", "1.5", "ten", "300"] {
            let stanza = format!("Phased-Update-Percentage: {value}\n");
            assert_eq!(
                Percentage::of(stanza.as_bytes()),
                Percentage::ALL,
                "{value}"
            );
            assert!(value.parse::<Percentage>().is_err(), "{value}");
        }
        assert_eq!("10".parse(), Ok(Percentage(10)));
        assert!(serde_json::from_str::<Percentage>("101").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_nothing_else_changes(
            number in 0..=100u8,
            stanza in "(([A-Z][a-z]{0,3}|Phased-Update-Percentage): [0-9]{0,3}\n( x\n)?){1,5}",
        ) {
            let percentage = Percentage(number);
            let once = percentage.written_to(stanza.as_bytes());
            prop_assert_eq!(Percentage::of(&once), percentage);
            prop_assert_eq!(&percentage.written_to(&once), &once);
            let (without, all) = (Percentage::ALL.written_to(stanza.as_bytes()), Percentage::ALL.written_to(&once));
            prop_assert_eq!(without, all);
        }
    }
}

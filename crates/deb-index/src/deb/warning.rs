//! What is odd in a package that every reader accepts.

use std::fmt;

use crate::name::Architecture;

/// Something in a package that dpkg and apt accept and that is probably a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// An architecture that dpkg does not know.
    UnknownArchitecture(Architecture),
    /// A package for the Debian installer, in an index of ordinary packages.
    Udeb,
    /// A value that apt does not understand: it warns on every device, and ignores the field.
    IgnoredByApt {
        field: &'static str,
        /// Its value, shortened and printable.
        value: String,
    },
    /// A character within a line of a value that other readers than dpkg and apt take for its end: for them, what follows is not
    /// part of the field, and may look like another one.
    EndsLine { field: String, character: char },
    /// An obsolete field whose value dpkg, unlike apt, appends to the version: apt sees an upgrade for
    /// ever.
    AppendedToVersion { field: &'static str },
}

impl Warning {
    /// What the name of a file tells: [`Warning::Udeb`] for `….udeb`.
    #[must_use]
    pub fn of_file_name(name: &str) -> Option<Self> {
        name.ends_with(".udeb").then_some(Self::Udeb)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownArchitecture(architecture) => write!(
                f,
                "“Architecture”: “{architecture}”: not known to dpkg, so no device sees the package"
            ),
            Self::Udeb => f.write_str(
                "a udeb, which only the Debian installer can install, in an index of ordinary packages",
            ),
            Self::IgnoredByApt { field, value } => {
                write!(f, "“{field}”: “{value}”: not known to apt, which ignores the field")
            }
            Self::EndsLine { field, character } => write!(
                f,
                "“{field}” holds U+{:04X}, where readers other than dpkg and apt end the line",
                u32::from(*character)
            ),
            Self::AppendedToVersion { field } => write!(
                f,
                "“{field}”: obsolete; dpkg appends it to the version, apt does not"
            ),
        }
    }
}

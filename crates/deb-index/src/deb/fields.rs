//! The rules of apt and dpkg for the fields of a control file.
//!
//! What would make dpkg refuse the package, or apt the index that it is in, is an error. Every other value
//! is the maintainer's business. The rules are those of dpkg's `lib/dpkg/fields.c` and `parse.c`, and of
//! apt's `apt-pkg/deb/deblistparser.cc`.

use super::Warning;
use crate::{
    flag,
    name::Architecture,
    paragraph::{Field, Paragraph},
    quote::printable,
    relation::{Kind, Relations},
};

/// A field that apt or dpkg would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("“{field}”: “{value}”: {rule}")]
pub struct FieldError {
    /// The name of the field as written.
    pub field: String,
    /// The value, or the part of it that breaks the rule, shortened and printable.
    pub value: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

impl FieldError {
    pub(super) fn new(field: &str, value: &[u8], rule: &'static str) -> Self {
        Self {
            field: printable(field),
            value: printable(&String::from_utf8_lossy(value)),
            rule,
        }
    }
}

/// Fields that an index adds to those of a package, or that readers take for such.
const INDEX_FIELDS: [&str; 8] = [
    "Filename",
    "MSDOS-Filename",
    "Size",
    "MD5sum",
    "SHA1",
    "SHA256",
    "SHA512",
    "Checksum-FileSize",
];

/// Fields of dpkg's database of installed packages.
const STATUS_FIELDS: [&str; 4] = [
    "Status",
    "Config-Version",
    "Triggers-Pending",
    "Triggers-Awaited",
];

/// Obsolete fields that dpkg appends to the version.
const REVISION_FIELDS: [&str; 3] = ["Revision", "Package-Revision", "Package_Revision"];

/// Priorities that dpkg knows. It accepts any other word that begins with none of them.
const PRIORITIES: [&str; 6] = [
    "required",
    "important",
    "standard",
    "optional",
    "extra",
    "unknown",
];

/// The longest text that apt has room for, in bytes: it counts in 16 bits, and aborts where one is longer.
const MAX_APT_STRING: usize = 65_534;

/// Checks all fields but those that make up the identity of the package.
pub(super) fn check(
    paragraph: &Paragraph<'_>,
    architecture: &Architecture,
) -> Result<Vec<Warning>, FieldError> {
    let mut warnings = Vec::new();
    if !architecture.is_known_to_dpkg() {
        warnings.push(Warning::UnknownArchitecture(architecture.clone()));
    }
    for field in paragraph.fields() {
        check_field(field, architecture)
            .map_err(|rule| FieldError::new(field.name, field.value, rule))?;
        check_relations(field)?;
        for warning in warning(field).into_iter().chain(end_of_line(field)) {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    Ok(warnings)
}

fn check_field(field: &Field<'_>, architecture: &Architecture) -> Result<(), &'static str> {
    let is = |name: &str| field.name.eq_ignore_ascii_case(name);
    let is_value = |value: &&str| field.value.eq_ignore_ascii_case(value.as_bytes());
    if INDEX_FIELDS.iter().any(|name| is(name)) {
        Err("belongs in an index, not in a package")
    } else if STATUS_FIELDS.iter().any(|name| is(name)) {
        Err("belongs in dpkg's database, not in a package")
    } else if field.name.len() < 2 {
        Err("dpkg refuses a field name of one character")
    } else if is("Essential") || is("Protected") {
        ["", "no", "yes"]
            .iter()
            .any(is_value)
            .then_some(())
            .ok_or("dpkg accepts only “yes” and “no”")
    } else if is("Multi-Arch") {
        if is_value(&"same") && architecture.is_all() {
            return Err("dpkg refuses it in a package of the architecture “all”");
        }
        ["", "no", "same", "foreign", "allowed"]
            .iter()
            .any(is_value)
            .then_some(())
            .ok_or("dpkg accepts only “no”, “same”, “foreign” and “allowed”")
    } else if is("Priority") || is("Class") {
        check_priority(field.value)
    } else if is("Conffiles") {
        check_conffiles(field.value)
            .ok_or("dpkg wants lines of “ /path md5sum”, the first of them below the field's name")
    } else if (is("Section") || is("Source")) && field.value.len() > MAX_APT_STRING {
        Err("apt aborts at a value of 64 KiB or more")
    } else if is("Description-md5") && !matches!(field.value.len(), 0 | 32) {
        Err("apt wants 32 digits")
    } else {
        Ok(())
    }
}

fn check_priority(value: &[u8]) -> Result<(), &'static str> {
    let begins_with = |known: &&str| {
        value
            .split_at_checked(known.len())
            .is_some_and(|(word, rest)| {
                word.eq_ignore_ascii_case(known.as_bytes()) && !rest.is_empty()
            })
    };
    if PRIORITIES.iter().any(begins_with) {
        Err("dpkg refuses text after a priority that it knows")
    } else {
        Ok(())
    }
}

fn check_relations(field: &Field<'_>) -> Result<(), FieldError> {
    let Some(kind) = Kind::of_field(field.name) else {
        return Ok(());
    };
    let Ok(text) = std::str::from_utf8(field.value) else {
        return Err(FieldError::new(
            field.name,
            field.value,
            "a relation has only ASCII characters",
        ));
    };
    match Relations::parse(kind, text) {
        Ok(_) => Ok(()),
        Err(error) => Err(FieldError {
            field: field.name.to_owned(),
            value: error.relation,
            rule: error.rule,
        }),
    }
}

/// dpkg's `f_conffiles`: lines of ` path hash [obsolete] [remove-on-upgrade]`.
fn check_conffiles(value: &[u8]) -> Option<()> {
    for line in value.split(|&b| b == b'\n') {
        let Some(line) = line.strip_prefix(b" ") else {
            // dpkg skips newlines, and takes nothing else before the space.
            if line.is_empty() {
                continue;
            }
            return None;
        };
        let (mut rest, mut word) = split_last_word(line, line.len())?;
        for flag in [&b"remove-on-upgrade"[..], b"obsolete"] {
            if word == flag {
                (rest, word) = split_last_word(line, rest)?;
            }
        }
        let path = line.get(..rest)?;
        let mut root = 0;
        while path[root..].starts_with(b"/") || path[root..].starts_with(b"./") {
            root += 1;
        }
        if root == path.len() {
            return None;
        }
    }
    Some(())
}

/// dpkg's `conffvalue_lastword`: the word before `end`, and where the space before it is.
fn split_last_word(line: &[u8], end: usize) -> Option<(usize, &[u8])> {
    let text = line.get(..end)?;
    let space = text.iter().rposition(|&b| b == b' ')?;
    (space > 1 && space + 1 < line.len()).then(|| (space, &text[space + 1..]))
}

fn warning(field: &Field<'_>) -> Option<Warning> {
    let is = |name: &str| field.name.eq_ignore_ascii_case(name);
    let ignored = |field: &'static str, value: &[u8]| Warning::IgnoredByApt {
        field,
        value: printable(&String::from_utf8_lossy(value)),
    };
    if is_of_the_installer(field) {
        return Some(Warning::Udeb);
    }
    // dpkg takes the value in any case, apt does not.
    if is("Multi-Arch") && field.value.iter().any(u8::is_ascii_uppercase) {
        return Some(ignored("Multi-Arch", field.value));
    }
    if is("Important") && !is_flag(field.value) {
        return Some(ignored("Important", field.value));
    }
    if is("Phased-Update-Percentage") && !is_percentage(field.value) {
        return Some(ignored("Phased-Update-Percentage", field.value));
    }
    let field_name = REVISION_FIELDS.into_iter().find(|name| is(name))?;
    (!field.value.is_empty()).then_some(Warning::AppendedToVersion { field: field_name })
}

/// A character that ends a line for some readers: those at which Python's `str.splitlines` does, but for a newline, and a carriage
/// return before one.
fn end_of_line(field: &Field<'_>) -> Option<Warning> {
    let value = String::from_utf8_lossy(field.value);
    let within = value.split('\n').map(|line| line.trim_end_matches('\r'));
    let character = within.flat_map(str::chars).find(|c| {
        matches!(
            c,
            '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    })?;
    Some(Warning::EndsLine {
        field: field.name.to_owned(),
        character,
    })
}

/// Whether only a udeb has such a field. `Package-Type` rarely tells: dpkg-gencontrol leaves it out.
fn is_of_the_installer(field: &Field<'_>) -> bool {
    let is = |name: &str| field.name.eq_ignore_ascii_case(name);
    let section = || field.value.rsplit(|&b| b == b'/').next();
    (is("Package-Type") && field.value == b"udeb")
        || (is("Section") && section() == Some(b"debian-installer"))
        || is("Installer-Menu-Item")
}

fn is_flag(value: &[u8]) -> bool {
    value.is_empty() || flag::parse(value).is_some()
}

fn is_percentage(value: &[u8]) -> bool {
    let number = std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok());
    value.is_empty() || number.is_some_and(|number: u8| number <= 100)
}

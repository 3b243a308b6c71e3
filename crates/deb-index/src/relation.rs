//! Relations between packages: the values of `Depends`, `Provides` and the like, as
//! `libc6 (>= 2.36), default-mta | mail-transport-agent, python3:any`.
//!
//! apt refuses all of its package lists, those of other repositories too, for one malformed relation
//! in one of them. What is accepted here is what both readers accept: dpkg (`f_dependency` in its
//! `lib/dpkg/fields.c`) is nearly always the stricter one, apt (`ParseDepends` in its
//! `apt-pkg/deb/deblistparser.cc`) in the few places that say so below. Wider than the
//! [policy](https://www.debian.org/doc/debian-policy/ch-relationships.html): names may have capitals
//! and `_`, and the operators `<`, `>` and none at all are still read.
//!
//! Relations of source packages, with architecture lists and build profiles, are not read.

use std::{cmp::Ordering, fmt, str::FromStr};

use crate::{quote::printable, version::Version};

/// The longest name and the longest version that apt has room for, in bytes: it counts in 16 bits, aborts
/// where one is longer, and may append `:any` to a name.
const MAX_APT_STRING: usize = 65_530;

/// The value of a field: all of its groups must be met, each by one of its alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relations(Vec<Vec<Relation>>);

/// A package, in any version or in some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The name as written. dpkg ignores the case of letters.
    pub name: Box<str>,
    /// What follows the name after a colon: `any`, or an architecture.
    pub architecture: Option<Box<str>>,
    /// The versions that are meant; all where there is none.
    pub versions: Option<VersionRange>,
}

/// Versions on one side of a given one, or that one: `>= 2.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// How a version compares to the given one.
    pub operator: Operator,
    /// The version that others are compared with.
    pub version: Version,
}

/// How two versions compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`, and the deprecated `<`.
    EarlierOrEqual,
    /// `=`, and no operator at all.
    Equal,
    /// `>=`, and the deprecated `>`.
    LaterOrEqual,
    /// `>>`
    Later,
}

/// What a field may have in its relations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Alternatives joined by `|`, as in `Depends`.
    Alternatives,
    /// No alternatives, as in `Conflicts`.
    Plain,
    /// No alternatives, exact versions only, and at least one relation: `Provides`.
    Provides,
}

/// A relation that apt or dpkg refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("“{relation}”: {rule}")]
pub struct RelationError {
    /// The relation, shortened and printable.
    pub relation: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

impl Kind {
    /// The kind of a field of a binary package, its name in any case; `None` where neither apt nor dpkg
    /// reads relations from it (`Built-Using`, `Build-Depends`).
    #[must_use]
    pub fn of_field(name: &str) -> Option<Self> {
        const FIELDS: [(&str, Kind); 11] = [
            ("Pre-Depends", Kind::Alternatives),
            ("Depends", Kind::Alternatives),
            ("Recommends", Kind::Alternatives),
            ("Suggests", Kind::Alternatives),
            ("Enhances", Kind::Alternatives),
            ("Breaks", Kind::Plain),
            ("Conflicts", Kind::Plain),
            ("Replaces", Kind::Plain),
            ("Provides", Kind::Provides),
            // Obsolete names of `Recommends` and `Suggests` that dpkg still reads.
            ("Recommended", Kind::Alternatives),
            ("Optional", Kind::Alternatives),
        ];
        FIELDS
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, kind)| *kind)
    }
}

impl Relations {
    /// Parses the value of a field, without the white space around it. It may have several lines.
    ///
    /// # Errors
    /// Where apt or dpkg refuses the field.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, RelationError> {
        let whole = |rule| RelationError {
            relation: printable(text),
            rule,
        };
        if text.starts_with('\n') {
            return Err(whole(
                "dpkg wants the first package on the line of the field's name",
            ));
        }
        let mut rest = text.trim_matches(is_space);
        if rest.is_empty() {
            return match kind {
                Kind::Provides => Err(whole("apt refuses an empty field of this name")),
                Kind::Alternatives | Kind::Plain => Ok(Self(Vec::new())),
            };
        }
        let mut groups = vec![Vec::new()];
        loop {
            let here = rest;
            let refused = |rule| RelationError {
                relation: printable(relation_text(here).unwrap_or(text)),
                rule,
            };
            let (relation, after) = take_relation(rest).map_err(refused)?;
            check_kind(kind, &relation).map_err(refused)?;
            check_for_apt(rest, &relation).map_err(refused)?;
            if let Some(group) = groups.last_mut() {
                group.push(relation);
            }
            let mut following = after.chars();
            match following.next() {
                None => return Ok(Self(groups)),
                Some(',') => groups.push(Vec::new()),
                Some('|') if kind == Kind::Alternatives => {}
                Some('|') => return Err(whole("alternatives are not allowed in this field")),
                Some('[') => {
                    return Err(refused("only source packages have lists of architectures"));
                }
                Some('<') => return Err(refused("only source packages have build profiles")),
                Some(_) => return Err(refused("“,” or “|” is missing after a package")),
            }
            rest = following.as_str().trim_start_matches(is_space);
        }
    }

    /// The groups in the order in which they are written; in each its alternatives.
    #[must_use]
    pub fn groups(&self) -> &[Vec<Relation>] {
        &self.0
    }
}

impl VersionRange {
    /// Whether a version is meant.
    #[must_use]
    pub fn contains(&self, version: &Version) -> bool {
        let order = version.compare(&self.version);
        match self.operator {
            Operator::Earlier => order == Ordering::Less,
            Operator::EarlierOrEqual => order != Ordering::Greater,
            Operator::Equal => order == Ordering::Equal,
            Operator::LaterOrEqual => order != Ordering::Less,
            Operator::Later => order == Ordering::Greater,
        }
    }
}

impl FromStr for Relation {
    type Err = RelationError;

    /// Parses one relation that is not in a field, as `tool (<< 2.0)`.
    fn from_str(text: &str) -> Result<Self, RelationError> {
        let refused = |rule| RelationError {
            relation: printable(text),
            rule,
        };
        match take_relation(text.trim_matches(is_space)).map_err(refused)? {
            (relation, "") => Ok(relation),
            _ => Err(refused("more than one package, or text after it")),
        }
    }
}

/// Takes a relation and the white space behind it off the front.
fn take_relation(text: &str) -> Result<(Relation, &str), &'static str> {
    let ends_name = |c| is_space(c) || matches!(c, ':' | '(' | ',' | '|');
    let (name, mut rest) = split_where(text, ends_name);
    check_name(name)?;
    let mut architecture = None;
    if let Some(after) = rest.strip_prefix(':') {
        let (qualifier, after) =
            split_where(after, |c| is_space(c) || matches!(c, '(' | ',' | '|'));
        check_qualifier(qualifier)?;
        architecture = Some(qualifier.into());
        rest = after;
    }
    rest = rest.trim_start_matches(is_space);
    let mut versions = None;
    if let Some(inside) = rest.strip_prefix('(') {
        let (range, after) = take_range(inside.trim_start_matches(is_space))?;
        versions = Some(range);
        rest = after.trim_start_matches(is_space);
    }
    let relation = Relation {
        name: name.into(),
        architecture,
        versions,
    };
    Ok((relation, rest))
}

/// Takes what is in parentheses, and the closing one, off the front.
fn take_range(text: &str) -> Result<(VersionRange, &str), &'static str> {
    const OPERATORS: [(&str, Operator); 7] = [
        ("<<", Operator::Earlier),
        ("<=", Operator::EarlierOrEqual),
        ("<", Operator::EarlierOrEqual),
        ("=", Operator::Equal),
        (">>", Operator::Later),
        (">=", Operator::LaterOrEqual),
        (">", Operator::LaterOrEqual),
    ];
    if text.starts_with("<>") || text.starts_with("><") {
        return Err("the operators are <<, <=, =, >= and >>");
    }
    let (operator, rest) = OPERATORS
        .iter()
        .find_map(|(sign, operator)| Some((*operator, text.strip_prefix(sign)?)))
        .unwrap_or((Operator::Equal, text));
    let rest = rest.trim_start_matches(is_space);
    let (version, rest) = split_where(rest, |c| is_space(c) || matches!(c, '(' | ')'));
    if version.starts_with(['<', '>', '=', '!']) {
        return Err("the operators are <<, <=, =, >= and >>");
    }
    let Some(rest) = rest.trim_start_matches(is_space).strip_prefix(')') else {
        return Err("“)” is missing after the version");
    };
    if version.is_empty() {
        return Err("no version after the operator");
    }
    let version = Version::of_any_length(version)?;
    Ok((VersionRange { operator, version }, rest))
}

fn check_name(name: &str) -> Result<(), &'static str> {
    let accepted = |c: char| c.is_ascii_alphanumeric() || "-+._".contains(c);
    if name.is_empty() {
        Err("the name of a package is missing")
    } else if name.contains("${") {
        Err("a substitution variable was not replaced")
    } else if name.contains('[') {
        Err("only source packages have lists of architectures")
    } else if name.contains('<') {
        Err("only source packages have build profiles")
    } else if !name.chars().all(accepted) {
        Err("a package name has only letters, digits, “+”, “-”, “.” and “_”")
    } else if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Err("a package name begins with a letter or digit")
    } else {
        Ok(())
    }
}

fn check_qualifier(architecture: &str) -> Result<(), &'static str> {
    let accepted = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if architecture.is_empty() {
        Err("no architecture after “:”")
    } else if !architecture.chars().all(accepted) || architecture.starts_with('-') {
        Err("an architecture has only letters, digits and “-”, and does not begin with “-”")
    } else {
        Ok(())
    }
}

fn check_kind(kind: Kind, relation: &Relation) -> Result<(), &'static str> {
    // dpkg only warns before 1.22, and apt ignores such a relation.
    match &relation.versions {
        Some(range) if kind == Kind::Provides && range.operator != Operator::Equal => {
            Err("a package provides exact versions only, with the operator =")
        }
        _ => Ok(()),
    }
}

/// Refuses what apt refuses of a relation that dpkg accepts.
fn check_for_apt(text: &str, relation: &Relation) -> Result<(), &'static str> {
    let too_long = Err("apt aborts at a name or version of 64 KiB or more");
    let architecture = relation.architecture.as_deref().unwrap_or_default();
    if relation.name.len() + architecture.len() > MAX_APT_STRING {
        return too_long;
    }
    let Some(range) = &relation.versions else {
        return Ok(());
    };
    if range.version.as_str().len() > MAX_APT_STRING {
        return too_long;
    }
    // From the operator to the end of the field it wants at least four bytes: not `=1)`, but `= 1)`.
    match text.split_once('(') {
        Some((_, inside)) if inside.trim_start_matches(is_space).len() < 4 => {
            Err("apt refuses a version this short at the end of a field: put a space before it")
        }
        _ => Ok(()),
    }
}

/// The first relation of a text, for messages; `None` where it is empty.
fn relation_text(text: &str) -> Option<&str> {
    let (relation, _) = split_where(text, |c| matches!(c, ',' | '|'));
    let relation = relation.trim_matches(is_space);
    (!relation.is_empty()).then_some(relation)
}

fn split_where(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

/// White space as C's `isspace` has it, which both readers use.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Earlier => "<<",
            Self::EarlierOrEqual => "<=",
            Self::Equal => "=",
            Self::LaterOrEqual => ">=",
            Self::Later => ">>",
        })
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(architecture) = &self.architecture {
            write!(f, ":{architecture}")?;
        }
        if let Some(VersionRange { operator, version }) = &self.versions {
            write!(f, " ({operator} {version})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Relations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, group) in self.0.iter().enumerate() {
            for (alternative, relation) in group.iter().enumerate() {
                let joint = match (at, alternative) {
                    (0, 0) => "",
                    (_, 0) => ", ",
                    _ => " | ",
                };
                write!(f, "{joint}{relation}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(kind: Kind, text: &str) -> String {
        Relations::parse(kind, text).unwrap_err().to_string()
    }

    #[test]
    fn parts() {
        let text = "libc6 (>= 2.36) ,Mail_er:any|b:amd64(<<1:2-3),\n c ( 12 )";
        let relations = Relations::parse(Kind::Alternatives, text).unwrap();
        assert_eq!(
            relations.to_string(),
            "libc6 (>= 2.36), Mail_er:any | b:amd64 (<< 1:2-3), c (= 12)"
        );
        let [_, group, _] = relations.groups() else {
            panic!("{relations:?}");
        };
        assert_eq!(group[0].architecture.as_deref(), Some("any"));
        assert_eq!(group[0].versions, None);
        assert_eq!(&*group[1].name, "b");
        assert_eq!(Relations::parse(Kind::Plain, "").unwrap().groups().len(), 0);
    }

    #[test]
    fn the_error_names_the_relation_and_the_rule() {
        let depends = |text| rule(Kind::Alternatives, text);
        assert_eq!(
            depends("x, a (= ) | b"),
            "“a (= )”: no version after the operator"
        );
        assert_eq!(
            depends("foo,, bar"),
            "“foo,, bar”: the name of a package is missing"
        );
        assert_eq!(
            depends("a, ${shlibs:Depends}"),
            "“${shlibs:Depends}”: a substitution variable was not replaced"
        );
        assert!(depends("a (=1)").contains("this short"));
        assert!(depends("a [amd64]").contains("lists of architectures"));
        assert!(depends("a[amd64]").contains("lists of architectures"));
        assert!(depends("a <!nocheck>").contains("build profiles"));
        assert!(depends("a (!= 1)").contains("operators"));
        assert!(rule(Kind::Plain, "a | b").contains("alternatives"));
        assert!(rule(Kind::Provides, "a (>= 1)").contains("exact"));
        assert!(rule(Kind::Provides, "").contains("empty"));
    }

    #[test]
    fn one_relation_by_itself() {
        let relation: Relation = " tool (<<2) ".parse().unwrap();
        assert_eq!(relation.to_string(), "tool (<< 2)");
        let range = relation.versions.unwrap();
        assert!(range.contains(&"1.9".parse().unwrap()));
        assert!(!range.contains(&"2".parse().unwrap()));
        assert!("tool (=2)".parse::<Relation>().is_ok());
        for text in ["", "a b", "a, b", "a | b", "a (= 1) x"] {
            assert!(text.parse::<Relation>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn versions_in_a_range() {
        for (operator, met) in [
            ("<<", [true, false, false]),
            ("<=", [true, true, false]),
            ("<", [true, true, false]),
            ("=", [false, true, false]),
            ("", [false, true, false]),
            (">=", [false, true, true]),
            (">", [false, true, true]),
            (">>", [false, false, true]),
        ] {
            let relation: Relation = format!("a ({operator} 2.0)").parse().unwrap();
            let range = relation.versions.unwrap();
            let contains = ["1", "2.00", "3"].map(|v| range.contains(&v.parse().unwrap()));
            assert_eq!(contains, met, "{operator}");
        }
    }

    const KINDS: [Kind; 3] = [Kind::Alternatives, Kind::Plain, Kind::Provides];

    proptest! {
        #[test]
        fn what_is_accepted_is_rendered_to_the_same(
            text in "([ab:+\\[<{é]|any|\\(|\\)|[<=>]{1,2}|[ ,|\n]|1\\.0|1:2-3){0,12}",
        ) {
            for kind in KINDS {
                if let Ok(relations) = Relations::parse(kind, &text) {
                    let rendered = relations.to_string();
                    prop_assert_eq!(Relations::parse(kind, &rendered), Ok(relations), "{}", rendered);
                }
            }
        }

        #[test]
        fn never_panics(text in "\\PC{0,30}") {
            for kind in KINDS {
                let _ = Relations::parse(kind, &text);
            }
            let _ = text.parse::<Relation>();
        }
    }
}

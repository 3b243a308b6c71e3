//! Control files with one field each that apt or dpkg may refuse.

/// A control file.
pub(crate) struct Case {
    /// `field: value`, or the whole file where it is about more than one field.
    pub(crate) label: String,
    pub(crate) control: Vec<u8>,
}

const BASE: [(&str, &str); 5] = [
    ("Package", "x"),
    ("Version", "1.0"),
    ("Architecture", "amd64"),
    ("Maintainer", "M. <m@example.org>"),
    ("Description", "d"),
];

/// Fields of relations. The values run through the first two; the others
/// have the rules of one of them.
const RELATION_FIELDS: [&str; 11] = [
    "Depends",
    "Provides",
    "Conflicts",
    "Pre-Depends",
    "Recommends",
    "suggests",
    "ENHANCES",
    "Breaks",
    "Replaces",
    "Recommended",
    "Optional",
];

const FEW_RELATIONS: [&str; 6] = ["a", "", "a (= )", "a |", "a | b", "a:any (>= 1)"];

/// Values of relations, one a line.
const RELATIONS: &str = include_str!("../fixtures/relations.txt");

/// Other fields, one a line.
const FIELDS: &str = include_str!("../fixtures/fields.txt");

/// Takes the escapes of the two files back.
fn unescape(line: &str) -> String {
    let escapes = [
        ("\\n", "\n"),
        ("\\t", "\t"),
        ("\\r", "\r"),
        ("\\v", "\u{b}"),
        ("\\f", "\u{c}"),
        ("\\1", "\u{1}"),
        ("\\_", "\u{a0}"),
        ("\\s", " "),
    ];
    let unescaped =
        |text: String, (escape, character): &(&str, &str)| text.replace(escape, character);
    escapes.iter().fold(line.to_owned(), unescaped)
}

fn case(name: &str, value: &[u8], others: &[(&str, &str)]) -> Case {
    let mut control = Vec::new();
    let mut field = |name: &str, value: &[u8]| {
        control.extend_from_slice(name.as_bytes());
        control.push(b':');
        if !value.is_empty() && !value.starts_with(b"\n") {
            control.push(b' ');
        }
        control.extend_from_slice(value);
        control.push(b'\n');
    };
    for (base, default) in BASE {
        if base == "Maintainer" && BASE.iter().all(|(base, _)| *base != name) {
            field(name, value);
        }
        let other = others.iter().find(|(other, _)| *other == base);
        match other {
            _ if base == name => field(name, value),
            Some((_, other)) => field(base, other.as_bytes()),
            None => field(base, default.as_bytes()),
        }
    }
    // So that an empty field is not the last one, which is a case of its own.
    field("X-Last", b"x");
    let others = others
        .iter()
        .map(|(name, value)| format!("{name}: {value}; "));
    Case {
        label: format!(
            "{}{name}: {}",
            others.collect::<String>(),
            String::from_utf8_lossy(value)
        ),
        control,
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: &str, value: &[u8]| cases.push(case(name, value, &[]));
    for (at, field) in RELATION_FIELDS.iter().enumerate() {
        for value in &FEW_RELATIONS {
            add(field, value.as_bytes());
        }
        for value in RELATIONS.lines().filter(|_| at < 2) {
            add(field, unescape(value).as_bytes());
        }
    }
    for line in FIELDS.lines().map(unescape) {
        let (field, value) = line.split_once(':').unwrap();
        add(field, value.strip_prefix(' ').unwrap_or(value).as_bytes());
    }
    add("Depends", b"J\xf6rg");
    add("Maintainer", b"J\xf6rg");
    add("X-Latin", b"J\xf6rg");
    add("Depends", "a, ".repeat(20_000).as_bytes());
    add("Depends", format!("{}a", "a, ".repeat(20_000)).as_bytes());
    add(
        "Depends",
        format!("a (= {})", "1".repeat(70_000)).as_bytes(),
    );
    add("Depends", "a".repeat(70_000).as_bytes());
    // apt counts some strings in 16 bits.
    for size in [65_530, 65_534, 65_535, 65_536, 131_072] {
        for field in ["Source", "Section", "Maintainer", "X-Y", "Priority"] {
            add(field, "x".repeat(size).as_bytes());
        }
    }
    for size in [60_000, 70_000, 131_072] {
        let (name, version) = ("a".repeat(size), "1".repeat(size));
        for field in ["Depends", "Provides"] {
            add(field, name.as_bytes());
            add(field, format!("b, {name}:any (= 1)").as_bytes());
            add(field, format!("a (= {version})").as_bytes());
            add(field, format!("a:{name}").as_bytes());
        }
        add("Source", format!("a ({version})").as_bytes());
        add("Source", format!("{name} (1)").as_bytes());
    }
    // Nearly as long as a paragraph may be, in one line and in many.
    add("X-Y", "x ".repeat(524_000).as_bytes());
    add("Description", "d\n d".repeat(260_000).as_bytes());
    for value in ["same", "Same", "foreign", "allowed", ""] {
        cases.push(case(
            "Multi-Arch",
            value.as_bytes(),
            &[("Architecture", "all")],
        ));
    }
    cases.extend(whole_files());
    cases
}

/// Faults of the file rather than of a field.
fn whole_files() -> impl Iterator<Item = Case> {
    const CONTROL: &str =
        "Package: x\nVersion: 1.0\nArchitecture: amd64\nMaintainer: M\nDescription: d\n";
    [
        CONTROL.to_owned(),
        format!("\n\n{CONTROL}"),
        format!("{CONTROL}\n"),
        format!("Empty:\n{CONTROL}"),
        format!("{CONTROL}Empty:\n\n"),
        format!("{CONTROL}Empty:\n"),
        format!("{CONTROL}Empty: \n"),
        format!("{CONTROL}Depends:\n"),
        format!("{CONTROL}Space : x\n"),
        format!("{CONTROL}Tab\t: x\n"),
        format!("{CONTROL}Line: x\r\n"),
        CONTROL.replace('\n', "\r\n"),
        CONTROL.trim_end().to_owned(),
        format!("{CONTROL} \n"),
        format!("{CONTROL} \n x\n"),
        format!("{CONTROL}\t\n"),
        format!("{CONTROL}\nMore: x\n"),
        format!("{CONTROL}package: x\n"),
        format!("{CONTROL}Depends: a\ndepends: a\n"),
        format!("{CONTROL}XX: 1\nxx: 2\n"),
        format!("{CONTROL}Depends: a\nRecommended: b\nRecommends: c\n"),
        format!("{CONTROL}no colon\n"),
        format!("{CONTROL}: no name\n"),
        format!("{CONTROL}# comment\n"),
        format!("{CONTROL}\r\n"),
        format!("{CONTROL} x\r\n"),
        format!(" {CONTROL}"),
        format!("{CONTROL}XX: \u{1a}\n"),
        format!("{CONTROL}XX: y\u{0}\n"),
        format!("{CONTROL}\u{b}x\n"),
        CONTROL.replace("Maintainer: M\n", ""),
        CONTROL.replace("Description: d\n", ""),
        CONTROL.replace("Package: x\n", ""),
        CONTROL.replace("Version: 1.0\n", ""),
        CONTROL.replace("Architecture: amd64\n", ""),
        CONTROL.to_lowercase(),
        CONTROL.replace(": ", ":"),
        CONTROL.replace(": ", ":\t "),
    ]
    .into_iter()
    .map(|control| Case {
        label: control.clone(),
        control: control.into_bytes(),
    })
}

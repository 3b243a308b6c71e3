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

/// Fields of relations. The values run through the first three, which have rules of their own; the others
/// have the rules of one of them.
const RELATION_FIELDS: [&str; 11] = [
    "Depends",
    "Conflicts",
    "Provides",
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

const RELATIONS: &[&str] = &[
    "a, b",
    "a,b",
    "a , b",
    "a ,\n b",
    "a,\n\tb",
    "a\n , b",
    "a,\r\n b",
    "\n a",
    "a | b",
    "a|b",
    "a |\n b",
    "a, ",
    ",",
    "|",
    ",a",
    "a,,b",
    "a, , b",
    "a |",
    "| a",
    "a || b",
    "a | | b",
    "a |, b",
    "a, | b",
    "a b",
    "a b c",
    "a; b",
    "a & b",
    "a/b",
    "a\\b",
    "a*",
    "a'",
    "\"a\"",
    "a=1",
    "a = 1",
    "a>=1",
    "a >= 1",
    "A",
    "a_b",
    "_a",
    "-a",
    "+a",
    ".a",
    "a-",
    "a+",
    "a.",
    "0",
    "a~b",
    "a@b",
    "a%b",
    "a#b",
    "a!",
    "!a",
    "é",
    "a (= é)",
    "a:é",
    "${shlibs:Depends}",
    "${misc:Depends}, a",
    "a (= ${binary:Version})",
    "a ${x}",
    "a:any",
    "a:native",
    "a:amd64",
    "a:AMD64",
    "a:any (= 1)",
    "a:",
    "a: any",
    "a :any",
    ":any",
    "a:any:b",
    "a:-x",
    "a:x-",
    "a:a_b",
    "a:any|b:any",
    "a:any,b",
    "a [amd64]",
    "a[amd64]",
    "a [!amd64]",
    "a (= 1) [amd64]",
    "a <!nocheck>",
    "a<!nocheck>",
    "a (= 1) <!nocheck>",
    "[amd64]",
    "<x>",
    "a [",
    "a <",
    "a >",
    "a ]",
    "a )",
    ")",
    "(",
    "()",
    "(= 1)",
    "a (",
    "a ()",
    "a ( )",
    "a (=",
    "a (=)",
    "a (= )",
    "a (=  )",
    "a (1",
    "a (= 1",
    "a (>> 1",
    "a (= 1, b",
    "a (= 1 | b",
    "a (1)",
    "a (12)",
    "a (123)",
    "a ( 1 )",
    "a ( 12 )",
    "a (1), b",
    "a (12) | b",
    "a (=1)",
    "a (=12)",
    "a (=1), b",
    "a (=1)\n , b",
    "a (<1)",
    "a (>1)",
    "a (<12)",
    "a (>12)",
    "a (<1), b",
    "a (<=1)",
    "a (>=1)",
    "a (<<1)",
    "a (>>1)",
    "a (= 1)",
    "a (< 1)",
    "a (> 1)",
    "a (<= 1)",
    "a (>= 1)",
    "a (<< 1)",
    "a (>> 1)",
    "a(= 1)",
    "a(=1)",
    "a  (  =   1  )  ",
    "a\t(=\t1\t)",
    "a (=\n 1)",
    "a (= 1\n )",
    "a\n (= 1)",
    "a (= 1),",
    "a (<> 1)",
    "a (>< 1)",
    "a (=> 1)",
    "a (=< 1)",
    "a (=<1)",
    "a (== 1)",
    "a (==1)",
    "a (!= 1)",
    "a (~ 1)",
    "a (<<< 1)",
    "a (<<= 1)",
    "a (>>= 1)",
    "a (= = 1)",
    "a (< = 1)",
    "a (= 1)(= 2)",
    "a (= 1) (= 2)",
    "a ((= 1))",
    "a (= 1))",
    "a (= (1))",
    "a (= 1 2)",
    "a (= 1) b",
    "a (= 1)b",
    "a (= 1,2)",
    "a (= 1|2)",
    "a (= 1)|b",
    "a (= 1),b",
    "a (= a)",
    "a (= a1)",
    "a (= v1)",
    "a (= ~1)",
    "a (= 1_0)",
    "a (= 1/2)",
    "a (= 1-)",
    "a (= -1)",
    "a (= 1:2)",
    "a (= 1:)",
    "a (= :1)",
    "a (= a:1)",
    "a (= -1:1)",
    "a (= +1:1)",
    "a (= 1:2:3-4)",
    "a (= 1:2-3:4)",
    "a (= 1-2-3)",
    "a (= 1-2_3)",
    "a (= 2147483647:1)",
    "a (= 2147483648:1)",
    "a (= 1.0~rc1+b1)",
    "a (= 1*)",
    "a (= *)",
    "a (>= 0)",
    "a (>= 0~)",
    "a (any)",
    "a (>= 1) | b (<< 2) | c, d (= 3)",
    "a\u{b} b",
    "a\u{b}, b",
    "a\u{c}(= 1)",
    "a\u{a0}",
    "a\u{1}",
    "a,\u{a0}b",
    "# a",
    "a # b",
];

/// Values of other fields.
const VALUES: &[(&str, &[&str])] = &[
    (
        "Package",
        &[
            "", "y", "yy", "y+", "y-1", "y.1", "0y", "+y", "-y", ".y", "y z", "y/z", "../y", "y:z",
            "y,z", "é", "y~", "Y", "yY", "y_z", "\n y", "y\n z",
        ],
    ),
    (
        "Version",
        &[
            "",
            "1",
            "1.0-1",
            "1-1-1",
            "1:1",
            "0:1",
            "1:1:1",
            "1:1:1-1",
            "1:1-1:1",
            ":1",
            "1:",
            "1:-1",
            "a:1",
            "-1:1",
            "+1:1",
            "2147483647:1",
            "2147483648:1",
            "99999999999999999999:1",
            "a",
            "v1",
            "~1",
            "-1",
            "1-",
            "1_0",
            "1/2",
            "1 2",
            "1,2",
            "1~",
            "1+",
            "1-1~",
            "1-1_",
            "1é",
            "(1)",
            "1\n 2",
            "1.0~rc1+dfsg-1+b1",
            "${binary:Version}",
        ],
    ),
    (
        "Architecture",
        &[
            "",
            "all",
            "amd64",
            "arm64",
            "noarch",
            "x86-64",
            "386",
            "-x",
            "x-",
            "a b",
            "amd64 i386",
            "x86_64",
            "a/b",
            "é",
            "any",
            "linux-any",
            "any-amd64",
            "source",
            "AMD64",
            "all amd64",
        ],
    ),
    (
        "Source",
        &[
            "",
            "y",
            "y (1)",
            "y(1)",
            "y (",
            "y )",
            "y (x y)",
            "y z",
            "Y",
            "../y",
            "https://example.org/y.git",
            "é",
            "(",
            "\n y",
            "a/b (1) c",
            "${source:Package}",
        ],
    ),
    (
        "Multi-Arch",
        &[
            "", "no", "same", "foreign", "allowed", "none", "yes", "any", "No", "SAME", "Foreign",
            "same x", "same,no", "\n same", "samesame", "é", "all",
        ],
    ),
    ("multi-ARCH", &["foreign", "none"]),
    (
        "Essential",
        &[
            "", "no", "yes", "No", "YES", "true", "0", "1", "yess", "yes no", "\n yes", "y", "é",
        ],
    ),
    ("Protected", &["", "no", "yes", "True", "maybe", "noo"]),
    (
        "Important",
        &[
            "", "no", "yes", "YES", "true", "1", "0", "off", "maybe", "2", "é",
        ],
    ),
    (
        "Priority",
        &[
            "",
            "required",
            "important",
            "standard",
            "optional",
            "extra",
            "unknown",
            "OPTIONAL",
            "source",
            "high",
            "option",
            "optional, really",
            "optionally",
            "extras",
            "Required!",
            "not optional",
            "-",
            "é",
            "\n optional",
        ],
    ),
    ("Class", &["", "optional", "optionalx", "x"]),
    (
        "Section",
        &[
            "",
            "misc",
            "non-free/misc",
            "a b",
            "MISC",
            "é",
            "debian-installer",
            "\n misc",
        ],
    ),
    (
        "Installed-Size",
        &[
            "",
            "1",
            "0",
            "-1",
            "x",
            "1 MB",
            "99999999999999999999",
            "1.5",
            "é",
        ],
    ),
    ("Maintainer", &["", "x", "M <m@x", "é", "\n M"]),
    (
        "Description",
        &[
            "",
            "d\n e",
            "d\n .\n e",
            "\n e",
            "é",
            "d\n\te",
            "d: e",
            "${Description}",
        ],
    ),
    ("Status", &["", "install ok installed", "x"]),
    ("Config-Version", &["", "1.0", "x y"]),
    ("Triggers-Pending", &["", "x"]),
    ("Triggers-Awaited", &["", "x"]),
    (
        "Conffiles",
        &[
            "",
            "\n /etc/x 0123",
            "\n /etc/x 0123\n /etc/y 4567",
            "\n /etc/x 0123 obsolete",
            "\n remove-on-upgrade /etc/x",
            "\n /etc/x 0123 remove-on-upgrade",
            "\n /etc/x 0123 obsolete remove-on-upgrade",
            "\n /etc/x 0123 remove-on-upgrade obsolete",
            "/etc/x 0123",
            "\n /etc/x",
            "\n\t/etc/x 0123",
            "\n  /etc/x 0123",
            "\n / 0123",
            "\n ./ 0123",
            "\n ./etc/x 0123",
            "\n /etc/a b 0123",
            "\n x y",
            "\n xx y",
            "\n obsolete",
            "x",
            "\n /etc/x obsolete",
            "\n  obsolete",
            "\n /etc/x  0123",
            "\n . 0123",
            "\n /etc/x\t0123",
            "\n é 0123",
        ],
    ),
    (
        "Description-md5",
        &[
            "",
            "0123",
            "0123456789abcdef0123456789abcdef",
            "0123456789abcdef0123456789abcdeg",
            "é",
        ],
    ),
    (
        "Phased-Update-Percentage",
        &["", "0", "50", "100", "101", "x", "-1"],
    ),
    ("Revision", &["", "1"]),
    ("Package-Revision", &["1"]),
    ("Package_Revision", &["1"]),
    ("Origin", &["", "é", "\n x"]),
    ("Bugs", &["", "x"]),
    ("Built-Using", &["", "a", "a (= )", "a (= 1", "${x}", "é"]),
    ("Static-Built-Using", &["a (= )", ",,"]),
    ("Build-Depends", &["a [amd64] <!x>", "("]),
    ("Homepage", &["", "x y", "é"]),
    ("Tag", &["a::b, c", "((", ""]),
    ("Task", &["a, b", "é"]),
    ("Package-Type", &["", "deb", "udeb", "x"]),
    ("Kernel-Version", &["1", "x"]),
    ("Description-de", &["ü\n ü"]),
    ("X-Y", &["", "x", "é", "x\n y", "x\n .", ": :", "\n x"]),
    ("X_Y", &["x"]),
    ("X", &["x"]),
    ("é", &["x"]),
    ("X/Y", &["x"]),
    ("X.Y", &["x"]),
    ("#X", &["x"]),
    ("-X", &["x"]),
    ("X Y", &["x"]),
    ("X\u{1}", &["x"]),
    ("Filename", &["", "x", "../x"]),
    ("size", &["1", "x"]),
    ("MD5Sum", &["0"]),
    ("SHA1", &["0"]),
    ("SHA256", &["0"]),
    ("SHA512", &["0"]),
    ("MSDOS-Filename", &["x"]),
    ("Checksum-FileSize", &["1"]),
];

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
        for value in RELATIONS.iter().filter(|_| at < 3) {
            add(field, value.as_bytes());
        }
    }
    for (field, values) in VALUES {
        for value in *values {
            add(field, value.as_bytes());
        }
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
    add("X-Y", "x ".repeat(200_000).as_bytes());
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

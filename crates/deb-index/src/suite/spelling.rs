//! The keys that the `Filename` of another program may mean.
//!
//! apt puts it behind the address of the repository and escapes it (tried with 2.6, by this project's method), so a
//! device asks for the key that is spelled: of `a_1%3a2.0.deb`, as `apt download` names its files, for the one with `%3a` in it.
//! Web servers, and the method, pass over `./`, and web servers over a second slash. deb-s3 writes percent escapes
//! (`1.0%2Bgit1` for `1.0+git1`), for older versions of apt.

/// The keys that the name itself spells, as written and without what a path does not need. No folder of it is `.` or `..`.
#[must_use]
pub fn spelled(filename: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut segments = filename.split('/');
    if !filename.starts_with('/') && !segments.any(is_dots) {
        keys.push(filename.to_owned());
    }
    let bare = bare(filename).filter(|bare| !keys.contains(bare));
    keys.extend(bare);
    keys
}

/// The same, and the key that it spells with percent escapes.
#[must_use]
pub fn meant(filename: &str) -> Vec<String> {
    let mut keys = spelled(filename);
    let decoded = unescaped(filename).and_then(|name| bare(&name));
    keys.extend(decoded.filter(|key| !keys.contains(key)));
    keys
}

fn is_dots(segment: &str) -> bool {
    [".", ".."].contains(&segment)
}

/// The path without `.`, `..` and empty segments; none if it leaves the repository.
fn bare(path: &str) -> Option<String> {
    let mut bare = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(bare.pop()?),
            _ => bare.push(segment),
        }
    }
    (!bare.is_empty()).then(|| bare.join("/"))
}

fn unescaped(name: &str) -> Option<String> {
    let mut parts = name.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.extend(hex::decode(part.get(..2)?).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    let name = String::from_utf8(bytes).ok()?;
    // It has to fit into a line.
    let is_line = name.trim() == name && !name.contains(char::is_control);
    is_line.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_what_it_spells_first() {
        for (filename, keys) in [
            ("pool/a+b~c d.deb", &["pool/a+b~c d.deb"][..]),
            ("pool/a%2bb.deb", &["pool/a%2bb.deb", "pool/a+b.deb"]),
            ("./a_1%3a2.0.deb", &["a_1%3a2.0.deb", "a_1:2.0.deb"]),
            ("././pool/./a.deb", &["pool/a.deb"]),
            ("pool//x///a.deb", &["pool//x///a.deb", "pool/x/a.deb"]),
            ("/pool/a.deb", &["pool/a.deb"]),
            ("pool/x/../a.deb", &["pool/a.deb"]),
            ("pool/%2e%2e/a.deb", &["pool/%2e%2e/a.deb", "a.deb"]),
            ("pool/100%.deb", &["pool/100%.deb"]),
            ("pool/a%zz%2b.deb", &["pool/a%zz%2b.deb"]),
            ("pool/a%0aSize: 1", &["pool/a%0aSize: 1"]),
            ("pool/a%20", &["pool/a%20"]),
            ("pool/%ff.deb", &["pool/%ff.deb"]),
            ("../pool/a.deb", &[]),
            ("./", &[]),
        ] {
            assert_eq!(meant(filename), keys, "{filename}");
        }
        assert_eq!(spelled("./pool/a%2bb.deb"), ["pool/a%2bb.deb"]);
    }
}

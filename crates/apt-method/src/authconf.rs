//! The files that hold keys for repositories: `s3auth.conf`, and `auth.conf` with `auth.conf.d`.
//!
//! `s3auth.conf` has settings for every bucket and, below a `[bucket]` line, for one; the value may
//! stand in quotes:
//!
//! ```text
//! Region = 'eu-west-1'
//!
//! [my-bucket]
//! AccessKeyId = AKIA…
//! SecretAccessKey = "…"
//! ```
//!
//! `auth.conf` is apt's own file for passwords (apt_auth.conf(5)): `machine s3://bucket[/prefix]
//! login KEY password SECRET`. Only entries that begin with `s3://` are ours.
//!
//! A line that cannot be read is an error which names it: a credential that is silently skipped
//! shows up as "access denied" much later.

use std::path::{Path, PathBuf};

use aws_access::Keys;

use crate::settings::Settings;
use crate::uri::Location;

/// A line that cannot be read. The text is not repeated: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {what}", path.display())]
pub struct AuthError {
    path: PathBuf,
    line: usize,
    what: String,
}

/// `s3auth.conf`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthConf {
    /// What stands before the first section.
    pub global: Settings,
    sections: Vec<(String, Settings)>,
}

impl AuthConf {
    /// Reads the file's `text`; `path` is for error messages.
    ///
    /// # Errors
    /// The first line that cannot be read.
    pub fn parse(path: &Path, text: &str) -> Result<Self, AuthError> {
        let mut conf = Self::default();
        let mut begins = 1;
        let text = text.trim_start_matches('\u{feff}');
        for (number, line) in text.lines().enumerate() {
            let error = |what: String| AuthError {
                path: path.to_owned(),
                line: number + 1,
                what,
            };
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(section) = line.strip_prefix('[') {
                conf.check_last(path, begins)?;
                let bucket = section
                    .strip_suffix(']')
                    .map(str::trim)
                    .filter(|bucket| !bucket.is_empty());
                let bucket = bucket.ok_or_else(|| error("a section is written [bucket]".into()))?;
                conf.sections.push((bucket.to_owned(), Settings::default()));
                begins = number + 1;
                continue;
            }
            let (name, value) = line
                .split_once('=')
                .ok_or_else(|| error("neither Name = value nor [bucket]".into()))?;
            let value =
                dequote(value.trim()).ok_or_else(|| error("a quote is not closed".into()))?;
            let settings = conf
                .sections
                .last_mut()
                .map_or(&mut conf.global, |(_, settings)| settings);
            settings
                .set(name.trim(), value)
                .map_err(|what| error(what.to_string()))?;
        }
        conf.check_last(path, begins)?;
        Ok(conf)
    }

    /// What each part of the file says.
    pub fn all(&self) -> impl Iterator<Item = &Settings> {
        let sections = self.sections.iter().map(|(_, settings)| settings);
        std::iter::once(&self.global).chain(sections)
    }

    /// What the sections of this bucket say.
    pub fn section(&self, bucket: &str) -> Settings {
        let ours = self.sections.iter().filter(|(name, _)| name == bucket);
        ours.fold(Settings::default(), |nearer, (_, settings)| {
            nearer.over(settings.clone())
        })
    }

    fn check_last(&self, path: &Path, line: usize) -> Result<(), AuthError> {
        let settings = self
            .sections
            .last()
            .map_or(&self.global, |(_, settings)| settings);
        settings.check().map_err(|what| AuthError {
            path: path.to_owned(),
            line,
            what: what.to_string(),
        })
    }
}

/// The value without its quotes and without the comment that may follow it.
fn dequote(value: &str) -> Option<&str> {
    let Some(quote) = value
        .chars()
        .next()
        .filter(|first| matches!(first, '\'' | '"'))
    else {
        return value.split(" #").next()?.split("\t#").next();
    };
    let (inside, behind) = value.strip_prefix(quote)?.rsplit_once(quote)?;
    let behind = behind.trim_start();
    (behind.is_empty() || behind.starts_with('#')).then_some(inside)
}

/// The entries of `auth.conf` and `auth.conf.d` that are ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machines(Vec<Machine>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Machine {
    /// `bucket[/prefix]`.
    address: String,
    keys: Keys,
}

impl Machines {
    /// Adds the entries of a file's `text`; `path` is for error messages.
    ///
    /// # Errors
    /// An entry for `s3://` that lacks its keys, with the line on which it begins.
    pub fn add(&mut self, path: &Path, text: &str) -> Result<(), AuthError> {
        let words = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim_start().starts_with('#'));
        let mut words = words
            .flat_map(|(number, line)| line.split_whitespace().map(move |word| (number + 1, word)))
            .peekable();
        while let Some((line, word)) = words.next() {
            if word != "machine" {
                continue;
            }
            let (mut login, mut password) = (None, None);
            let Some((_, address)) = words.next() else {
                break;
            };
            while let Some((_, word)) = words.next_if(|(_, word)| *word != "machine") {
                match word {
                    "login" => login = words.next().map(|(_, value)| value),
                    "password" => password = words.next().map(|(_, value)| value),
                    _ => {}
                }
            }
            let Some(address) = address.strip_prefix("s3://") else {
                continue;
            };
            let (Some(login), Some(password)) = (login, password) else {
                let what = "an entry for S3 is written: \
 machine s3://BUCKET login ACCESS-KEY password SECRET-KEY"
                    .to_owned();
                return Err(AuthError {
                    path: path.to_owned(),
                    line,
                    what,
                });
            };
            self.0.push(Machine {
                address: address.to_owned(),
                keys: Keys::new(login, password),
            });
        }
        Ok(())
    }

    /// The keys of the first entry that this address lies below. As in apt, an entry without a
    /// slash is a whole host, and one with a slash is the beginning of an address.
    pub fn find(&self, location: &Location) -> Option<&Keys> {
        let written = format!("{}{}", location.host, location.path);
        let object = format!("{}/{}", location.bucket, location.key);
        let fits = |machine: &&Machine| {
            let address = machine.address.as_str();
            if address.contains('/') {
                written.starts_with(address) || object.starts_with(address)
            } else {
                address == location.host || address == location.bucket
            }
        };
        self.0.iter().find(fits).map(|machine| &machine.keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AuthConf, String> {
        AuthConf::parse(Path::new("/etc/apt/s3auth.conf"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_the_files_of_todays_methods() {
        let conf = parse(
            "\u{feff}# keys\r\nAccessKeyId = 'AKIA'\r\nSecretAccessKey=\"a/b+c==\"\nToken = ''\n\
 Region = 'eu-west-1' # here\n\nendpoint = minio.example.com # there\nPathStyle = true\t# so\n",
        )
        .unwrap();
        let keys = conf.global.keys().unwrap();
        assert_eq!(
            (
                keys.access_key_id.as_str(),
                keys.secret_access_key.as_str(),
                keys.session_token
            ),
            ("AKIA", "a/b+c==", None)
        );
        assert_eq!(conf.global.region.as_deref(), Some("eu-west-1"));
        assert_eq!(conf.global.endpoint.as_deref(), Some("minio.example.com"));
        assert_eq!(conf.global.path_style, Some(true));
    }

    #[test]
    fn a_section_is_for_one_bucket() {
        let conf =
            parse("Region = a\n[one]\nRegion = b\n[two]\nAccessKeyId = k\nSecretAccessKey = s\n")
                .unwrap();
        assert_eq!(conf.section("one").region.as_deref(), Some("b"));
        assert_eq!(conf.section("two").keys().unwrap().access_key_id, "k");
        assert_eq!(conf.section("three"), Settings::default());
        assert_eq!(conf.global.region.as_deref(), Some("a"));
    }

    #[test]
    fn an_error_names_the_line_and_not_what_it_holds() {
        for (text, line) in [
            ("Region = a\nhunter2\n", 2),
            ("SecretAccessKey = 'hunter2\n", 1),
            ("[hunter2\n", 1),
            ("AccessKeyId = x\n[one]\n", 1),
            ("[one]\n\nPathStyle = hunter2\n", 3),
            ("\n[one]\nSecretAccessKey = hunter2", 2),
            ("Secret = hunter2", 1),
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                error.starts_with(&format!("/etc/apt/s3auth.conf:{line}: ")),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    fn location(uri: &str) -> Location {
        crate::uri::parse(uri.as_bytes(), true, |_| false).unwrap()
    }

    #[test]
    fn auth_conf_entries_are_found_by_bucket_and_prefix() {
        let mut machines = Machines::default();
        let text = "machine example.com login me password hunter\n\
 # machine s3://bucket login no password no\n\
 machine s3://bucket/one/ login k1 password s1\n\
 machine s3://bucket\n login k2\n password s2 machine s3://other login k3 password s3\n";
        machines.add(Path::new("a.conf"), text).unwrap();
        let keys = |uri: &str| machines.find(&location(uri)).cloned();
        let id = |uri: &str| keys(uri).map(|keys| keys.access_key_id);
        assert_eq!(id("s3://bucket/one/x").as_deref(), Some("k1"));
        assert_eq!(id("s3://bucket/onerous").as_deref(), Some("k2"));
        assert_eq!(
            id("s3://bucket.s3.eu-west-1.amazonaws.com/one/x").as_deref(),
            Some("k1")
        );
        assert_eq!(id("s3://other/x").as_deref(), Some("k3"));
        assert_eq!(id("s3://example.com/x"), None);
        assert_eq!(id("s3://bucket2/x"), None);
    }

    #[test]
    fn an_entry_without_keys_is_an_error() {
        let error = Machines::default()
            .add(
                Path::new("/etc/apt/auth.conf"),
                "\nmachine s3://b login k\n",
            )
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("/etc/apt/auth.conf:2: "), "{error}");
        assert_eq!(
            Machines::default().add(Path::new("x"), "machine ftp://b login k\n"),
            Ok(())
        );
    }
}

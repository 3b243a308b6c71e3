//! The shared AWS configuration: `~/.aws/config` and `~/.aws/credentials`
//! (<https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>).
//!
//! The AWS SDK below [`s3_storage`] reads these files as well, but only when credentials are
//! needed. By then this process has given up root's rights and root's files are out of its reach.
//! So what needs no network is taken from them here: keys, roles, region and endpoint. A profile
//! whose keys come from a program, a sign-on or a token file is left to the SDK.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::environment::Environment;
use crate::files::read_optional;
use crate::uri::{Keys, Secret};

/// All profiles of both files.
#[derive(Debug, Clone, Default)]
pub struct Profiles {
    sections: HashMap<String, HashMap<String, Secret>>,
    /// Files that are there but cannot be read.
    pub unusable: Vec<PathBuf>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Keys, its own or those of the profile that it borrows from.
    pub keys: Option<Keys>,
    /// The ARN of the role to assume with them.
    pub role: Option<String>,
    pub region: Option<String>,
    /// URL of the store: `https://s3.example.com`.
    pub endpoint: Option<String>,
    /// Its keys are not in it: they come from what it names.
    pub needs_its_files: bool,
}

impl Profiles {
    /// Reads both files, where the environment says that they are.
    pub fn read(environment: &Environment) -> Self {
        let mut profiles = Self::default();
        let home = environment.get("HOME").map(PathBuf::from);
        for (variable, name) in [
            ("AWS_CONFIG_FILE", "config"),
            ("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        ] {
            let path = environment
                .get(variable)
                .map(PathBuf::from)
                .or_else(|| Some(home.as_ref()?.join(".aws").join(name)));
            let Some(path) = path else { continue };
            match read_optional(&path) {
                Ok(Some(text)) => profiles.add(&text, name == "config"),
                Ok(None) => {}
                Err(_) => profiles.unusable.push(path),
            }
        }
        profiles
    }

    /// Whether any profile has its keys from a program.
    pub fn name_a_program(&self) -> bool {
        let mut sections = self.sections.values();
        sections.any(|section| section.contains_key("credential_process"))
    }

    /// Adds a file's sections. In `config` a profile is `[profile name]`, except for `[default]`.
    fn add(&mut self, text: &str, is_config: bool) {
        let mut section: Option<String> = None;
        for line in text.lines() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            if let Some(inside) = trimmed.strip_prefix('[') {
                let title = inside.split(']').next().unwrap_or_default().trim();
                let name = match title.strip_prefix("profile") {
                    Some(rest) if is_config && rest.starts_with(char::is_whitespace) => {
                        Some(rest.trim())
                    }
                    _ if is_config => Some(title).filter(|title| *title == "default"),
                    _ => Some(title),
                };
                section = name.map(str::to_owned);
            } else if let (Some(section), Some((name, value)), false) = (
                &section,
                trimmed.split_once('='),
                line.starts_with([' ', '\t']),
            ) {
                let entry = self.sections.entry(section.clone()).or_default();
                entry.insert(
                    name.trim().to_ascii_lowercase(),
                    Secret(value.trim().to_owned()),
                );
            }
        }
    }

    /// A profile, with the keys of the one that it borrows them from.
    pub fn resolve(&self, name: &str) -> Option<Profile> {
        let section = self.sections.get(name)?;
        let get = |key: &str| {
            let value = section.get(key).map(|value| value.0.clone());
            value.filter(|value| !value.is_empty())
        };
        let source = get("source_profile").filter(|source| *source != name);
        let role = get("role_arn");
        let keys = match (&role, &source) {
            (Some(_), Some(source)) => self.keys(source),
            // With credential_source the keys come from the environment or from metadata, which
            // s3-storage asks.
            (Some(_), None) if get("credential_source").is_some() => None,
            _ => self.keys(name),
        };
        let named = [
            "credential_process",
            "sso_session",
            "sso_start_url",
            "web_identity_token_file",
        ];
        let from_files = named.iter().any(|key| get(key).is_some()) || source.is_some();
        // A role goes with keys that were found here, or with those of the metadata. Otherwise the
        // whole profile is s3-storage's to read.
        let usable = keys.is_some() || get("credential_source").is_some();
        Some(Profile {
            needs_its_files: keys.is_none() && from_files,
            keys,
            role: role.filter(|_| usable),
            region: get("region"),
            endpoint: get("endpoint_url"),
        })
    }

    fn keys(&self, name: &str) -> Option<Keys> {
        let section = self.sections.get(name)?;
        let get = |key: &str| {
            section
                .get(key)
                .filter(|value| !value.0.is_empty())
                .cloned()
        };
        Some(Keys {
            id: get("aws_access_key_id")?.0,
            secret: get("aws_secret_access_key")?,
            token: get("aws_session_token"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles(config: &str, credentials: &str) -> Profiles {
        let mut profiles = Profiles::default();
        profiles.add(config, true);
        profiles.add(credentials, false);
        profiles
    }

    const KEYS: &str = "[default]\naws_access_key_id = a\naws_secret_access_key = s\n\
                        [base] ; comment\naws_access_key_id=b\naws_secret_access_key=s\n\
                        aws_session_token = t\n";

    #[test]
    fn both_files_speak_of_one_profile() {
        let profile = profiles("[default]\nregion = r\n[base]\nregion = ignored\n", KEYS)
            .resolve("default")
            .unwrap();
        assert_eq!(profile.keys.unwrap().id, "a");
        assert_eq!(profile.region.as_deref(), Some("r"));
        let base = profiles("[profile  base]\nregion = q\n", KEYS)
            .resolve("base")
            .unwrap();
        assert_eq!(base.keys.unwrap().token, Some(Secret("t".into())));
        assert_eq!(base.region.as_deref(), Some("q"));
        assert!(profiles("", KEYS).resolve("other").is_none());
    }

    #[test]
    fn a_role_goes_with_the_keys_that_it_names() {
        let config = "[profile borrowed]\nrole_arn = arn:x\nsource_profile = base\n\
                      [profile instance]\nrole_arn = arn:y\ncredential_source = Ec2InstanceMetadata\n\
                      [profile chained]\nrole_arn = arn:z\nsource_profile = instance\n";
        let profiles = profiles(config, KEYS);
        let borrowed = profiles.resolve("borrowed").unwrap();
        assert_eq!(
            (borrowed.keys.unwrap().id.as_str(), borrowed.role.as_deref()),
            ("b", Some("arn:x"))
        );
        let instance = profiles.resolve("instance").unwrap();
        assert_eq!(
            (instance.keys, instance.role.as_deref()),
            (None, Some("arn:y"))
        );
        let chained = profiles.resolve("chained").unwrap();
        assert!(chained.needs_its_files && chained.role.is_none());
    }
}

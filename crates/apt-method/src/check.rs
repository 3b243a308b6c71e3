//! `--check`: for each s3 source what was resolved, and what apt will see of it.
//!
//! apt itself says what its configuration and its sources are (`apt-config`, `apt-get indextargets`); both are asked
//! while this process may still run programs. What is tried then goes through the same code as apt's items.

use std::{
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use jiff::Timestamp;
use nix::unistd::{User, fchown, geteuid};
use s3_storage::{GetOptions, GetReply, LocalClock, Proxy, S3, Storage as _};

use crate::{
    clients::{self, Clients},
    config::Config,
    credentials::Sources,
    failure::{Failure, Reason},
    fetch::Fetcher,
    message::Decoder,
    protocol::{Event, Request},
    sandbox,
    settings::Settings,
    uri,
};

/// The argument that asks for it.
pub const ARGUMENT: &str = "--check";

/// How it is asked for.
pub const USAGE: &str = "\
usage: /usr/lib/apt/methods/s3 --check [-o NAME=VALUE]... [s3://BUCKET[/PREFIX] [SUITE]]

Tries each s3 source of this machine, or the one given, as apt would: as root, so that root's files are read
and then its rights given up. Without an argument, apt starts this program and speaks with it over its input.";

/// The suite that is looked for below an address if none is named and the machine has no source there.
const USUAL_SUITE: &str = "stable";

/// What is to be checked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Options of apt, `NAME=VALUE`.
    options: Vec<String>,
    address: Option<String>,
    suite: Option<String>,
}

impl Wanted {
    /// Takes the arguments behind [`ARGUMENT`]; `None` where they make no sense.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut wanted = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix("-o") {
                Some("") => wanted.options.push(arguments.next()?),
                Some(option) => wanted.options.push(option.to_owned()),
                None if argument.starts_with('-') => return None,
                None if wanted.address.is_none() && argument.starts_with("s3://") => {
                    wanted.address = Some(argument);
                }
                None if wanted.address.is_some() && wanted.suite.is_none() => {
                    wanted.suite = Some(argument);
                }
                None => return None,
            }
        }
        Some(wanted)
    }

    /// apt's configuration, as it would send it.
    ///
    /// # Errors
    /// apt cannot be asked.
    pub fn config(&self) -> Result<Config, String> {
        let mut text = b"601 Configuration\n".to_vec();
        text.extend(self.ask_apt("apt-config", &["dump", "--format", "Config-Item: %F=%V%n"])?);
        text.push(b'\n');
        let mut decoder = Decoder::default();
        decoder.push(&text);
        let mut config = Config::default();
        match decoder.next_message() {
            Some(Ok(message)) => config.merge(&message),
            _ => return Err("the configuration that apt-config prints cannot be read".into()),
        }
        // As of a method that asks for it.
        config.set("Acquire::Send-URI-Encoded", "true");
        Ok(config)
    }

    /// The folders with a `Release` that are to be tried.
    ///
    /// # Errors
    /// apt cannot be asked.
    pub fn suites(&self) -> Result<Vec<String>, String> {
        let address = self
            .address
            .as_deref()
            .map(|address| address.trim_end_matches('/'));
        if let (Some(address), Some(suite)) = (address, &self.suite) {
            return Ok(vec![format!("{address}/dists/{suite}/")]);
        }
        let of_each = [
            "indextargets",
            "--no-release-info",
            "--format",
            "$(BASE_URI)",
        ];
        let printed = self.ask_apt("apt-get", &of_each)?;
        let mut suites: Vec<String> = Vec::new();
        for line in String::from_utf8_lossy(&printed).lines() {
            let is_wanted = match address {
                None => line.starts_with("s3://"),
                Some(address) => line
                    .strip_prefix(address)
                    .is_some_and(|rest| rest.starts_with('/')),
            };
            if is_wanted && !suites.iter().any(|suite| suite == line) {
                suites.push(line.to_owned());
            }
        }
        if let (Some(address), true) = (address, suites.is_empty()) {
            suites.push(format!("{address}/dists/{USUAL_SUITE}/"));
        }
        Ok(suites)
    }

    fn ask_apt(&self, program: &str, arguments: &[&str]) -> Result<Vec<u8>, String> {
        let options = self.options.iter().flat_map(|option| ["-o", option]);
        let output = Command::new(program).args(options).args(arguments).output();
        let output = output.map_err(|error| format!("{program} cannot be run: {error}"))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(format!("{program} fails: {said}"))
    }
}

/// A file for what is fetched, of the user of the sandbox.
///
/// # Errors
/// It cannot be made.
pub fn file(config: &Config) -> io::Result<PathBuf> {
    let (file, path) = nix::unistd::mkstemp(&std::env::temp_dir().join("apt-s3-check.XXXXXX"))?;
    if let Some(name) = sandbox::gives_up_rights(config)
        && let Some(user) = User::from_name(name)?
    {
        fchown(file, Some(user.uid), Some(user.gid))?;
    }
    Ok(path)
}

/// Tries `suites` and says to `out` what comes of it. Whether all is well.
///
/// # Errors
/// Those of `out`.
pub async fn run(
    sources: &Arc<Sources>,
    suites: &[String],
    file: &Path,
    mut out: impl io::Write,
) -> io::Result<bool> {
    if suites.is_empty() {
        writeln!(
            out,
            "This machine has no source whose address begins with s3://."
        )?;
        return Ok(false);
    }
    let fetcher = Fetcher::new(Arc::clone(sources));
    let mut is_well = true;
    for suite in suites {
        let (report, good) = check(sources, &fetcher, suite, file).await;
        out.write_all(report.as_bytes())?;
        is_well &= good;
        std::fs::write(file, [])?;
    }
    std::fs::remove_file(file)?;
    Ok(is_well)
}

async fn check(
    sources: &Arc<Sources>,
    fetcher: &Fetcher,
    suite: &str,
    file: &Path,
) -> (String, bool) {
    let address = format!("{suite}InRelease");
    let resolved = uri::parse(address.as_bytes(), true, |host| sources.is_store(host))
        .map_err(|error| error.to_string())
        .and_then(|location| Ok((sources.settings(&location)?, location)));
    let (settings, location) = match resolved {
        Ok(resolved) => resolved,
        // An address that cannot be read may hold keys.
        Err(error) => return (format!("an s3 source\n  apt          {error}\n"), false),
    };
    let mut report = format!("{}\n", location.to_string().trim_end_matches("InRelease"));
    let mut say = |name: &str, what: &str| {
        let _ = writeln!(report, "  {name:<12} {what}");
    };
    let (proxy, by) = clients::proxy(sources, &location, &settings, None);
    say("rights", &rights(sources.config()));
    say("proxy", &shown(&proxy, &by));
    let by = |says: fn(&Settings) -> bool| {
        let places = sources.places(&location).into_iter().flatten();
        let mut places = places.filter(|(_, said)| says(said));
        places
            .next()
            .map(|(place, _)| format!(" ({place})"))
            .unwrap_or_default()
    };
    let client = Clients::default().get(sources, &location, settings, None);
    let bucket = match client {
        Ok(client) => client.bucket().await.map_err(|error| error.in_full()),
        Err(error) => Err(error),
    };
    if let Ok(bucket) = &bucket {
        // Its answer shows region and time, even if it is a refusal.
        let date = match bucket.get(&location.key, GetOptions::default()).await {
            Ok(GetReply::Found(object)) => object.meta.date,
            Ok(GetReply::NotModified { date }) => date,
            Err(error) => error.date(),
        };
        let now = Timestamp::try_from(LocalClock::default().now()).ok();
        let endpoint = bucket.endpoint().unwrap_or("AWS");
        say(
            "endpoint",
            &format!("{endpoint}{}", by(|said| said.endpoint.is_some())),
        );
        let region = bucket.regions().await;
        say(
            "region",
            &region_of(&region, &by(|said| said.region.is_some())),
        );
        let keys_by =
            by(|said| said.id.is_some() || said.names_a_device() || said.profile.is_some());
        say("credentials", &credentials(bucket, &keys_by).await);
        say("clock", &clock(date.zip(now)));
    }
    let (said, good) = match fetch(fetcher, suite, file).await {
        Ok(said) => (said, true),
        Err(failure) => (failure.message, false),
    };
    say("apt", &said);
    (report, good)
}

/// Fetches what apt fetches first.
async fn fetch(fetcher: &Fetcher, suite: &str, file: &Path) -> Result<String, Failure> {
    let mut missing = None;
    for name in ["InRelease", "Release"] {
        let request = Request {
            uri: format!("{suite}{name}").into_bytes(),
            filename: file.to_owned(),
            last_modified: None,
            expected: Default::default(),
            maximum_size: Some(64 << 20),
            proxy: None,
        };
        match fetcher.fetch(&request, &|_| {}).await {
            Event::Failed(failure) if failure.reason == Reason::Http(404) => {
                missing.get_or_insert(failure);
            }
            Event::Failed(failure) => return Err(failure),
            _ => {
                let size = std::fs::metadata(file).map_or(0, |file| file.len());
                return Ok(format!("ok: {name} can be read ({size} bytes)"));
            }
        }
    }
    Err(missing.unwrap_or_else(|| Failure::configuration("there is nothing to read")))
}

/// With whose rights this process works.
fn rights(config: &Config) -> String {
    let name = User::from_uid(geteuid())
        .ok()
        .flatten()
        .map(|user| user.name);
    let name = name.unwrap_or_else(|| geteuid().to_string());
    match config.get("APT::Sandbox::User") {
        Some(user) if user != name && name != "root" => {
            format!("{name}; under apt, root reads the files with keys, and {user} does the rest")
        }
        _ => name,
    }
}

fn shown(proxy: &Proxy, by: &str) -> String {
    match proxy {
        Proxy::FromEnvironment if by.is_empty() => "none".to_owned(),
        Proxy::FromEnvironment => by.to_owned(),
        Proxy::Direct if by.is_empty() => "none".to_owned(),
        Proxy::Direct => format!("none ({by})"),
        Proxy::Url(url) => {
            let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            format!("{scheme}://{} ({by})", host.trim_end_matches('/'))
        }
    }
}

fn region_of((configured, found): &(String, String), by: &str) -> String {
    if configured == found {
        format!("{found}{by}")
    } else {
        format!(
            "{found}, as the store says, and not {configured}{by}: set Acquire::s3::Region to save a request"
        )
    }
}

/// Which key signs, and where it comes from.
async fn credentials(bucket: &S3, by: &str) -> String {
    let keys = match bucket.keys().await {
        Ok(keys) => keys,
        Err(error) => return format!("none{by}: {error}"),
    };
    let expires = keys.expires.and_then(|time| Timestamp::try_from(time).ok());
    let expires = expires
        .map(|time| format!(", until {time:.0}"))
        .unwrap_or_default();
    format!("{} from {}{by}{expires}", keys.access_key_id, keys.source)
}

/// How far this machine's clock is from the store's, of both of which this is the time.
fn clock(times: Option<(Timestamp, Timestamp)>) -> String {
    let Some((store, own)) = times else {
        return "no answer had a date".to_owned();
    };
    let seconds = store.duration_since(own).as_secs();
    match seconds.unsigned_abs() {
        0..=60 => "within a minute of the store's".to_owned(),
        off if seconds > 0 => {
            format!("{off} s behind the store's: apt may refuse what was just published")
        }
        off => format!("{off} s ahead of the store's"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Option<Wanted> {
        Wanted::parse(arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn arguments_are_those_of_apt() {
        let wanted = parse(&["-o", "A=b", "s3://b/p", "stable", "-oC=d"]).unwrap();
        assert_eq!(wanted.options, ["A=b", "C=d"]);
        assert_eq!(wanted.suites().unwrap(), ["s3://b/p/dists/stable/"]);
        assert_eq!(parse(&[]), Some(Wanted::default()));
        for wrong in [
            &["-o"][..],
            &["--verbose"],
            &["https://b"],
            &["s3://b", "s", "t"],
        ] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_proxys_password_is_not_shown() {
        let proxy = Proxy::Url("http://user:hunter2@proxy:3128/".into());
        assert_eq!(
            shown(&proxy, "Acquire::s3::Proxy"),
            "http://proxy:3128 (Acquire::s3::Proxy)"
        );
    }
}

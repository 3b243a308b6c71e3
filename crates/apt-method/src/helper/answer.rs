//! One request for credentials and its answer, as messages of the same form as apt's.

use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process, thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_access::{
    Access, Config, ConnectProblem, CredentialError, CredentialProblem, Keys, Proxy, causes,
};

use crate::{
    message::{Decoder, Message},
    settings::Settings,
};

/// The argument that makes this program answer one request.
pub const ARGUMENT: &str = "--credentials-once";

/// How much memory the process may have, in kB: what a program writes is gathered there.
const MAX_MEMORY: u64 = 256 << 10;

/// Each problem and its name in a message.
const PROBLEMS: [(CredentialProblem, &str); 10] = {
    use ConnectProblem::{NotValidNow, Other, TimedOut, Unresolved, Untrusted, WrongProtocol};
    use CredentialProblem::{Missing, Refused, Unavailable, Unreachable};
    [
        (Missing, "missing"),
        (Refused, "refused"),
        (Unavailable, "unavailable"),
        (Unreachable(ConnectProblem::Refused), "connection-refused"),
        (Unreachable(TimedOut), "timed-out"),
        (Unreachable(Unresolved), "unresolved"),
        (Unreachable(Untrusted), "untrusted"),
        (Unreachable(NotValidNow), "not-valid-now"),
        (Unreachable(WrongProtocol), "wrong-protocol"),
        (Unreachable(Other), "unreachable"),
    ]
};

/// A request for the keys that `settings` lead to.
pub(super) fn request(settings: &Settings, ca_file: Option<&Path>, proxy: &Proxy) -> Message {
    let proxy = match proxy {
        Proxy::FromEnvironment => "",
        Proxy::Direct => "DIRECT",
        Proxy::Url(url) => url,
    };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let flag = |value: Option<bool>| value.map_or_else(String::new, |value| value.to_string());
    let ca_file = ca_file.map(|path| path.as_os_str().as_bytes());
    Message::new(600, "Keys")
        .with("Profile", text(&settings.profile))
        .with("Region", text(&settings.region))
        .with("Use-Fips", flag(settings.use_fips))
        .with("Use-Dualstack", flag(settings.use_dualstack))
        .with("Metadata-Disabled", flag(settings.metadata_disabled))
        .with_raw("CA-File", ca_file.unwrap_or_default())
        .with("Proxy", proxy)
}

/// Reads a request from `input`, asks the sources of this machine and writes the answer to `output`.
///
/// # Errors
/// There is no request, or the answer cannot be written.
pub fn once(input: impl Read, mut output: impl Write) -> std::io::Result<()> {
    let mut decoder = Decoder::default();
    let mut text = Vec::new();
    input.take(64 << 10).read_to_end(&mut text)?;
    decoder.push(&text);
    let Some(Ok(request)) = decoder.next_message() else {
        return Err(std::io::ErrorKind::InvalidData.into());
    };
    thread::spawn(watch_memory);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answer = of(&runtime.block_on(keys(&request)));
    output.write_all(&answer.to_bytes())?;
    output.flush()
}

/// Ends this process where it grows beyond bounds.
fn watch_memory() {
    let resident = || {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    };
    while resident().is_none_or(|kilobytes| kilobytes < MAX_MEMORY) {
        thread::sleep(Duration::from_millis(20));
    }
    process::exit(1);
}

/// Asks the sources of this machine.
async fn keys(request: &Message) -> Result<Keys, CredentialError> {
    let field = |name| request.get(name).filter(|value| !value.is_empty());
    let flag = |name| field(name)?.parse().ok();
    let ca_file = request.get_raw("CA-File").filter(|path| !path.is_empty());
    let config = Config {
        profile: field("Profile"),
        region: field("Region"),
        use_fips: flag("Use-Fips"),
        use_dualstack: flag("Use-Dualstack"),
        metadata_disabled: flag("Metadata-Disabled"),
        ca_bundle: ca_file.map(|path| PathBuf::from(OsStr::from_bytes(path)).into()),
        proxy: match field("Proxy").as_deref() {
            None => Proxy::FromEnvironment,
            Some("DIRECT") => Proxy::Direct,
            Some(url) => Proxy::Url(url.to_owned()),
        },
        app_name: Some(crate::APP_NAME.to_owned()),
        ..Config::default()
    };
    let access = Access::prepare(&config, "STS").await.map_err(|error| {
        CredentialError::new(CredentialProblem::Refused, error.to_string()).with_source(error)
    })?;
    access.keys().await
}

/// The message for what came out.
pub(super) fn of(result: &Result<Keys, CredentialError>) -> Message {
    match result {
        Ok(keys) => {
            let expires = keys
                .expires
                .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            Message::new(201, "Keys")
                .with("Source", &keys.source)
                .with("Access-Key-Id", &keys.access_key_id)
                .with("Secret-Access-Key", &keys.secret_access_key)
                .with(
                    "Session-Token",
                    keys.session_token.as_deref().unwrap_or_default(),
                )
                .with(
                    "Expires",
                    expires.map_or_else(String::new, |time| time.as_secs().to_string()),
                )
        }
        Err(error) => {
            let problem = PROBLEMS
                .iter()
                .find(|(problem, _)| *problem == error.problem());
            let causes = causes(error);
            let said = error.to_string();
            let said = if causes.is_empty() {
                said
            } else {
                format!("{said}: {causes}")
            };
            Message::new(400, "Failed")
                .with("Problem", problem.map_or("refused", |(_, name)| name))
                .with("Message", said)
        }
    }
}

/// What a message says.
///
/// # Errors
/// That there are no keys, as the other side has it.
pub(super) fn keys_of(message: &Message) -> Result<Keys, CredentialError> {
    let field = |name| message.get(name).unwrap_or_default();
    if message.code != 201 {
        let problem = PROBLEMS.iter().find(|(_, name)| *name == field("Problem"));
        let problem = problem.map_or(CredentialProblem::Refused, |(problem, _)| *problem);
        return Err(CredentialError::new(problem, field("Message")));
    }
    let expires = field("Expires").parse().ok().map(Duration::from_secs);
    Ok(Keys {
        source: field("Source"),
        access_key_id: field("Access-Key-Id"),
        secret_access_key: field("Secret-Access-Key"),
        session_token: message
            .get("Session-Token")
            .filter(|token| !token.is_empty()),
        expires: expires.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_mean_the_same() {
        let keys = Keys {
            source: "profile".into(),
            access_key_id: "ASIA".into(),
            secret_access_key: "a/b+c=".into(),
            session_token: Some("token".into()),
            expires: Some(UNIX_EPOCH + Duration::from_secs(1_800_000_000)),
        };
        let there_and_back = |keys: &Keys| keys_of(&of(&Ok(keys.clone()))).unwrap() == *keys;
        assert!(there_and_back(&keys));
        assert!(there_and_back(&Keys {
            session_token: None,
            expires: None,
            ..keys
        }));
        for (problem, name) in PROBLEMS {
            let message = of(&Err(CredentialError::new(problem, "why")));
            assert_eq!(message.get("Problem").as_deref(), Some(name));
            let error = keys_of(&message).unwrap_err();
            assert_eq!(
                (error.problem(), error.to_string()),
                (problem, "why".to_owned())
            );
        }
    }
}

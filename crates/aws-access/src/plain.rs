//! Values that become part of a request's head. What the environment or a file adds at their ends, often a newline, is dropped; what
//! is within them and would end the line, or the program, is refused. None of them is shown, since most are secrets.

use crate::{CredentialError, CredentialProblem, Keys};

/// Keys as a request can carry them.
pub(crate) fn keys(keys: Keys) -> Result<Keys, CredentialError> {
    let clean = |what: &str, value: String, is_allowed: fn(char) -> bool| {
        let trimmed = value.trim();
        if trimmed.is_empty() || !trimmed.chars().all(is_allowed) {
            let message = format!(
                "the {what} is empty or has white space, control or other characters that no such value has"
            );
            return Err(CredentialError::new(CredentialProblem::Refused, message));
        }
        Ok(trimmed.to_owned())
    };
    let token = keys.session_token.filter(|token| !token.trim().is_empty());
    Ok(Keys {
        access_key_id: clean("access key's identifier", keys.access_key_id, |c| {
            c.is_ascii_graphic()
        })?,
        // It never leaves the machine: a store of one's own may have any.
        secret_access_key: clean("secret access key", keys.secret_access_key, |c| {
            !c.is_control() && !c.is_whitespace()
        })?,
        session_token: token
            .map(|token| clean("session token", token, |c| c.is_ascii_graphic()))
            .transpose()?,
        expires: keys.expires,
    })
}

/// The name of a region; `None` if it is none.
pub(crate) fn region(name: &str) -> Option<String> {
    let name = name.trim();
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    (!name.is_empty() && name.chars().all(is_allowed)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_trimmed_and_the_rest_is_refused_unseen() {
        let make = |id: &str, secret: &str, token: Option<&str>| Keys {
            access_key_id: id.to_owned(),
            secret_access_key: secret.to_owned(),
            session_token: token.map(ToOwned::to_owned),
            expires: None,
        };
        let good = make("AKIA", "sec/ret+", Some("token=="));
        assert_eq!(
            keys(make(" AKIA\n", "sec/ret+\r\n", Some("\ttoken==\n"))).unwrap(),
            good
        );
        assert_eq!(
            keys(make("AKIA", "sécret", Some(" ")))
                .unwrap()
                .session_token,
            None
        );
        for bad in [
            "HUNTER\nX: y",
            "HUN TER",
            "HUNTER\0",
            "HUN\tTER",
            "HUNTER\r\n2",
            "HUN\u{85}TER",
        ] {
            for keys_of in [
                make(bad, "s", None),
                make("a", bad, None),
                make("a", "s", Some(bad)),
            ] {
                let error = keys(keys_of).unwrap_err();
                assert_eq!(error.problem(), CredentialProblem::Refused);
                assert!(!error.to_string().contains("HUN"), "{error}");
            }
        }
        assert!(keys(make("", "s", None)).is_err() && keys(make("ключ", "s", None)).is_err());
    }

    #[test]
    fn a_region_is_a_name() {
        assert_eq!(region("eu-west-1\n").as_deref(), Some("eu-west-1"));
        assert_eq!(region("Region_1").as_deref(), Some("Region_1"));
        for bad in ["", " ", "eu\nwest", "eu west", "a/b", "a@b", "é"] {
            assert_eq!(region(bad), None, "{bad:?}");
        }
    }
}

//! The URL of a service as a person writes it.

use std::net::Ipv6Addr;

use crate::ConfigError;

/// A value for a message, unless it is so strange that it may be a secret.
fn shown(value: &str) -> String {
    let is_plain = value.len() < 100 && value.chars().all(|c| c.is_ascii_graphic());
    if is_plain {
        format!("\"{value}\"")
    } else {
        "that is given".to_owned()
    }
}

/// An endpoint as a URL without a slash at its end.
pub(crate) fn check_endpoint(endpoint: &str) -> Result<String, ConfigError> {
    let endpoint = endpoint.trim().trim_end_matches('/');
    let with_scheme = if endpoint.contains("://") {
        endpoint.to_owned()
    } else {
        format!("https://{endpoint}")
    };
    let rest = with_scheme
        .strip_prefix("https://")
        .or_else(|| with_scheme.strip_prefix("http://"));
    let Some(rest) = rest else {
        return Err(ConfigError::new(format!(
            "the endpoint {} is neither http nor https",
            shown(endpoint)
        )));
    };
    let authority = rest.split('/').next().unwrap_or_default();
    // User and password in a URL would end in logs: not repeated either.
    if rest.contains('@') {
        return Err(ConfigError::new(
            "the endpoint holds a user name: credentials do not belong into a URL",
        ));
    }
    let port_is_sound = match authority.rsplit_once(':') {
        Some((_, port)) if !authority.ends_with(']') => port.parse::<u16>().is_ok(),
        _ => true,
    };
    let brackets_are_sound = authority.strip_prefix('[').is_none_or(|rest| {
        rest.split_once(']')
            .is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok())
    });
    if authority.is_empty()
        || !port_is_sound
        || rest
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || "?#\\\"<>".contains(c))
        || !brackets_are_sound
    {
        return Err(ConfigError::new(format!(
            "the endpoint {} is not a URL",
            shown(endpoint)
        )));
    }
    Ok(with_scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_without_a_scheme_is_https() {
        assert_eq!(
            check_endpoint("minio.example:9000/").unwrap(),
            "https://minio.example:9000"
        );
        assert_eq!(
            check_endpoint("http://127.0.0.1:9000").unwrap(),
            "http://127.0.0.1:9000"
        );
        assert_eq!(
            check_endpoint("http://[::1]:9000/base").unwrap(),
            "http://[::1]:9000/base"
        );
        for bad in [
            "",
            "ftp://host",
            "http://",
            "http://host:port",
            "http://host:99999",
            "http://host/?x",
            "http://a b",
            "https://[arn:aws:s3:us-east-1:123456789012]",
            "http://[::1",
        ] {
            assert!(check_endpoint(bad).is_err(), "{bad:?}");
        }
        let error = check_endpoint("http://me:hunter2@host").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

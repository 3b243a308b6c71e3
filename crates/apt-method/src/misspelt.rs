//! Items of apt's configuration that were most likely meant for this method, and that nothing reads.

use crate::{
    config::Config,
    settings::{IOT, NAMES},
};

/// What stands beside the settings below `Acquire::s3`: items that hold for all buckets at once.
const FOR_ALL: [&str; 2] = ["AuthConf", "CredentialProcess"];

/// Items that apt reads of every method, or that its http method has under the same names.
const OF_APT: [&str; 6] = [
    "Max-Age",
    "No-Cache",
    "No-Store",
    "Pipeline-Depth",
    "Proxy-Auto-Detect",
    "ProxyAutoDetect",
];

/// The items below `Acquire::s3` that nothing reads, in full: most likely misspelt.
pub fn unknown(config: &Config) -> Vec<String> {
    let is =
        |name: &str, known: &[&str]| known.iter().any(|known| known.eq_ignore_ascii_case(name));
    let is_known = |key: &&str| match key.rsplit_once("::") {
        None => key.is_empty() || is(key, NAMES) || is(key, &FOR_ALL) || is(key, &OF_APT),
        // An entry of a list, a proxy for a host, and what stands below one of those for all.
        Some((above, name)) => {
            let is_iot = above
                .rsplit("::")
                .next()
                .is_some_and(|last| is(last, &[IOT]));
            name.is_empty()
                || is(name, NAMES)
                || is_iot && is(&format!("Iot{name}"), NAMES)
                || is(above, &["Proxy"])
                || is(above, &FOR_ALL)
        }
    };
    let keys = config
        .keys_below("Acquire::s3")
        .filter(|key| !is_known(key));
    let mut keys: Vec<_> = keys.map(|key| format!("Acquire::s3::{key}")).collect();
    keys.sort_unstable();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_item_is_unknown_wherever_it_stands() {
        let mut config = Config::default();
        for key in [
            "Acquire::s3::region",
            "Acquire::S3::Proxy::host.example.org",
            "Acquire::s3::CredentialProcess::User",
            "Acquire::s3::bucket::CAInfo",
            "Acquire::s3::IoT::RoleAlias",
            "Acquire::s3::bucket::iot::thing",
            "Acquire::s3::IotEndpoint",
            "Acquire::s3::No-Cache",
            "Acquire::s3::",
            "Acquire::https::Regoin",
            "Acquire::s3::Regoin",
            "Acquire::s3::my.bucket::Rolle",
            "Acquire::s3::IoT::RoleAllias",
            "Acquire::s3::bucket::RoleAlias",
        ] {
            config.set(key, "x");
        }
        assert_eq!(
            unknown(&config),
            [
                "Acquire::s3::IoT::RoleAllias",
                "Acquire::s3::Regoin",
                "Acquire::s3::bucket::RoleAlias",
                "Acquire::s3::my.bucket::Rolle",
            ]
        );
    }
}

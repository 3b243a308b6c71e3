//! The settings for AWS IoT Core, put together as the device that they describe.

use std::path::Path;

use aws_access::{DevicePart, IotCore, IotDevice};
use s3_storage::PemFile;

use crate::settings::Settings;

/// The device that `settings` describe, if they do; `file` gives a file that one of them names.
///
/// # Errors
/// A setting that is missing or cannot be used, by its name.
pub fn core(
    settings: &Settings,
    file: impl Fn(&Path) -> PemFile,
) -> Result<Option<IotCore>, String> {
    if !settings.names_a_device() {
        return Ok(None);
    }
    let missing =
        |part| move || format!("{} is not set, but others for AWS IoT Core are", name(part));
    let text = |value: &Option<String>, part| value.clone().ok_or_else(missing(part));
    let pem = |path: &Option<_>, part| path.as_deref().map(&file).ok_or_else(missing(part));
    let device = IotDevice {
        endpoint: text(&settings.iot_endpoint, DevicePart::Endpoint)?,
        role_alias: text(&settings.iot_role_alias, DevicePart::RoleAlias)?,
        thing: settings.iot_thing.clone(),
        certificate: pem(&settings.iot_certificate, DevicePart::Certificate)?,
        private_key: pem(&settings.iot_private_key, DevicePart::PrivateKey)?,
        authorities: settings.iot_ca_file.as_deref().map(&file),
    };
    let core = IotCore::new(&device);
    let core = core.map_err(|error| format!("{}: {error}", name(error.part)))?;
    Ok(Some(core))
}

fn name(part: DevicePart) -> &'static str {
    match part {
        DevicePart::Endpoint => "Acquire::s3::IoT::Endpoint (IotEndpoint)",
        DevicePart::RoleAlias => "Acquire::s3::IoT::RoleAlias (IotRoleAlias)",
        DevicePart::Thing => "Acquire::s3::IoT::Thing (IotThing)",
        DevicePart::Certificate => "Acquire::s3::IoT::Certificate (IotCertificate)",
        DevicePart::PrivateKey => "Acquire::s3::IoT::PrivateKey (IotPrivateKey)",
        DevicePart::Authorities => "Acquire::s3::IoT::CAFile (IotCAFile)",
    }
}

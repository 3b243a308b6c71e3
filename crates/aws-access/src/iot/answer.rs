//! What the service's answer means
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html>).

use std::time::SystemTime;

use bytes::Bytes;
use hyper::Response;
use jiff::Timestamp;
use serde_json::Value;

use super::device::IotCore;
use crate::{CredentialError, CredentialProblem, Keys, credentials::is_overload};

/// How much is repeated of what the service says, in characters.
const MAX_WORDS: usize = 200;

/// The keys in an answer, or why there are none.
pub(super) fn keys(core: &IotCore, answer: &Response<Bytes>) -> Result<Keys, CredentialError> {
    let status = answer.status().as_u16();
    let body = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
    let code = answer.headers().get("x-amzn-errortype");
    // After a colon may come the address of its description.
    let code = code.and_then(|code| code.to_str().ok()?.split(':').next());
    if is_overload(status, code) {
        let message = format!("AWS IoT Core cannot answer now ({})", said(status, &body));
        return Err(CredentialError::new(
            CredentialProblem::Unavailable,
            message,
        ));
    }
    let refused = |message| CredentialError::new(CredentialProblem::Refused, message);
    if status != 200 {
        return Err(refused(refusal(core, status, &body)));
    }
    read(&body["credentials"])
        .ok_or_else(|| refused("the answer of AWS IoT Core holds no credentials".to_owned()))
}

/// The keys, as the service writes them.
fn read(credentials: &Value) -> Option<Keys> {
    let text = |name| credentials[name].as_str().map(str::to_owned);
    let expires: Timestamp = credentials["expiration"].as_str()?.parse().ok()?;
    Some(Keys {
        source: "AWS IoT Core".to_owned(),
        access_key_id: text("accessKeyId")?,
        secret_access_key: text("secretAccessKey")?,
        session_token: Some(text("sessionToken")?),
        expires: Some(SystemTime::from(expires)),
    })
}

/// What to look at after a refusal.
fn refusal(core: &IotCore, status: u16, body: &Value) -> String {
    let alias = &core.role_alias;
    let said = said(status, body);
    match status {
        403 => {
            let thing = core.thing.as_ref().map(|thing| {
                format!(", and that it is attached to the thing \"{thing}\", spelled like that")
            });
            format!(
                "AWS IoT Core refuses the device ({said}): check that its certificate is active, that a policy \
 attached to it allows iot:AssumeRoleWithCertificate on the role alias \"{alias}\"{}",
                thing.unwrap_or_default()
            )
        }
        404 => format!(
            "AWS IoT Core knows no role alias \"{alias}\" here ({said}): check its name, and that the endpoint is the \
 one of its account and region that `aws iot describe-endpoint --endpoint-type iot:CredentialProvider` names"
        ),
        400 => format!(
            "AWS IoT Core cannot take on the role of the alias \"{alias}\" ({said}): check that the role exists, trusts \
 credentials.iot.amazonaws.com, and allows sessions as long as the alias asks for"
        ),
        _ => format!("AWS IoT Core refuses the device ({said})"),
    }
}

/// The status and the service's own words.
fn said(status: u16, body: &Value) -> String {
    let words = body["message"].as_str().unwrap_or_default();
    let words: String = words
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_WORDS)
        .collect();
    match words.is_empty() {
        true => format!("status {status}"),
        false => format!("status {status}: {words}"),
    }
}

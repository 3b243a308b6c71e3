//! What to do next where a request to the store failed.

use s3_storage::{ConnectProblem, ErrorKind, Refusable};

use crate::error::Role;

/// What to do about a failed request, where its cause says so.
pub(crate) fn storage_advice(error: &s3_storage::Error, role: Role) -> Option<String> {
    let had = error.had();
    let words = match (error.kind(), error.code().unwrap_or_default()) {
        (_, code) if code.starts_with("KMS.") => {
            "check --sse-kms-key-id and the bucket's default key: it has to be enabled, in the bucket's region, and this \
             identity needs kms:GenerateDataKey and kms:Decrypt on it"
        }
        (_, "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed") => {
            "the bucket is in another region: check --region and --endpoint-url"
        }
        (_, "SignatureDoesNotMatch") => {
            "check the secret access key; if it is right, a proxy in between may change requests"
        }
        (_, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired") => {
            "get new credentials: these have expired"
        }
        (_, "QuotaExceeded" | "XMinioAdminBucketQuotaExceeded" | "XMinioStorageFull") => {
            "make room in the store, or raise its quota"
        }
        (ErrorKind::Unexpected, _) if matches!(error.status(), Some(300..=399)) => {
            "the bucket is elsewhere: check --region and --endpoint-url"
        }
        (ErrorKind::NoSuchBucket, _) => {
            "check --repo (or DEBUCKET_REPO), --region and --endpoint-url; debucket does not create buckets"
        }
        (ErrorKind::PermissionDenied, _) => return Some(rights(had, role)),
        (ErrorKind::BadCredentials, code) if code.is_empty() && error.status().is_none() => {
            return None;
        }
        (ErrorKind::BadCredentials, _) => {
            "check the access key, the secret key and, for temporary credentials, the session token and whether it has \
             expired"
        }
        (ErrorKind::NoCredentials, _) => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, choose a profile with --profile, or run where a role is \
             attached"
        }
        (ErrorKind::ClockSkew, _) => "set this machine's clock (timedatectl set-ntp true)",
        (ErrorKind::Connect(problem), _) => match problem {
            ConnectProblem::Unresolved => "check the host in --endpoint-url, and --region",
            ConnectProblem::Refused => "check the host and port in --endpoint-url, and the proxy",
            ConnectProblem::Untrusted => {
                "install ca-certificates; for a store of your own, give its certificate authority with --ca-bundle"
            }
            ConnectProblem::NotValidNow => {
                "set this machine's clock (timedatectl set-ntp true); if it is right, renew the server's certificate"
            }
            ConnectProblem::WrongProtocol => {
                "check --endpoint-url: http:// or https://, and the port"
            }
            _ => "check --endpoint-url, the network and the proxy; then run the same command again",
        },
        (ErrorKind::Timeout, _) => "check the network; then run the same command again",
        (ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Truncated, _) => {
            "run the same command again later"
        }
        (ErrorKind::LocalFile, _) => {
            "make sure that the file stays as it is while it is sent; then run the same command again"
        }
        (ErrorKind::ChecksumMismatch, _) => "run the same command again",
        (ErrorKind::Unsupported | ErrorKind::Invalid, _) if had.acl || had.encryption => {
            return Some(refused(error.kind(), had));
        }
        (
            ErrorKind::Unexpected | ErrorKind::Invalid | ErrorKind::Unsupported,
            "" | "MethodNotAllowed",
        ) => {
            error.status()?;
            "check that --endpoint-url is that of the S3 API, and not of a console, a website or a proxy"
        }
        _ => return None,
    };
    Some(words.to_owned())
}

/// What to do about a refused request: the least policy, and what the options need beyond it.
pub(crate) fn rights(had: Refusable, role: Role) -> String {
    let mut advice = match role {
        Role::Reader => {
            "`debucket client-config --policy reader` prints the least IAM policy for reading; to tell a missing suite \
             from a forbidden one, s3:ListBucket is needed too"
        }
        Role::Publisher => {
            "`debucket client-config --policy publisher` prints the least IAM policy that is needed"
        }
        Role::Deleter => {
            "`debucket client-config --policy deleter` prints the least IAM policy that is needed"
        }
        Role::Collector => {
            "`debucket client-config --policy collector` prints the least IAM policy that is needed"
        }
    }
    .to_owned();
    for (is_needed, right) in [
        (had.acl, "--acl needs s3:PutObjectAcl, too"),
        (
            had.encryption,
            "--sse aws:kms needs kms:GenerateDataKey and kms:Decrypt on the key, too",
        ),
    ] {
        if is_needed {
            advice.push_str("; ");
            advice.push_str(right);
        }
    }
    advice
}

/// What to do where the store does not know, or dislikes, an option.
fn refused(kind: ErrorKind, had: Refusable) -> String {
    let options = match (had.acl, had.encryption) {
        (true, true) => "--acl and --sse",
        (true, false) => "--acl",
        _ => "--sse",
    };
    if kind == ErrorKind::Unsupported {
        format!("try without {options}: the store may not support it")
    } else {
        format!("check the values of {options}, or try without")
    }
}

//! What a request asks for, read from its line and headers: the operation, the bucket and key, and
//! whose key signed it.
//!
//! For the log and for the proxy's rules, which see also requests that the store refuses, and which
//! may stand in front of another store. Nothing is decided on it.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>

use std::{ops::Range, time::Instant};

use hyper::{HeaderMap, Method, Uri, header, http::request::Parts};

use crate::{
    operation::{self, Operation},
    policy::Context,
    query::{self, Query},
};

/// A request, without any secret: signatures and tokens are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInfo {
    pub method: Method,
    /// Empty where the request is about all buckets.
    pub bucket: String,
    /// Empty where the request is about the bucket.
    pub key: String,
    /// `Unknown` for what the embedded store does not serve.
    pub operation: Operation,
    /// The id of the key that signed it, whether rightly or not.
    pub access_key: Option<String>,
    /// The region that it was signed for.
    pub region: Option<String>,
    /// `Range`, as it was sent.
    pub range: Option<String>,
    /// What conditions of policies can ask about, but for what the server alone knows.
    pub context: Context,
}

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedRequest {
    pub request: RequestInfo,
    /// The reply's HTTP status; 0 where there was none (a fault of the proxy).
    pub status: u16,
    /// From the arrival of the request's head to the departure of the reply's.
    pub time: Range<Instant>,
}

impl RequestInfo {
    /// Reads a request's head. `domain` is the one below which buckets are hosts, if any.
    pub(crate) fn of(parts: &Parts, domain: Option<&str>) -> Self {
        let host = parts
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        let path = query::decode(parts.uri.path());
        let path = path.strip_prefix('/').unwrap_or(&path);
        let hosted = domain
            .and_then(|domain| host.strip_suffix(domain))
            .and_then(|rest| rest.strip_suffix('.'));
        let (bucket, key) = match hosted {
            Some(bucket) => (bucket, path),
            None => path.split_once('/').unwrap_or((path, "")),
        };
        let (access_key, region) = credential(&parts.headers, &parts.uri);
        let operation = Operation::of(parts, bucket, key);
        Self {
            method: parts.method.clone(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            operation,
            access_key,
            region,
            range: parts
                .headers
                .get(header::RANGE)
                .and_then(|range| range.to_str().ok())
                .map(str::to_owned),
            context: Context::of(operation, &parts.headers, Query::of(&parts.uri)),
        }
    }

    /// Whether it may change something in the store.
    pub fn is_write(&self) -> bool {
        [Method::PUT, Method::POST, Method::DELETE].contains(&self.method)
    }

    /// The permissions that it needs from AWS's IAM, but for those of a copy's source and of a
    /// listing after a 404.
    pub fn action(&self) -> &'static str {
        self.operation.action()
    }

    /// The bucket or object that it is about, as policies name it.
    pub fn resource(&self) -> String {
        let key = Some(self.key.as_str()).filter(|key| !key.is_empty());
        match self.bucket.as_str() {
            "" => "*".to_owned(),
            bucket => operation::arn(bucket, key),
        }
    }
}

/// Key id and region of the signature's scope, `id/date/region/s3/aws4_request`.
fn credential(headers: &HeaderMap, uri: &Uri) -> (Option<String>, Option<String>) {
    let header = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let scope = match header {
        Some(value) => value
            .split_once("Credential=")
            .map(|(_, rest)| rest.split(',').next().unwrap_or(rest).to_owned()),
        None => Query::of(uri).get("X-Amz-Credential"),
    };
    let Some(scope) = scope else {
        return (None, None);
    };
    // A key id may have slashes, what follows has none.
    let mut fields = scope.rsplitn(5, '/').skip(2);
    let region = fields.next().map(str::to_owned);
    (fields.nth(1).map(str::to_owned), region)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(method: &str, uri: &str, headers: &[(&str, &str)]) -> RequestInfo {
        let mut request = hyper::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        RequestInfo::of(
            &request.body(()).unwrap().into_parts().0,
            Some("s3.localhost:9000"),
        )
    }

    #[test]
    fn path_style_and_hosts() {
        let found = info("GET", "/bucket/a%2Bb/c%20d", &[("host", "127.0.0.1:9000")]);
        assert_eq!(
            (found.bucket.as_str(), found.key.as_str(), found.operation),
            ("bucket", "a+b/c d", Operation::GetObject)
        );
        let found = info(
            "PUT",
            "/k?partNumber=1&uploadId=x",
            &[("host", "bucket.s3.localhost:9000")],
        );
        assert_eq!(
            (found.bucket.as_str(), found.key.as_str(), found.operation),
            ("bucket", "k", Operation::UploadPart)
        );
        assert_eq!(
            info("GET", "/bucket?list-type=2&prefix=", &[]).operation,
            Operation::ListObjectsV2
        );
        assert_eq!(info("GET", "/", &[]).operation, Operation::ListBuckets);
        assert_eq!(info("PATCH", "/b/k", &[]).operation, Operation::Unknown);
    }

    #[test]
    fn the_signature_s_scope() {
        let found = info(
            "GET",
            "/b/k",
            &[(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKID/20300101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=00",
            )],
        );
        assert_eq!(
            (found.access_key.as_deref(), found.region.as_deref()),
            (Some("AKID"), Some("eu-west-1"))
        );
        let found = info(
            "GET",
            "/b/k?X-Amz-Credential=AKID%2F20300101%2Feu-west-1%2Fs3%2Faws4_request",
            &[],
        );
        assert_eq!(
            (found.access_key.as_deref(), found.region.as_deref()),
            (Some("AKID"), Some("eu-west-1"))
        );
        assert_eq!(info("GET", "/b/k", &[]).access_key, None);
    }
}

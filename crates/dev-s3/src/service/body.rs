//! Bodies on their way in: written as they come, digested, and compared with what the client
//! announced.

use futures::StreamExt as _;
use hyper::StatusCode;
use s3s::{
    S3Error, S3ErrorCode, S3Result, StdError, TrailingHeaders, dto::StreamingBlob, s3_error,
    stream::ByteStream as _,
};

use crate::{
    checksum::{self, Algorithm, Checksums, Digested, Digests},
    content::{Content, Writer},
};

/// What the client says of a body.
#[derive(Debug, Default)]
pub(super) struct Announced {
    pub(super) length: Option<i64>,
    /// `Content-MD5`.
    pub(super) md5: Option<String>,
    pub(super) checksums: Checksums,
    /// The algorithm of a checksum that comes in a trailer, or is wanted.
    pub(super) algorithm: Option<Algorithm>,
    pub(super) trailers: Option<TrailingHeaders>,
}

/// A body that arrived whole and as announced.
pub(super) struct Received {
    pub(super) content: Content,
    pub(super) digested: Digested,
}

pub(super) async fn receive(
    body: Option<StreamingBlob>,
    announced: Announced,
) -> S3Result<Received> {
    let mut algorithms: Vec<Algorithm> = announced
        .checksums
        .algorithms()
        .chain(announced.algorithm)
        .collect();
    if algorithms.is_empty() {
        algorithms.push(Algorithm::Crc64Nvme);
    }
    let mut digests = Digests::new(algorithms);
    let mut writer = Writer::default();
    if let Some(mut body) = body {
        while let Some(piece) = body.next().await {
            let left = body.remaining_length().exact();
            let piece = piece.map_err(|error| refuse(error, left == Some(0)))?;
            digests.update(&piece);
            writer.write(&piece);
        }
    }
    let content = writer.finish();
    if announced
        .length
        .is_some_and(|length| u64::try_from(length) != Ok(content.length()))
    {
        return Err(incomplete());
    }
    let digested = digests.finish();
    if let Some(md5) = &announced.md5 {
        checksum::verify_content_md5(md5, digested.md5)?;
    }
    digested.checksums.verify(&announced.checksums)?;
    if let Some(trailers) = announced.trailers {
        let mut checksums = Checksums::default();
        trailers.read(|trailers| {
            for algorithm in Algorithm::ALL {
                if let Some(value) = trailers
                    .get(algorithm.header())
                    .and_then(|value| value.to_str().ok())
                {
                    checksums.set(algorithm, value.to_owned());
                }
            }
        });
        digested.checksums.verify(&checksums)?;
    }
    Ok(Received { content, digested })
}

/// The answer to a body that broke off, or whose digest is wrong: it is compared when no more bytes
/// are to come.
fn refuse(error: StdError, is_whole: bool) -> S3Error {
    let mut refused = if is_whole {
        let message =
            "The provided 'x-amz-content-sha256' header does not match what was computed.";
        let code = S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into());
        let mut mismatch = S3Error::with_message(code, message);
        mismatch.set_status_code(StatusCode::BAD_REQUEST);
        mismatch
    } else {
        incomplete()
    };
    refused.set_source(error);
    refused
}

fn incomplete() -> S3Error {
    s3_error!(
        IncompleteBody,
        "You did not provide the number of bytes specified by the Content-Length HTTP header"
    )
}

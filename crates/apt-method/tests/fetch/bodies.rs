//! Bodies that a store or what stands in its place may send, from a server that answers every request alike.

use std::{
    io::Write as _,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use crate::{
    store::against,
    support::{expect_reason, field, read_request, show},
};

/// Answers each request with this; counts the bytes that it got rid of.
fn server(head: &'static str, body: Vec<u8>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            read_request(&mut stream);
            let _ = stream.write_all(head.as_bytes());
            for piece in body.chunks(64 << 10) {
                if stream.write_all(piece).is_err() {
                    break;
                }
                count.fetch_add(piece.len(), Ordering::Relaxed);
            }
        }
    });
    (endpoint, sent)
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";

#[test]
fn a_body_of_unknown_length_obeys_the_limit() {
    let (endpoint, _) = server(CHUNKED, b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n".to_vec());
    let mut method = against(&endpoint).configured();
    for (limit, reason) in [("11", None), ("10", Some("MaximumSizeExceeded"))] {
        let ask = method.request("s3://bucket/InRelease", "file");
        method.send(&ask.with("Maximum-Size", limit));
        let (started, ended) = method.end_of_item();
        assert_eq!(started.unwrap().get("Size"), None);
        if let Some(reason) = reason {
            expect_reason(&ended, reason);
            assert!(!method.path("file").exists());
        } else {
            assert_eq!(field(&ended, "Size"), "11", "{}", show(&ended));
            assert_eq!(std::fs::read(method.path("file")).unwrap(), b"hello world");
        }
    }
    let (endpoint, _) = server(CHUNKED, b"5\r\nhello\r\n6\r\n wo".to_vec());
    let failed = against(&endpoint)
        .configured()
        .failure("s3://bucket/InRelease", "file");
    assert_eq!(
        field(&failed, "Transient-Failure"),
        "true",
        "{}",
        show(&failed)
    );
}

#[test]
fn an_error_page_is_not_read_to_its_end() {
    let head = "HTTP/1.1 403 Forbidden\r\nContent-Length: 67108864\r\nConnection: close\r\n\r\n";
    let (endpoint, sent) = server(head, vec![b'x'; 64 << 20]);
    let failed = against(&endpoint)
        .configured()
        .failure("s3://bucket/file", "file");
    expect_reason(&failed, "HttpError403");
    assert_eq!(failed.get("Transient-Failure"), None);
    // Buffers of the connection hold some.
    assert!(sent.load(Ordering::Relaxed) < 32 << 20);
}

#[test]
fn content_is_compared_with_the_stores_checksum() {
    // The CRC-32 of "hello world".
    for (checksum, right) in [("DUoRhQ==", true), ("AAAAAA==", false)] {
        let head = format!(
            "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 11\r\nx-amz-checksum-crc32: {checksum}\r\nConnection: close\r\n\r\n"
        );
        let (endpoint, _) = server(head.leak(), b"hello world".to_vec());
        let mut method = against(&endpoint).configured();
        let (_, ended) = method.fetch("s3://bucket/InRelease", "file");
        assert_eq!(ended.code == 201, right, "{}", show(&ended));
        assert!(
            right || field(&ended, "Message").contains("checksum"),
            "{}",
            show(&ended)
        );
    }
}

#[test]
fn another_range_than_was_asked_for_is_not_taken() {
    let head = "HTTP/1.1 206 Partial Content\r\nETag: \"x\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Range: bytes 3-6/7\r\nContent-Length: 4\r\nConnection: close\r\n\r\n";
    let (endpoint, _) = server(head, b"tail".to_vec());
    let mut method = against(&endpoint).configured();
    std::fs::write(method.path("file"), b"he").unwrap();
    let failed = method.failure("s3://bucket/file", "file");
    assert!(
        field(&failed, "Message").contains("another range"),
        "{}",
        show(&failed)
    );
}

#[test]
fn the_rest_of_a_file_is_not_compared_with_the_checksum_of_the_whole() {
    let head = "HTTP/1.1 206 Partial Content\r\nETag: \"x\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Range: bytes 5-10/11\r\nContent-Length: 6\r\nx-amz-checksum-crc32: DUoRhQ==\r\nConnection: close\r\n\r\n";
    let (endpoint, _) = server(head, b" world".to_vec());
    let mut method = against(&endpoint).configured();
    let path = method.path("file");
    std::fs::write(&path, b"hello").unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    file.set_modified(modified).unwrap();
    let (_, ended) = method.fetch("s3://bucket/InRelease", "file");
    assert_eq!(field(&ended, "Resume-Point"), "5", "{}", show(&ended));
    assert_eq!(std::fs::read(path).unwrap(), b"hello world");
}

//! What passes the delaying proxy is late, whole and in order, and waits for nothing else.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use dev_s3::DelayProxy;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const ROUND_TRIP: Duration = Duration::from_millis(100);

/// A server that sends back what it gets.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await.unwrap();
            });
        }
    });
    address
}

async fn ask(stream: &mut TcpStream) {
    stream.write_all(b"?").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'?');
}

/// Ten connections at once, so that one that waited for another would be seen.
#[tokio::test]
async fn every_question_takes_a_round_trip_and_the_first_one_two() {
    let proxy = DelayProxy::start(echo().await, ROUND_TRIP).await.unwrap();
    let started = Instant::now();
    let clients: Vec<_> = (0..10)
        .map(|_| {
            let address = proxy.address();
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                ask(&mut stream).await;
                ask(&mut stream).await;
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let elapsed = started.elapsed();
    assert!(elapsed >= 3 * ROUND_TRIP, "{elapsed:?}");
    // One after the other they would take thirty.
    assert!(elapsed < 25 * ROUND_TRIP, "{elapsed:?}");
}

#[tokio::test]
async fn a_large_transfer_is_whole_and_not_slowed_down() {
    let proxy = DelayProxy::start(echo().await, ROUND_TRIP).await.unwrap();
    let bytes: Vec<u8> = (0..8_000_000_u32).map(|n| (n / 7 % 251) as u8).collect();
    let started = Instant::now();
    let (mut from, mut to) = TcpStream::connect(proxy.address())
        .await
        .unwrap()
        .into_split();
    let sent = bytes.clone();
    let sending = tokio::spawn(async move {
        to.write_all(&sent).await.unwrap();
        to.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    from.read_to_end(&mut received).await.unwrap();
    sending.await.unwrap();
    assert!(received == bytes, "the bytes are others");
    // One round trip for each 64 KiB would be over 12 s.
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_secs(11), "{elapsed:?}");
}

#[tokio::test]
async fn an_upstream_that_is_not_there_closes_the_connection() {
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let proxy = DelayProxy::start(gone, ROUND_TRIP).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
}

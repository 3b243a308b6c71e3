//! A small HTTP service on a free port of the loopback: for what a program asks besides S3, as who it is and for which keys.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context as _, Result};

/// How long it waits for the rest of a request.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Request {
    /// Such as `PUT`.
    pub(crate) method: String,
    /// With what follows a `?`.
    pub(crate) path: String,
    /// Their names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    /// What `Content-Length` announces.
    pub(crate) body: String,
}

impl Request {
    /// The value of the header `name`, in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Status and body of what it answers.
pub(crate) type Answer = (&'static str, String);

/// The service; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Loopback {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Loopback {
    /// Answers each request by `answer`, one after another, and adds `headers` (`Name: value`).
    pub(crate) fn start(
        headers: &'static [&'static str],
        answer: impl Fn(&Request) -> Answer + Send + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let address = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let serving = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                // A caller that went away is no concern of the next one.
                let _ = stream.and_then(|stream| serve(stream, headers, &answer));
            }
        });
        Ok(Self {
            address,
            stopping,
            serving: Some(serving),
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread.
        let _ = TcpStream::connect(self.address);
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

fn serve(
    stream: TcpStream,
    headers: &[&str],
    answer: &impl Fn(&Request) -> Answer,
) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let (status, body) = answer(&read(&mut reader)?);
    let mut stream = reader.into_inner();
    write!(stream, "HTTP/1.1 {status}\r\n")?;
    for header in headers {
        write!(stream, "{header}\r\n")?;
    }
    write!(
        stream,
        "Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Request> {
    let mut request = Request::default();
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    request.method = words.next().unwrap_or_default();
    request.path = words.next().unwrap_or_default();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        request
            .headers
            .push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = request.header("content-length").unwrap_or("0");
    let mut body = vec![0; length.parse().map_err(io::Error::other)?];
    reader.read_exact(&mut body)?;
    request.body = String::from_utf8_lossy(&body).into_owned();
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_arrives_whole_and_is_answered() {
        let service = Loopback::start(&["X-One: 1"], |request| {
            let agent = request.header("x-who").unwrap_or_default();
            let text = format!(
                "{} {} {agent} {}",
                request.method, request.path, request.body
            );
            ("200 OK", text)
        })
        .unwrap();
        let mut stream = TcpStream::connect(service.address).unwrap();
        stream
            .write_all(b"POST /a?b HTTP/1.1\r\nX-Who: me\r\nContent-Length: 2\r\n\r\nhi")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(
            answer,
            "HTTP/1.1 200 OK\r\nX-One: 1\r\nContent-Length: 15\r\nConnection: close\r\n\r\nPOST /a?b me hi"
        );
    }
}

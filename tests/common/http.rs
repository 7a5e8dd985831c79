//! A server on 127.0.0.1 that answers as often as it is told, then stops; and how it may misbehave.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How the files are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// With ranges.
    Good,
    /// The whole file, whatever range is asked for.
    IgnoresRange,
    /// Announces all and closes after so many bytes.
    Truncates(usize),
    NotFound,
}

pub struct Server {
    pub url: String,
    seen: Receiver<Vec<String>>,
}

/// Serves `files` for `requests` requests.
pub fn serve(files: Vec<(&'static str, Vec<u8>)>, manner: Manner, requests: usize) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/sets", listener.local_addr().unwrap());
    let (done, seen) = channel();
    std::thread::spawn(move || {
        let answers = listener.incoming().take(requests).map(|stream| answer(stream.unwrap(), &files, manner));
        // Nobody listens where a test asks for nothing.
        let _ = done.send(answers.collect());
    });
    Server { url, seen }
}

impl Server {
    /// What was asked, one `PATH RANGE` per request; ends when all requests that were announced
    /// have come.
    pub fn requests(self) -> Vec<String> {
        self.seen.recv_timeout(Duration::from_secs(60)).expect("all announced requests come within a minute")
    }
}

fn answer(stream: TcpStream, files: &[(&str, Vec<u8>)], manner: Manner) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let path = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_string();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let range = headers.iter().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(String::from));
    let from = range.as_deref().and_then(|range| range.trim_end_matches('-').parse::<usize>().ok());
    let found = files.iter().find(|(name, _)| path == format!("/sets/{name}")).filter(|_| manner != Manner::NotFound);
    let (head, body) = match (found, from) {
        (None, _) => ("404 Not Found".to_string(), &b""[..]),
        (Some((_, bytes)), Some(from)) if manner != Manner::IgnoresRange => {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            (format!("206 Partial Content\r\nContent-Range: {range}"), &bytes[from..])
        }
        (Some((_, bytes)), _) => ("200 OK".into(), &bytes[..]),
    };
    let sent = if let Manner::Truncates(after) = manner { &body[..after.min(body.len())] } else { body };
    let mut stream = stream;
    // Whoever has gone away has what it wanted.
    let _ = write!(stream, "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(sent);
    format!("{path} {}", range.unwrap_or_default()).trim_end().into()
}

/// An address of this machine at which nobody answers.
pub fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/sets", listener.local_addr().unwrap())
}

//! A bucket on a stand-in S3 server, which can stop at any one request.
//!
//! It speaks as much of S3 as the program asks for, keeps its objects in memory and believes every
//! signature. One request is served at a time, so what is stored at a moment is one state and no mixture.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result, ensure};

/// The name of the only bucket.
const NAME: &str = "vms";
/// A stand-in takes no object that is larger.
const MAX_BODY_BYTES: usize = 512 << 20;
/// Nobody looks at it.
const TIME: &str = "Sat, 21 Nov 2026 00:00:00 GMT";
const ISO_TIME: &str = "2026-11-21T00:00:00Z";

/// A bucket that lives as long as the test.
#[derive(Debug)]
pub struct Bucket {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    /// What was asked: the method and the kind of object, such as `PUT pack`.
    requests: Vec<String>,
    moment: Option<Moment>,
    held: bool,
    /// Rises with each [`Bucket::go_on`]: connections of before are of dead clients.
    age: u64,
}

/// Where to stop.
#[derive(Debug)]
struct Moment {
    request: String,
    /// How many of these requests are still to come before it.
    to_come: usize,
    after: bool,
}

#[derive(Debug)]
struct Request {
    method: String,
    /// Without the bucket; empty for the bucket itself.
    object: String,
    prefix: String,
    range: Option<(usize, usize)>,
    body: Vec<u8>,
}

/// Status, further headers, body.
type Answer = (&'static str, String, Vec<u8>);

impl Bucket {
    /// Starts the server, on a port of its own.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let of_server = Arc::clone(&shared);
        // It ends with the process of the test.
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&of_server);
                thread::spawn(move || shared.serve(connection));
            }
        });
        Ok(Self { address, shared })
    }

    /// The address of a repository in it.
    pub fn url(&self) -> String {
        let endpoint = self.address;
        format!("s3://{NAME}?endpoint=http://{endpoint}&plain-http=yes&region=us-east-1")
    }

    /// Everything that was asked so far, such as `PUT pack`, `LIST open` or `GET config`.
    pub fn requests(&self) -> Vec<String> {
        self.shared.lock().requests.clone()
    }

    /// The names of all objects.
    pub fn names(&self) -> Vec<String> {
        self.shared.lock().objects.keys().cloned().collect()
    }

    /// From now on: stops at the `nth` of these requests, from 1, before or after its effect. Nothing is
    /// answered then, to nobody, until [`Bucket::go_on`].
    pub fn stop_at(&self, request: &str, nth: usize, after: bool) {
        self.shared.lock().moment = Some(Moment {
            request: request.to_owned(),
            to_come: nth - 1,
            after,
        });
    }

    /// True when it has stopped.
    pub fn has_stopped(&self) -> bool {
        self.shared.lock().held
    }

    /// Serves again. What was asked before and not done is never done: who asked is dead.
    pub fn go_on(&self) {
        let mut state = self.shared.lock();
        state.moment = None;
        state.held = false;
        state.age += 1;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves one connection until its client has gone.
    fn serve(&self, connection: TcpStream) {
        let age = self.lock().age;
        let mut reader = BufReader::new(connection);
        while let Ok(Some(request)) = Request::read(&mut reader) {
            let Some((status, headers, body)) = self.answer(&request, age) else {
                return;
            };
            let length = if request.method == "HEAD" {
                String::new()
            } else {
                format!("Content-Length: {}\r\n", body.len())
            };
            let head = format!("HTTP/1.1 {status}\r\n{headers}{length}\r\n");
            let stream = reader.get_mut();
            if stream
                .write_all(&[head.as_bytes(), &body].concat())
                .is_err()
            {
                return;
            }
        }
    }

    /// Nothing for a client that is dead by now.
    fn answer(&self, request: &Request, age: u64) -> Option<Answer> {
        let mut state = self.lock();
        state = self.wait(state);
        if state.age != age {
            return None;
        }
        let kind = request.kind();
        let stops = state.moment.as_mut().and_then(|moment| moment.meets(&kind));
        state.requests.push(kind);
        if stops == Some(false) {
            state.held = true;
            drop(self.wait(state));
            return None;
        }
        let answer = state.apply(request);
        if stops == Some(true) {
            state.held = true;
            drop(self.wait(state));
            return None;
        }
        Some(answer)
    }

    fn wait<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        while state.held {
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        state
    }
}

impl Moment {
    /// Whether to stop before this request, or after it.
    fn meets(&mut self, kind: &str) -> Option<bool> {
        if kind != self.request {
            return None;
        }
        if self.to_come == 0 {
            return Some(self.after);
        }
        self.to_come -= 1;
        None
    }
}

impl State {
    fn apply(&mut self, request: &Request) -> Answer {
        let headers = format!("ETag: \"1\"\r\nLast-Modified: {TIME}\r\n");
        let missing = || ("404 Not Found", String::new(), error("NoSuchKey"));
        match request.method.as_str() {
            "GET" if request.object.is_empty() => {
                let xml = "Content-Type: application/xml\r\n".to_owned();
                ("200 OK", xml, self.list(&request.prefix).into_bytes())
            }
            "PUT" => {
                let name = request.object.clone();
                self.objects.insert(name, request.body.clone());
                ("200 OK", headers, Vec::new())
            }
            "DELETE" => {
                self.objects.remove(&request.object);
                ("204 No Content", String::new(), Vec::new())
            }
            "HEAD" => match self.objects.get(&request.object) {
                Some(bytes) => {
                    let length = format!("{headers}Content-Length: {}\r\n", bytes.len());
                    ("200 OK", length, Vec::new())
                }
                None => ("404 Not Found", String::new(), Vec::new()),
            },
            "GET" => match (self.objects.get(&request.object), request.range) {
                (None, _) => missing(),
                (Some(bytes), None) => ("200 OK", headers, bytes.clone()),
                (Some(bytes), Some((from, to))) => {
                    let to = to.min(bytes.len().saturating_sub(1));
                    match bytes.get(from..=to) {
                        Some(part) => {
                            let range = format!("bytes {from}-{to}/{}", bytes.len());
                            let headers = format!("{headers}Content-Range: {range}\r\n");
                            ("206 Partial Content", headers, part.to_vec())
                        }
                        None => (
                            "416 Range Not Satisfiable",
                            String::new(),
                            error("InvalidRange"),
                        ),
                    }
                }
            },
            _ => (
                "501 Not Implemented",
                String::new(),
                error("NotImplemented"),
            ),
        }
    }

    fn list(&self, prefix: &str) -> String {
        let mut xml = format!("<ListBucketResult><Name>{NAME}</Name>");
        let found = self.objects.iter();
        for (name, bytes) in found.filter(|(name, _)| name.starts_with(prefix)) {
            // Names of a repository have no character that XML would want escaped.
            let _ = write!(
                xml,
                "<Contents><Key>{name}</Key><Size>{}</Size><LastModified>{ISO_TIME}</LastModified></Contents>",
                bytes.len()
            );
        }
        xml + "<IsTruncated>false</IsTruncated></ListBucketResult>"
    }
}

impl Request {
    /// The next request of a connection; none when the client has gone.
    fn read(reader: &mut BufReader<TcpStream>) -> Result<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let target = words.next().context("no target")?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = decoded(path)?;
        let path = path.trim_start_matches('/');
        let (bucket, object) = path.split_once('/').unwrap_or((path, ""));
        ensure!(bucket == NAME, "no bucket {bucket}");
        let prefix = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("prefix="));
        let mut request = Self {
            method,
            object: object.to_owned(),
            prefix: decoded(prefix.unwrap_or_default())?,
            range: None,
            body: Vec::new(),
        };
        let mut length = 0;
        loop {
            let mut header = String::new();
            ensure!(reader.read_line(&mut header)? > 0, "cut");
            let Some((name, value)) = header.trim_end().split_once(':') else {
                break;
            };
            match (name.to_ascii_lowercase().as_str(), value.trim()) {
                ("content-length", value) => length = value.parse()?,
                ("range", value) => {
                    let range = value.strip_prefix("bytes=").context("no bytes")?;
                    let (from, to) = range.split_once('-').context("no range")?;
                    request.range = Some((from.parse()?, to.parse().unwrap_or(usize::MAX)));
                }
                _ => {}
            }
        }
        ensure!(length <= MAX_BODY_BYTES, "a body of {length} bytes");
        request.body.resize(length, 0);
        reader.read_exact(&mut request.body)?;
        Ok(Some(request))
    }

    fn kind(&self) -> String {
        let (method, name) = if self.method == "GET" && self.object.is_empty() {
            ("LIST", &self.prefix)
        } else {
            (self.method.as_str(), &self.object)
        };
        match name.split('/').next() {
            Some(kind) if !kind.is_empty() => format!("{method} {kind}"),
            _ => format!("{method} all"),
        }
    }
}

fn error(code: &str) -> Vec<u8> {
    format!("<Error><Code>{code}</Code></Error>").into_bytes()
}

/// Takes the `%2F` out of a part of a URL.
fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        rest = others;
        bytes.push(match (first, others) {
            (b'%', [high, low, ..]) => {
                rest = &others[2..];
                u8::from_str_radix(std::str::from_utf8(&[*high, *low])?, 16)?
            }
            _ => *first,
        });
    }
    Ok(String::from_utf8(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(bucket: &Bucket, method: &str, target: &str, more: &str) -> String {
        let mut stream = TcpStream::connect(bucket.address).unwrap();
        write!(stream, "{method} /{NAME}{target} HTTP/1.1\r\n{more}").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn objects_are_kept_listed_read_and_removed() {
        let bucket = Bucket::start().unwrap();
        ask(
            &bucket,
            "PUT",
            "/open/a%2Db",
            "Content-Length: 5\r\n\r\nhello",
        );
        assert_eq!(bucket.names(), ["open/a-b"]);
        let listed = ask(&bucket, "GET", "?list-type=2&prefix=open%2F", "\r\n");
        assert!(listed.contains("<Key>open/a-b</Key><Size>5<"), "{listed}");
        let part = ask(&bucket, "GET", "/open/a-b", "Range: bytes=1-2\r\n\r\n");
        assert!(
            part.starts_with("HTTP/1.1 206") && part.ends_with("\r\n\r\nel"),
            "{part}"
        );
        ask(&bucket, "DELETE", "/open/a-b", "\r\n");
        let gone = ask(&bucket, "GET", "/open/a-b", "\r\n");
        assert!(gone.starts_with("HTTP/1.1 404"), "{gone}");
        let kinds = [
            "PUT open",
            "LIST open",
            "GET open",
            "DELETE open",
            "GET open",
        ];
        assert_eq!(bucket.requests(), kinds);
    }

    #[test]
    fn what_is_asked_at_the_moment_is_done_before_it_or_never() {
        let bucket = Bucket::start().unwrap();
        let put = |name: &str| ask(&bucket, "PUT", name, "Content-Length: 1\r\n\r\nx");
        for (after, names) in [(false, vec!["a/1"]), (true, vec!["a/1", "a/2"])] {
            bucket.stop_at("PUT a", 2, after);
            put("/a/1");
            thread::scope(|scope| {
                let second = scope.spawn(|| put("/a/2"));
                while !bucket.has_stopped() {
                    thread::yield_now();
                }
                let third = scope.spawn(|| put("/b/3"));
                bucket.go_on();
                assert_eq!(second.join().unwrap(), "");
                third.join().unwrap();
            });
            let of_a = bucket
                .names()
                .into_iter()
                .filter(|name| name.starts_with('a'));
            assert_eq!(of_a.collect::<Vec<_>>(), names);
        }
    }
}

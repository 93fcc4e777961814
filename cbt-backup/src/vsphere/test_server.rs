//! A tiny HTTPS server for tests: it records what it is sent and answers by script.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connect::{ConnectOptions, PollDelays, RetryPolicy, Timeouts};
use super::thumbprint::{Thumbprint, Thumbprints};
use super::tls::Trust;
use crate::secret::Secret;

pub(super) const PASSWORD: &str = "p&ss<word";

/// One request as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) head: String,
    pub(super) body: String,
}

impl Seen {
    /// The SOAP method, or the path of a GET.
    pub(super) fn method(&self) -> &str {
        let inside = self.body.split_once("<soapenv:Body><");
        match inside {
            Some((_, rest)) => rest.split(' ').next().unwrap(),
            None => self.head.split(' ').nth(1).unwrap(),
        }
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(super) fn operation(&self) -> &str {
        let (_, rest) = self.body.split_once("<soapenv:Body>").unwrap();
        rest.split_once("</soapenv:Body>").unwrap().0
    }
}

/// What to do with one request.
pub(super) enum Reply {
    Full {
        status: u16,
        headers: Vec<String>,
        body: Vec<u8>,
    },
    /// Promise more than is sent, then close.
    Cut { body: Vec<u8>, promised: usize },
    /// Send chunks as long as they are taken.
    Endless,
    /// Send this byte by byte, with this pause in between, and never the end.
    Drip { start: Vec<u8>, pause: Duration },
    /// Never answer.
    Silent,
    /// Answer after a while.
    Late { after: Duration, then: Box<Reply> },
}

impl Reply {
    pub(super) fn xml(status: u16, body: &str) -> Self {
        Self::typed(status, "text/xml; charset=utf-8", body)
    }

    pub(super) fn typed(status: u16, content_type: &str, body: &str) -> Self {
        Self::Full {
            status,
            headers: vec![format!("Content-Type: {content_type}")],
            body: body.as_bytes().to_vec(),
        }
    }

    /// The answer to `method` with this inside.
    pub(super) fn answer(method: &str, inside: &str) -> Self {
        Self::xml(
            200,
            &envelope(&format!(
                "<{method}Response xmlns=\"urn:vim25\">{inside}</{method}Response>"
            )),
        )
    }

    pub(super) fn fault(type_name: &str) -> Self {
        Self::fault_with(type_name, "")
    }

    /// A fault with these fields.
    pub(super) fn fault_with(type_name: &str, fields: &str) -> Self {
        Self::xml(
            500,
            &envelope(&format!(
                "<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring/><detail><{type_name}Fault xmlns=\"urn:vim25\" xsi:type=\"{type_name}\">{fields}</{type_name}Fault></detail></soapenv:Fault>"
            )),
        )
    }

    pub(super) fn with_cookie(mut self, value: &str) -> Self {
        if let Self::Full { headers, .. } = &mut self {
            headers.push(format!(
                "Set-Cookie: vmware_soap_session=\"{value}\"; Path=/; HttpOnly; Secure;"
            ));
        }
        self
    }
}

pub(super) fn envelope(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n<soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    )
}

/// What any vCenter says; `login` numbers the logins for their cookies.
pub(super) fn usual(seen: &Seen, login: usize) -> Reply {
    match seen.method() {
        "/sdk/vimServiceVersions.xml" => Reply::xml(
            200,
            "<namespaces><namespace><name>urn:vim25</name><version>uX</version><priorVersions><version>8.0.2.0</version><version>6.5</version></priorVersions></namespace></namespaces>",
        ),
        "RetrieveServiceContent" => Reply::answer(
            "RetrieveServiceContent",
            "<returnval><rootFolder type=\"Folder\">group-d1</rootFolder><propertyCollector type=\"PropertyCollector\">propertyCollector</propertyCollector><viewManager type=\"ViewManager\">ViewManager</viewManager><searchIndex type=\"SearchIndex\">SearchIndex</searchIndex><taskManager type=\"TaskManager\">TaskManager</taskManager><authorizationManager type=\"AuthorizationManager\">AuthorizationManager</authorizationManager><fileManager type=\"FileManager\">FileManager</fileManager><virtualDiskManager type=\"VirtualDiskManager\">virtualDiskManager</virtualDiskManager><about><name>Test Center</name><apiType>VirtualCenter</apiType><instanceUuid>u-1</instanceUuid></about><sessionManager type=\"SessionManager\">SessionManager</sessionManager></returnval>",
        ),
        "Login" => Reply::answer(
            "Login",
            &format!("<returnval><key>key-{login}</key></returnval>"),
        )
        .with_cookie(&format!("cookie-{login}")),
        "Logout" => Reply::answer("Logout", ""),
        "CurrentTime" => Reply::answer(
            "CurrentTime",
            "<returnval>2026-01-15T09:00:00.104Z</returnval>",
        ),
        // Whoever waits for a task must then ask for it.
        "CreatePropertyCollector" => Reply::fault("MethodNotFound"),
        other => panic!("no script for {other}"),
    }
}

type Script = dyn Fn(&Seen) -> Reply + Send + Sync;

pub(super) struct TestServer {
    port: u16,
    pub(super) certificate: CertificateDer<'static>,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TestServer {
    /// Starts a server with a fresh certificate.
    pub(super) async fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let CertifiedKey { cert, signing_key } = identity();
        Self::start_with(cert.der().clone(), &signing_key, script).await
    }

    /// Starts a server that shows `certificate`, whatever it is.
    pub(super) async fn start_with(
        certificate: CertificateDer<'static>,
        key: &KeyPair,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let key = provider.key_provider.load_private_key(key).unwrap();
        let shown = Arc::new(sign::CertifiedKey::new(vec![certificate.clone()], key));
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Shown(shown)));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let task = tokio::spawn(serve(listener, acceptor, Arc::clone(&seen), script));
        Self {
            port,
            certificate,
            seen,
            task,
        }
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn thumbprints(&self) -> Thumbprints {
        Thumbprints::of(&self.certificate)
    }

    /// All requests so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn count(&self, method: &str) -> usize {
        self.seen().iter().filter(|s| s.method() == method).count()
    }

    /// Options that pin this server, with short waits.
    pub(super) fn options(&self) -> ConnectOptions {
        self.options_with(Trust::Thumbprint(self.thumbprints().sha256))
    }

    pub(super) fn options_pinned(&self, pin: Thumbprint) -> ConnectOptions {
        self.options_with(Trust::Thumbprint(pin))
    }

    pub(super) fn options_with(&self, trust: Trust) -> ConnectOptions {
        let mut options = ConnectOptions::new(
            self.address().parse().unwrap(),
            "backup@vsphere.local".to_owned(),
            Secret::new(PASSWORD.to_owned()),
            trust,
        );
        options.timeouts = Timeouts {
            connect: Duration::from_secs(20),
            total: Duration::from_secs(20),
        };
        options.retry = RetryPolicy {
            attempts: 3,
            first_wait: Duration::from_millis(1),
        };
        options.poll = PollDelays {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(2),
        };
        options
    }
}

pub(super) fn identity() -> CertifiedKey<KeyPair> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    generate_simple_self_signed(names).unwrap()
}

/// Shows a certificate without asking whether it fits anything.
#[derive(Debug)]
struct Shown(Arc<sign::CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<Script>,
) {
    while let Ok((socket, _)) = listener.accept().await {
        let (acceptor, seen, script) = (acceptor.clone(), Arc::clone(&seen), Arc::clone(&script));
        tokio::spawn(async move {
            if let Ok(mut stream) = acceptor.accept(socket).await {
                while let Some(request) = read_request(&mut stream).await {
                    seen.lock().unwrap().push(request.clone());
                    if send(&mut stream, script(&request)).await.is_none() {
                        break;
                    }
                }
            }
        });
    }
}

async fn read_request(stream: &mut TlsStream<TcpStream>) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut seen = Seen {
        head,
        body: String::new(),
    };
    let length = seen
        .header("content-length")
        .map_or(0, |n| n.parse().unwrap());
    while bytes.len() < head_end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    seen.body = String::from_utf8_lossy(&bytes[head_end..]).into_owned();
    Some(seen)
}

/// Sends a reply; nothing if the connection is done with.
async fn send(stream: &mut TlsStream<TcpStream>, reply: Reply) -> Option<()> {
    match reply {
        Reply::Full {
            status,
            headers,
            body,
        } => {
            let headers = headers.join("\r\n");
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} X\r\n{headers}\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.ok()?;
            stream.write_all(&body).await.ok()?;
            stream.flush().await.ok()
        }
        Reply::Cut { body, promised } => {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {promised}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.ok()?;
            stream.write_all(&body).await.ok()?;
            stream.shutdown().await.ok()?;
            None
        }
        Reply::Endless => {
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await.ok()?;
            let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
            loop {
                stream.write_all(chunk.as_bytes()).await.ok()?;
            }
        }
        Reply::Drip { start, pause } => {
            for byte in start.iter().chain(std::iter::repeat(&b' ')) {
                stream.write_all(&[*byte]).await.ok()?;
                stream.flush().await.ok()?;
                tokio::time::sleep(pause).await;
            }
            None
        }
        Reply::Silent => std::future::pending().await,
        Reply::Late { after, then } => {
            tokio::time::sleep(after).await;
            Box::pin(send(stream, *then)).await
        }
    }
}

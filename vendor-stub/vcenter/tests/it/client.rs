//! A small SOAP client: rustls, HTTP/1.1, one connection a call, answers as text.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A fault: its type and its text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) type_name: String,
    pub(crate) text: String,
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Http {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub(crate) struct Client {
    address: SocketAddr,
    config: Arc<ClientConfig>,
    pub(crate) cookie: Option<String>,
    pub(crate) session_key: String,
    /// The version of the API in `SOAPAction`.
    pub(crate) version: String,
    /// Id of the property collector.
    pub(crate) collector: String,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, certificate_pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(certificate_pem.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            address,
            config: Arc::new(config),
            cookie: None,
            session_key: String::new(),
            version: "8.0.2.0".to_owned(),
            collector: "propertyCollector".to_owned(),
        }
    }

    /// Another client of the same session, for a thread of its own.
    pub(crate) fn twin(&self) -> Self {
        Self {
            address: self.address,
            config: Arc::clone(&self.config),
            cookie: self.cookie.clone(),
            session_key: self.session_key.clone(),
            version: self.version.clone(),
            collector: self.collector.clone(),
        }
    }

    /// Sends a call and closes the connection without reading the answer.
    pub(crate) fn hang_up(&self, method: &str, children: &str) {
        let cookie = self.cookie.as_deref().unwrap_or_default();
        let headers = format!("Content-Type: text/xml; charset=utf-8\r\nCookie: {cookie}\r\n");
        self.send("POST", "/sdk", &headers, &envelope(method, children));
    }

    /// One request on a connection of its own.
    pub(crate) fn http(&self, method: &str, path: &str, headers: &str, body: &str) -> Http {
        let mut stream = self.send(method, path, headers, body);
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
            Err(error) => panic!("{error}"),
        }
        parse(&answer)
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        let stream = TcpStream::connect(self.address).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// Posts an envelope as it is.
    pub(crate) fn post(&mut self, envelope: &str, more_headers: &str) -> Http {
        let cookie = match &self.cookie {
            Some(cookie) => format!("Cookie: {cookie}\r\n"),
            None => String::new(),
        };
        let headers = format!(
            "Content-Type: text/xml; charset=utf-8\r\nSOAPAction: \"urn:vim25/{}\"\r\n\
             User-Agent: vcenter-stub test\r\n{cookie}{more_headers}",
            self.version
        );
        let answer = self.http("POST", "/sdk", &headers, envelope);
        if let Some(line) = answer.header("Set-Cookie") {
            self.cookie = line.split(';').next().map(str::to_owned);
        }
        answer
    }

    /// Calls a method; the answer is what stands in the answer element.
    pub(crate) fn call(
        &mut self,
        method: &str,
        this: (&str, &str),
        args: &str,
    ) -> Result<String, Fault> {
        let (type_name, id) = this;
        self.raw(
            method,
            &format!("<_this type=\"{type_name}\">{id}</_this>{args}"),
        )
    }

    /// Calls a method with the children of its element as they are.
    pub(crate) fn raw(&mut self, method: &str, children: &str) -> Result<String, Fault> {
        self.answer_to(method, &envelope(method, children))
    }

    /// Calls a method of the internal namespace.
    pub(crate) fn internal(
        &mut self,
        method: &str,
        this: (&str, &str),
        args: &str,
    ) -> Result<String, Fault> {
        let (type_name, id) = this;
        let children = format!("<_this type=\"{type_name}\">{id}</_this>{args}");
        let text = envelope(method, &children).replace("urn:vim25", "urn:internalvim25");
        self.answer_to(method, &text)
    }

    /// Calls a method that must fail, and returns the whole answer.
    pub(crate) fn fault_body(&mut self, method: &str, this: (&str, &str), args: &str) -> String {
        let (type_name, id) = this;
        let children = format!("<_this type=\"{type_name}\">{id}</_this>{args}");
        let answer = self.post(&envelope(method, &children), "");
        assert_eq!(answer.status, 500, "{}", answer.text());
        answer.text().to_owned()
    }

    fn answer_to(&mut self, method: &str, envelope: &str) -> Result<String, Fault> {
        let answer = self.post(envelope, "");
        let text = answer.text();
        match answer.status {
            200 => {
                let start = format!("<{method}Response xmlns=\"urn:vim25\">");
                Ok(between(text, &start, &format!("</{method}Response>")).to_owned())
            }
            500 => Err(Fault {
                type_name: between(text, "xsi:type=\"", "\"").to_owned(),
                text: between(text, "<faultstring>", "</faultstring>").to_owned(),
            }),
            status => panic!("status {status}: {text}"),
        }
    }

    pub(crate) fn login(&mut self, user: &str, password: &str) -> Result<String, Fault> {
        self.login_at("SessionManager", user, password)
    }

    /// Logs in at an ESXi host.
    pub(crate) fn host_login(&mut self, user: &str, password: &str) -> Result<String, Fault> {
        self.login_at("ha-sessionmgr", user, password)
    }

    fn login_at(&mut self, manager: &str, user: &str, password: &str) -> Result<String, Fault> {
        let args = format!("<userName>{user}</userName><password>{password}</password>");
        let answer = self.call("Login", ("SessionManager", manager), &args)?;
        between(&answer, "<key>", "</key>").clone_into(&mut self.session_key);
        Ok(answer)
    }

    /// Reads properties of one object with RetrievePropertiesEx.
    pub(crate) fn read(&mut self, object: (&str, &str), paths: &[&str]) -> Result<String, Fault> {
        let (type_name, id) = object;
        let paths = paths.join("</pathSet><pathSet>");
        let collector = self.collector.clone();
        self.call(
            "RetrievePropertiesEx",
            ("PropertyCollector", &collector),
            &format!(
                "<specSet><propSet><type>{type_name}</type><all>false</all><pathSet>{paths}</pathSet></propSet>\
                 <objectSet><obj type=\"{type_name}\">{id}</obj><skip>false</skip></objectSet>\
                 </specSet><options></options>"
            ),
        )
    }

    /// Calls a task method and waits for the task; returns its `info`.
    pub(crate) fn task(&mut self, method: &str, this: (&str, &str), args: &str) -> String {
        let answer = self.call(method, this, args).unwrap();
        self.finished(&answer)
    }

    /// Waits for the task in an answer; returns its `info`.
    pub(crate) fn finished(&mut self, answer: &str) -> String {
        let task = between(answer, "type=\"Task\">", "<").to_owned();
        let limit = Instant::now() + Duration::from_secs(30);
        loop {
            let info = self.read(("Task", &task), &["info"]).unwrap();
            if info.contains("<completeTime>") {
                return info;
            }
            assert!(Instant::now() < limit, "{info}");
        }
    }

    /// Makes a snapshot and returns its id.
    pub(crate) fn snapshot(&mut self, vm: &str) -> String {
        let args = "<name>Backup</name><memory>false</memory><quiesce>false</quiesce>";
        let info = self.task("CreateSnapshot_Task", ("VirtualMachine", vm), args);
        let result = "<result type=\"VirtualMachineSnapshot\" xsi:type=\"ManagedObjectReference\">";
        between(&info, result, "<").to_owned()
    }

    pub(crate) fn query(
        &mut self,
        vm: &str,
        snapshot: &str,
        start: u64,
        change_id: &str,
    ) -> Result<Page, Fault> {
        let args = format!(
            "<snapshot type=\"VirtualMachineSnapshot\">{snapshot}</snapshot><deviceKey>2000</deviceKey>\
             <startOffset>{start}</startOffset><changeId>{change_id}</changeId>"
        );
        let answer = self.call("QueryChangedDiskAreas", ("VirtualMachine", vm), &args)?;
        Ok(Page::parse(&answer))
    }
}

/// One answer of QueryChangedDiskAreas.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) start: u64,
    pub(crate) length: u64,
    pub(crate) areas: Vec<(u64, u64)>,
}

impl Page {
    fn parse(answer: &str) -> Self {
        let number = |text: &str, name: &str| -> u64 {
            let text = between(text, &format!("<{name}>"), "<");
            text.parse().unwrap()
        };
        let mut parts = answer.split("<changedArea>");
        let head = parts.next().unwrap();
        Self {
            start: number(head, "startOffset"),
            length: number(head, "length"),
            areas: parts
                .map(|part| (number(part, "start"), number(part, "length")))
                .collect(),
        }
    }
}

pub(crate) fn envelope(method: &str, children: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soapenv:Envelope \
         xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n<soapenv:Body>\
         <{method} xmlns=\"urn:vim25\">{children}</{method}></soapenv:Body>\n</soapenv:Envelope>"
    )
}

/// The text between two marks; panics when they are not there.
pub(crate) fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let Some((_, rest)) = text.split_once(start) else {
        panic!("{start} not in {text}");
    };
    rest.split_once(end).map_or(rest, |(inside, _)| inside)
}

fn parse(answer: &[u8]) -> Http {
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("end of headers");
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Http {
        status: status.parse().unwrap(),
        headers,
        body: answer[end + 4..].to_vec(),
    }
}

//! Files on datastores over HTTPS: NVRAM, configurations, descriptors.

use std::fmt;

use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

use super::address::ServerAddress;
use super::client::Client;
use super::datastore_path::DatastorePath;
use super::envelope::required;
use super::error::Error;
use super::exchange::{Attempts, Effect};
use super::http::{Http, HttpOptions, Span, Upload};
use super::moref::Moref;
use super::operation::Operation;
use super::property::Properties;
use super::proxy::Proxy;
use super::tls::{BelievedLeaf, Trust, client_config};
use super::xml::{Reader, Tag, XmlError};
use crate::secret::Secret;

/// The inventory is not deeper.
const MAX_LEVELS: usize = 64;

/// A file at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatastoreFile {
    /// Where it lies.
    pub path: DatastorePath,
    /// The inventory path of its datacenter, as [`Client::datacenter_path`] tells; none at a
    /// stand-alone host.
    pub datacenter_path: Option<String>,
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilePart {
    /// Where it starts.
    pub start_bytes: u64,
    /// How long it is, at least 1.
    pub length_bytes: u64,
}

/// What a ticket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketMethod {
    /// To fetch the file.
    Get,
    /// To put it.
    Put,
}

impl TicketMethod {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "httpGet",
            Self::Put => "httpPut",
        }
    }
}

/// The right to fetch or put one file at a host, once.
pub struct FileTicket {
    id: Secret,
    /// The host, if the server names it.
    pub host: Option<String>,
    /// SHA-1 of the host's certificate, if the server tells.
    pub thumbprint: Option<String>,
    path: String,
    address: ServerAddress,
}

impl fmt::Debug for FileTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileTicket")
            .field("host", &self.host)
            .field("thumbprint", &self.thumbprint)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// `parent` of any object.
#[derive(Debug, Default)]
pub(super) struct Parent {
    parent: Option<Moref>,
}

impl Properties for Parent {
    fn take(&mut self, path: &str, r: &mut Reader<'_>, value: &Tag) -> Result<(), XmlError> {
        if path == "parent" {
            self.parent = Some(r.moref(value)?);
        }
        Ok(())
    }
}

impl Client {
    /// The datacenter of an object of the inventory, such as a datastore.
    ///
    /// # Errors
    ///
    /// Any failure of the calls. None for an object that is in no datacenter.
    pub async fn datacenter_of(&self, object: &Moref) -> Result<Option<Moref>, Error> {
        let mut place = object.clone();
        for _ in 0..MAX_LEVELS {
            if place.kind == "Datacenter" {
                return Ok(Some(place));
            }
            let read: Parent = self.properties(&place, &["parent"]).await?;
            let Some(parent) = read.parent else { break };
            place = parent;
        }
        Ok(None)
    }

    /// What `dcPath` is for files on `datastore`; none at a stand-alone host.
    ///
    /// # Errors
    ///
    /// Any failure of the calls.
    pub async fn datacenter_path(&self, datastore: &Moref) -> Result<Option<String>, Error> {
        if !self.about().is_vcenter() {
            return Ok(None);
        }
        match self.datacenter_of(datastore).await? {
            Some(datacenter) => Ok(Some(self.folder_path(datacenter).await?)),
            None => Ok(None),
        }
    }

    /// Fetches a file, or a part of one, into memory. A session that has expired is renewed.
    ///
    /// # Errors
    ///
    /// [`Error::FileMissing`], [`Error::FileRefused`], [`Error::FileBusy`] by what the server
    /// says; [`Error::TooLarge`] for more than `limit_bytes`; any failure of the transport.
    pub async fn download_file(
        &self,
        file: &DatastoreFile,
        part: Option<FilePart>,
        limit_bytes: usize,
    ) -> Result<Vec<u8>, Error> {
        let path = file.path.url_path(file.datacenter_path.as_deref());
        let span = part.map(|part| Span {
            start_bytes: part.start_bytes,
            length_bytes: part.length_bytes.max(1),
        });
        let mut attempts = Attempts::new(self, Effect::Read);
        loop {
            attempts.begin()?;
            let session = &self.inner.session;
            let (cookie, generation) = session.cookie();
            let got = self.inner.http.download(&path, cookie, span, limit_bytes);
            let result = match got.await {
                Ok(got) => {
                    session.renew(got.cookie, generation);
                    judge(&file.path, got.status).map(|()| got.body)
                }
                Err(error) => Err(error),
            };
            match result {
                Ok(body) => return Ok(body),
                Err(error) => attempts.after(error).await?,
            }
        }
    }

    /// Puts a file, over one that is there. Putting the same twice does no harm, so it is tried
    /// again as a read is.
    ///
    /// # Errors
    ///
    /// Those of [`Client::download_file`].
    pub async fn upload_file(&self, file: &DatastoreFile, content: &[u8]) -> Result<(), Error> {
        let path = file.path.url_path(file.datacenter_path.as_deref());
        let mut attempts = Attempts::new(self, Effect::Read);
        loop {
            attempts.begin()?;
            let session = &self.inner.session;
            let (cookie, generation) = session.cookie();
            let content = Zeroizing::new(content.to_vec());
            let put = self.inner.http.upload(&path, cookie, content).await;
            let result = put.and_then(|Upload { status, cookie }| {
                session.renew(cookie, generation);
                judge(&file.path, status)
            });
            match result {
                Ok(()) => return Ok(()),
                Err(error) => attempts.after(error).await?,
            }
        }
    }

    /// Asks for the right to fetch or put one file at the host `host` itself, past the vCenter.
    ///
    /// # Errors
    ///
    /// [`Error::BadAddress`] for a host that is none; any failure of the call.
    #[doc(alias = "AcquireGenericServiceTicket")]
    pub async fn file_ticket(
        &self,
        method: TicketMethod,
        host: &str,
        path: &DatastorePath,
    ) -> Result<FileTicket, Error> {
        let address: ServerAddress = host.parse()?;
        let url_path = path.url_path(None);
        let url = format!("https://{}{url_path}", address.url_authority());
        let manager = self.session_manager()?;
        let operation = ticket_operation(manager, method, &url);
        let (id, host, thumbprint) = self.write(&operation, read_ticket).await?;
        Ok(FileTicket {
            id,
            host,
            thumbprint,
            path: url_path,
            address,
        })
    }

    /// Fetches a file from the host that a ticket names. The ticket is used up.
    ///
    /// # Errors
    ///
    /// Those of [`Client::download_file`]; the host is trusted by `trust`, and by nothing else, and reached
    /// as `proxy` says.
    pub async fn download_with_ticket(
        &self,
        ticket: FileTicket,
        trust: &Trust,
        proxy: &Proxy,
        limit_bytes: usize,
    ) -> Result<Vec<u8>, Error> {
        let http = self.host_of_ticket(&ticket, trust, proxy, limit_bytes)?;
        let cookie = ticket_cookie(&ticket.id)?;
        let got = http
            .download(&ticket.path, Some(cookie), None, limit_bytes)
            .await?;
        judge_name(&ticket.path, got.status)?;
        Ok(got.body)
    }

    /// Puts a file at the host that a ticket of [`TicketMethod::Put`] names. The ticket is used up,
    /// so this is tried once.
    ///
    /// # Errors
    ///
    /// Those of [`Client::download_with_ticket`].
    pub async fn upload_with_ticket(
        &self,
        ticket: FileTicket,
        trust: &Trust,
        proxy: &Proxy,
        content: &[u8],
    ) -> Result<(), Error> {
        let http = self.host_of_ticket(&ticket, trust, proxy, 0)?;
        let cookie = ticket_cookie(&ticket.id)?;
        let content = Zeroizing::new(content.to_vec());
        let put = http.upload(&ticket.path, Some(cookie), content).await?;
        judge_name(&ticket.path, put.status)
    }

    /// The way to a ticket's host, for one exchange.
    fn host_of_ticket(
        &self,
        ticket: &FileTicket,
        trust: &Trust,
        proxy: &Proxy,
        max_body_bytes: usize,
    ) -> Result<Http, Error> {
        Http::new(HttpOptions {
            server: &ticket.address,
            tls: client_config(trust, &BelievedLeaf::default())?,
            user_agent: "cbt-backup",
            connect_timeout: self.inner.http.total_timeout(),
            total_timeout: self.inner.http.total_timeout(),
            max_body_bytes,
            proxy,
        })
    }
}

fn ticket_cookie(id: &Secret) -> Result<HeaderValue, Error> {
    let text = Zeroizing::new(format!("vmware_cgi_ticket={}", id.expose()));
    let mut cookie = HeaderValue::from_str(&text).map_err(|_| Error::BadAnswer {
        method: "AcquireGenericServiceTicket",
        what: "a ticket that can't be sent".to_owned(),
    })?;
    cookie.set_sensitive(true);
    Ok(cookie)
}

/// The call; the URL is the host's, and has no `dcPath`.
pub(super) fn ticket_operation(manager: &Moref, method: TicketMethod, url: &str) -> Operation {
    Operation::new("AcquireGenericServiceTicket", manager)
        .open_typed("spec", "SessionManagerHttpServiceRequestSpec")
        .text("method", method.as_str())
        .text("url", url)
        .close("spec")
}

type Ticket = (Secret, Option<String>, Option<String>);

pub(super) fn read_ticket(r: &mut Reader<'_>, response: &Tag) -> Result<Ticket, XmlError> {
    required(r, response, |r, tag| {
        let (mut id, mut host, mut thumbprint) = (None, None, None);
        r.children(tag, |r, tag| {
            match tag.name.as_str() {
                "id" => id = Some(Secret::new(r.text(tag)?)),
                "hostName" => host = Some(r.text(tag)?),
                "sslThumbprint" => thumbprint = Some(r.text(tag)?),
                _ => {}
            }
            Ok(())
        })?;
        let id = id.ok_or(XmlError::Missing {
            element: "id",
            inside: "SessionManagerGenericServiceTicket",
        })?;
        Ok((id, host, thumbprint))
    })
}

fn judge(path: &DatastorePath, status: u16) -> Result<(), Error> {
    judge_name(&path.to_string(), status)
}

fn judge_name(file: &str, status: u16) -> Result<(), Error> {
    let file = file.to_owned();
    Err(match status {
        200 | 201 | 204 | 206 => return Ok(()),
        404 => Error::FileMissing { file },
        401 => Error::FileRefused {
            file,
            is_session_gone: true,
        },
        403 => Error::FileRefused {
            file,
            is_session_gone: false,
        },
        500 | 423 => Error::FileBusy { file },
        status => Error::HttpStatus {
            method: "a file's transfer",
            status,
        },
    })
}

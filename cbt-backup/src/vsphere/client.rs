//! The client: one logged-in session at one server.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::Timestamp;

use super::address::ServerAddress;
use super::connect::{ConnectOptions, PollDelays, RetryPolicy};
use super::envelope::required;
use super::error::Error;
use super::exchange::Patience;
use super::http::{Http, HttpOptions};
use super::moref::Moref;
use super::operation::Operation;
use super::session::{Session, SessionProperties, UserSession};
use super::thumbprint::Thumbprints;
use super::tls::{BelievedLeaf, client_config};
use super::version::{VERSIONS, negotiate};
use super::xml::{Reader, Tag, XmlError, short};
use crate::secret::Secret;

/// What the server says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Short product name.
    pub name: String,
    /// Product name with version and build.
    pub full_name: String,
    /// Product version.
    pub version: String,
    /// Build number.
    pub build: String,
    /// `VirtualCenter` or `HostAgent`.
    pub api_type: String,
    /// The newest API version it names; what is spoken is [`Client::api_version`].
    pub api_version: String,
    /// Identity of a vCenter; a stand-alone host has none.
    pub instance_uuid: Option<String>,
}

impl About {
    /// True for a vCenter, false for a stand-alone host.
    pub fn is_vcenter(&self) -> bool {
        self.api_type == "VirtualCenter"
    }
}

/// The objects every other call starts from.
#[derive(Debug)]
pub(super) struct ServiceContent {
    pub(super) root_folder: Moref,
    pub(super) property_collector: Moref,
    /// Without it, the inventory is walked.
    pub(super) view_manager: Option<Moref>,
    /// Without it, only a session that exists already is of use.
    pub(super) session_manager: Option<Moref>,
    /// A stand-alone host has none.
    pub(super) custom_fields_manager: Option<Moref>,
    /// Absent from very plain servers.
    pub(super) authorization_manager: Option<Moref>,
    pub(super) task_manager: Option<Moref>,
    pub(super) search_index: Option<Moref>,
    pub(super) file_manager: Option<Moref>,
    pub(super) virtual_disk_manager: Option<Moref>,
    pub(super) about: About,
}

/// A session at a vCenter or a stand-alone host. Clones share it.
#[derive(Clone)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) server: ServerAddress,
    pub(super) user: String,
    pub(super) password: Secret,
    /// The session was handed over: it is not ours to renew or to end.
    pub(super) is_borrowed: bool,
    pub(super) http: Http,
    pub(super) api_version: String,
    pub(super) soap_action: String,
    pub(super) operation_id_prefix: String,
    pub(super) calls: AtomicU64,
    pub(super) retry: RetryPolicy,
    pub(super) poll: PollDelays,
    pub(super) content: ServiceContent,
    pub(super) thumbprints: Thumbprints,
    pub(super) session: Session,
}

impl Client {
    /// Verifies the server, agrees on an API version (6.5 or later) and logs in. Nothing of this
    /// is repeated, so that a wrong address is noticed at once.
    ///
    /// # Errors
    ///
    /// [`Error::ThumbprintMismatch`], [`Error::CertificateRefused`],
    /// [`Error::CertificateVersion1`], [`Error::Tls`] and [`Error::CaFile`] if the server is not
    /// to be trusted; [`Error::ServerTooOld`]; [`Error::InvalidLogin`]; any failure of transport
    /// or answer.
    #[doc(alias = "Login")]
    pub async fn connect(options: ConnectOptions) -> Result<Self, Error> {
        let believed = BelievedLeaf::default();
        let http = Http::new(HttpOptions {
            server: &options.server,
            tls: client_config(&options.trust, &believed)?,
            user_agent: &options.user_agent,
            connect_timeout: options.timeouts.connect,
            total_timeout: options.timeouts.total,
            max_body_bytes: options.max_body_bytes,
            proxy: &options.proxy,
        })?;
        let prefix: String = options
            .operation_id_prefix
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .take(64)
            .collect();
        let mut patience = Patience::new(options.retry);
        let versions = loop {
            match http.get(VERSIONS).await {
                Err(error) if error.is_busy() => patience.wait_after(error).await?,
                answered => break answered?,
            }
        };
        let api_version = negotiate(&versions.body)?;
        let soap_action = format!("\"urn:vim25/{api_version}\"");
        let (content, thumbprints) =
            Self::service_content(&http, &soap_action, &format!("{prefix}-0"), options.retry)
                .await?;
        let thumbprints = thumbprints.or_else(|| believed.thumbprints());
        let thumbprints = thumbprints.ok_or_else(|| Error::Tls {
            // VDDK needs it, and a second look could be at another server.
            reason: "the connection was made without a certificate".to_owned(),
        })?;
        let client = Self {
            inner: Arc::new(Inner {
                server: options.server,
                user: options.user,
                password: options.password,
                is_borrowed: options.session.is_some(),
                http,
                api_version,
                soap_action,
                operation_id_prefix: prefix,
                calls: AtomicU64::new(1),
                retry: options.retry,
                poll: options.poll,
                content,
                thumbprints,
                session: Session::new(),
            }),
        };
        match &options.session {
            Some(cookie) => client.adopt(cookie).await?,
            None => client.log_in().await?,
        }
        if let Some(idle) = options.keep_alive {
            client.keep_alive(idle);
        }
        Ok(client)
    }

    /// Goes on with a session that exists, if it does.
    async fn adopt(&self, cookie: &Secret) -> Result<(), Error> {
        let inner = &self.inner;
        let gone = || Error::SessionGone {
            server: inner.server.to_string(),
        };
        inner.session.adopt(cookie).ok_or(Error::BadCookie)?;
        let Some(manager) = &inner.content.session_manager else {
            // Nobody to ask: what needs a login tells as well.
            self.current_time().await?;
            return Ok(());
        };
        // Unset means that nobody is logged in ("vSphere API reference", 1.12).
        let read: SessionProperties = self.properties(manager, &["currentSession"]).await?;
        inner.session.logged_in(read.current.ok_or_else(gone)?);
        Ok(())
    }

    pub(super) fn session_manager(&self) -> Result<&Moref, Error> {
        let manager = self.inner.content.session_manager.as_ref();
        manager.ok_or(Error::NotOffered {
            what: "session manager",
        })
    }

    /// Asks for the server's clock whenever nothing else was asked for `idle`, as long as there
    /// is a session and somebody holds the client.
    fn keep_alive(&self, idle: Duration) {
        let weak = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            let mut wait = idle;
            loop {
                tokio::time::sleep(wait).await;
                let Some(inner) = weak.upgrade().filter(|inner| !inner.session.is_closed()) else {
                    return;
                };
                wait = idle.saturating_sub(inner.session.idle());
                if wait.is_zero() {
                    let client = Self { inner };
                    if let Err(error) = client.current_time().await {
                        tracing::debug!(%error, "failed to keep the session alive");
                    }
                    wait = idle;
                }
            }
        });
    }

    /// What the server says about itself.
    pub fn about(&self) -> &About {
        &self.inner.content.about
    }

    /// The folder above everything, where an account's rights on the whole server hang.
    pub fn root_folder(&self) -> &Moref {
        &self.inner.content.root_folder
    }

    /// The API version that was agreed on.
    pub fn api_version(&self) -> &str {
        &self.inner.api_version
    }

    /// Where the server is.
    pub fn server(&self) -> &ServerAddress {
        &self.inner.server
    }

    /// The thumbprints of the server's certificate; VDDK wants the SHA-1 one.
    pub fn thumbprints(&self) -> Thumbprints {
        self.inner.thumbprints
    }

    /// `UserSession.key` of the current session. It is not the cookie and no secret.
    pub fn session_key(&self) -> String {
        self.inner.session.key()
    }

    /// The current session as the server sees it, until it is logged out.
    pub fn user_session(&self) -> Option<UserSession> {
        self.inner.session.user()
    }

    /// The value of the session's cookie, as another client of this server takes it: VDDK, or
    /// [`ConnectOptions::with_session`].
    pub fn session_cookie(&self) -> Option<Secret> {
        self.inner.session.cookie_value()
    }

    /// The server's clock. Also keeps the session alive: at most every 10 minutes will do.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    #[doc(alias = "CurrentTime")]
    pub async fn current_time(&self) -> Result<Timestamp, Error> {
        let operation = Operation::new("CurrentTime", &Moref::service_instance());
        self.read(&operation, |r, response| {
            required(r, response, read_timestamp)
        })
        .await
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !self.is_borrowed && !self.session.is_closed() && !self.session.key().is_empty() {
            tracing::warn!(server = %self.server, "a session was left without logging out");
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.inner.server)
            .field("user", &self.inner.user)
            .field("api_version", &self.inner.api_version)
            .field("session", &self.inner.session)
            .finish_non_exhaustive()
    }
}

/// Reads an `xsd:dateTime`.
pub(super) fn read_timestamp(r: &mut Reader<'_>, tag: &Tag) -> Result<Timestamp, XmlError> {
    let text = r.text(tag)?;
    text.trim().parse().map_err(|_| XmlError::Value {
        element: short(&tag.name),
        wanted: "a time with its offset",
    })
}

/// Reads the answer to `RetrieveServiceContent`.
pub(super) fn read_content(r: &mut Reader<'_>, response: &Tag) -> Result<ServiceContent, XmlError> {
    let missing = |element| XmlError::Missing {
        element,
        inside: "ServiceContent",
    };
    required(r, response, |r, tag| {
        let (mut root, mut collector, mut views, mut sessions) = (None, None, None, None);
        let (mut about, mut custom_fields_manager) = (None, None);
        let (mut authorization, mut files, mut virtual_disks) = (None, None, None);
        let (mut tasks, mut searches) = (None, None);
        r.children(tag, |r, tag| {
            match tag.name.as_str() {
                "rootFolder" => root = Some(r.moref(tag)?),
                "propertyCollector" => collector = Some(r.moref(tag)?),
                "viewManager" => views = Some(r.moref(tag)?),
                "sessionManager" => sessions = Some(r.moref(tag)?),
                "customFieldsManager" => custom_fields_manager = Some(r.moref(tag)?),
                "about" => about = Some(read_about(r, tag)?),
                "authorizationManager" => authorization = Some(r.moref(tag)?),
                "taskManager" => tasks = Some(r.moref(tag)?),
                "searchIndex" => searches = Some(r.moref(tag)?),
                "fileManager" => files = Some(r.moref(tag)?),
                "virtualDiskManager" => virtual_disks = Some(r.moref(tag)?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(ServiceContent {
            root_folder: root.ok_or_else(|| missing("rootFolder"))?,
            property_collector: collector.ok_or_else(|| missing("propertyCollector"))?,
            view_manager: views,
            session_manager: sessions,
            custom_fields_manager,
            authorization_manager: authorization,
            task_manager: tasks,
            search_index: searches,
            file_manager: files,
            virtual_disk_manager: virtual_disks,
            about: about.ok_or_else(|| missing("about"))?,
        })
    })
}

fn read_about(r: &mut Reader<'_>, tag: &Tag) -> Result<About, XmlError> {
    let mut about = About::default();
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "name" => about.name = r.text(tag)?,
            "fullName" => about.full_name = r.text(tag)?,
            "version" => about.version = r.text(tag)?,
            "build" => about.build = r.text(tag)?,
            "apiType" => about.api_type = r.text(tag)?,
            "apiVersion" => about.api_version = r.text(tag)?,
            "instanceUuid" => about.instance_uuid = Some(r.text(tag)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(about)
}

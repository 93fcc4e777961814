//! One call, and what happens when it fails: repetition of reads, a new login.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{debug, info, warn};

use super::client::{Client, ServiceContent, read_content};
use super::connect::RetryPolicy;
use super::envelope::{Parse, nothing, read_answer, required};
use super::error::Error;
use super::fault::Fault;
use super::moref::Moref;
use super::operation::Operation;
use super::session::UserSession;
use super::thumbprint::Thumbprints;
use super::xml::{Reader, Tag, XmlError};

/// Repeated waits do not grow beyond this.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// May a call be repeated after a failure that leaves open whether it took effect?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It changes nothing.
    Read,
    /// It may have happened.
    Write,
}

/// How long a logout waits for a login under way.
const LOGIN_GRACE: Duration = Duration::from_secs(10);

impl Client {
    /// Makes one call, once.
    pub(super) async fn exchange<T>(
        &self,
        operation: &Operation,
        parse: Parse<T>,
    ) -> Result<T, Error> {
        let method = operation.method();
        let inner = &self.inner;
        let number = inner.calls.fetch_add(1, Ordering::Relaxed);
        let operation_id = format!("{}-{number}", inner.operation_id_prefix);
        let envelope = operation.envelope(&operation_id)?;
        let (cookie, generation) = inner.session.cookie();
        debug!(method, operation_id, "call");
        let posted = inner
            .http
            .post(method, envelope, &inner.soap_action, cookie);
        let read = posted.await.and_then(|answer| {
            inner.session.renew(answer.cookie, generation);
            read_answer(method, &answer.body, parse)
        });
        inner.session.used();
        read.map_err(|mut error| {
            debug!(
                method,
                operation_id,
                error = describe(&error),
                "call failed"
            );
            if let Error::Fault { fault, .. } = &mut error {
                fault.operation_id = Some(operation_id);
            }
            error
        })
    }

    /// Makes one call that may be repeated.
    pub(super) async fn read<T>(&self, operation: &Operation, parse: Parse<T>) -> Result<T, Error> {
        self.call(Effect::Read, operation, parse).await
    }

    /// Makes one call that must not be repeated blindly.
    pub(super) async fn write<T>(
        &self,
        operation: &Operation,
        parse: Parse<T>,
    ) -> Result<T, Error> {
        self.call(Effect::Write, operation, parse).await
    }

    async fn call<T>(
        &self,
        effect: Effect,
        operation: &Operation,
        parse: Parse<T>,
    ) -> Result<T, Error> {
        let mut attempts = Attempts::new(self, effect);
        loop {
            attempts.begin()?;
            match self.exchange(operation, parse).await {
                Ok(done) => return Ok(done),
                Err(error) => attempts.after(error).await?,
            }
        }
    }

    /// Asks the server what it is; needs no login.
    pub(super) async fn service_content(
        http: &super::http::Http,
        soap_action: &str,
        operation_id: &str,
        retry: RetryPolicy,
    ) -> Result<(ServiceContent, Option<Thumbprints>), Error> {
        let operation = Operation::new("RetrieveServiceContent", &Moref::service_instance());
        let method = operation.method();
        let mut patience = Patience::new(retry);
        loop {
            let envelope = operation.envelope(operation_id)?;
            let answer = match http.post(method, envelope, soap_action, None).await {
                Err(error) if error.is_busy() => {
                    patience.wait_after(error).await?;
                    continue;
                }
                answered => answered?,
            };
            match read_answer(method, &answer.body, read_content) {
                // It was cut off on its way.
                Err(error) if error.is_transient() => patience.wait_after(error).await?,
                read => return Ok((read?, answer.thumbprints)),
            }
        }
    }

    /// Logs in and keeps the session.
    pub(super) async fn log_in(&self) -> Result<(), Error> {
        let inner = &self.inner;
        let operation = Operation::new("Login", self.session_manager()?)
            .text("userName", &inner.user)
            .secret("password", &inner.password)
            .text("locale", "en");
        let mut patience = Patience::new(inner.retry);
        let answered = loop {
            match self.exchange(&operation, read_login).await {
                // At worst a session that nobody knows stays until it has been idle for long.
                Err(error) if error.is_transient() => {
                    self.end_unclear_login().await;
                    patience.wait_after(error).await?;
                }
                answered => break answered,
            }
        };
        match answered {
            Ok(user) => {
                inner.session.logged_in(user);
                info!(server = %inner.server, user = inner.user, "logged in");
                Ok(())
            }
            Err(error) if error.fault_type() == Some("InvalidLogin") => {
                inner.session.refused();
                Err(self.invalid_login())
            }
            Err(error) => Err(error),
        }
    }

    /// After an answer that was cut off: where it brought a cookie, the login may have worked, and a second
    /// one in the same session would be refused.
    async fn end_unclear_login(&self) {
        let session = &self.inner.session;
        if session.cookie().0.is_none() {
            return;
        }
        if let Ok(manager) = self.session_manager() {
            let operation = Operation::new("Logout", manager);
            if let Err(error) = self.exchange(&operation, nothing).await {
                info!(server = %self.inner.server, error = describe(&error), "ending an unclear login failed");
            }
        }
        session.forget();
    }

    fn invalid_login(&self) -> Error {
        Error::InvalidLogin {
            server: self.inner.server.to_string(),
            user: self.inner.user.clone(),
        }
    }

    /// Renews the session `generation`, unless another call already has.
    ///
    /// The login goes on when the call that wanted it is given up: its session could not be ended
    /// otherwise. [`Client::logout`] waits for it.
    async fn log_in_again(&self, generation: u64) -> Result<(), Error> {
        let session = &self.inner.session;
        let one_at_a_time = Arc::clone(&session.login).lock_owned().await;
        if session.is_closed() {
            return Err(Error::LoggedOut);
        }
        if session.generation() != generation {
            return Ok(());
        }
        if self.inner.is_borrowed {
            return Err(Error::SessionGone {
                server: self.inner.server.to_string(),
            });
        }
        if session.is_refused() {
            // The password was changed meanwhile. Trying it again locks the account.
            return Err(self.invalid_login());
        }
        info!(server = %self.inner.server, "the session has expired");
        session.forget();
        let client = self.clone();
        let login = tokio::spawn(async move {
            let _one_at_a_time = one_at_a_time;
            client.log_in().await
        });
        match login.await {
            Ok(done) => done,
            // The runtime ends, or a fault of ours, which has been told.
            Err(_) => Err(Error::LoggedOut),
        }
    }

    /// Ends the session at the server. Belongs on every path out, as servers take a limited
    /// number of sessions. A second call does nothing. A session that was handed over lives on.
    ///
    /// # Errors
    ///
    /// Any failure of the call; the client is closed all the same.
    pub async fn logout(&self) -> Result<(), Error> {
        let session = &self.inner.session;
        if !session.close() {
            return Ok(());
        }
        // One that hangs keeps nobody from ending.
        let _no_login_now = tokio::time::timeout(LOGIN_GRACE, session.login.lock()).await;
        if self.inner.is_borrowed {
            session.forget();
            return Ok(());
        }
        let Ok(manager) = self.session_manager() else {
            return Ok(()); // and so nobody could log in
        };
        let operation = Operation::new("Logout", manager);
        let result = self.exchange(&operation, nothing).await;
        session.forget();
        match result {
            Err(error) if error.is_not_authenticated() => Ok(()),
            result => result,
        }
    }
}

/// The attempts at some work, which may be several calls that belong together, by the rules of
/// "vSphere API reference", 1.14: once more after a new login if the session is gone, and, if the work
/// only reads, again after a failure of the transport.
pub(super) struct Attempts {
    client: Client,
    effect: Effect,
    patience: Patience,
    generation: u64,
    has_logged_in: bool,
    has_met_system_error: bool,
}

impl Attempts {
    pub(super) fn new(client: &Client, effect: Effect) -> Self {
        Self {
            client: client.clone(),
            effect,
            patience: Patience::new(client.inner.retry),
            generation: 0,
            has_logged_in: false,
            has_met_system_error: false,
        }
    }

    /// To be called before each attempt.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        let session = &self.client.inner.session;
        if session.is_closed() {
            return Err(Error::LoggedOut);
        }
        self.generation = session.generation();
        Ok(())
    }

    /// To be called after a failed attempt: gives the error back if there is no further one.
    pub(super) async fn after(&mut self, error: Error) -> Result<(), Error> {
        if error.is_not_authenticated() && !self.has_logged_in {
            self.has_logged_in = true;
            return self.client.log_in_again(self.generation).await;
        }
        let is_system_error = error.fault_type() == Some("SystemError");
        let may_pass = error.is_transient()
            || error.fault().is_some_and(Fault::is_retryable)
            || (is_system_error && !self.has_met_system_error);
        self.has_met_system_error |= is_system_error;
        if self.effect == Effect::Write || !may_pass {
            return Err(error);
        }
        self.patience.wait_after(error).await
    }
}

/// The attempts that are left, and the growing wait between them.
#[derive(Debug)]
pub(super) struct Patience {
    left: u32,
    wait: Duration,
}

impl Patience {
    pub(super) fn new(policy: RetryPolicy) -> Self {
        Self {
            left: policy.attempts.max(1),
            wait: policy.first_wait,
        }
    }

    /// Waits before the next attempt, or gives the error back if there is none.
    pub(super) async fn wait_after(&mut self, error: Error) -> Result<(), Error> {
        if self.left <= 1 {
            return Err(error);
        }
        warn!(error = describe(&error), "a call failed, trying again");
        tokio::time::sleep(self.wait).await;
        self.left -= 1;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        Ok(())
    }
}

/// The error with all that stands behind it.
fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

pub(super) fn read_login(r: &mut Reader<'_>, response: &Tag) -> Result<UserSession, XmlError> {
    required(r, response, UserSession::read)
}

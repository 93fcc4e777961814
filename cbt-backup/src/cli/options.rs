//! Options that several commands share.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, anyhow};
use clap::Args;
use vddk::{ConfigSource, LibraryOptions};

use super::{
    config::Config,
    exit_code::{ExitCode, Failure},
    key_file::read_key_file,
    placed::{Place, Placed},
    rate::Rate,
    secret_input::{
        self, PASSPHRASE_VARIABLE, PASSWORD_VARIABLE, PROXY_PASSWORD_VARIABLE, SecretInput, Sources,
    },
};
use crate::{
    repo::{Repository, RepositoryKey, Store, StoreLimits},
    secret::Secret,
    vsphere::{Client, ConnectOptions, Proxy, ServerAddress, Timeouts, Trust},
};

/// Where the repository is and what opens it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Repository")]
pub struct RepositoryOptions {
    /// The repository: a folder, s3://bucket/prefix?endpoint=URL, az://container/prefix?account=NAME or gs://bucket/prefix
    #[arg(long, env = "CBT_BACKUP_REPO", value_name = "ADDRESS")]
    pub repo: Option<String>,
    /// What opens it.
    #[command(flatten)]
    opener: Placed<OpenerOptions>,
    /// At most so many bytes a second to the repository, for instance 20MiB
    #[arg(long, env = "CBT_BACKUP_LIMIT_UPLOAD", value_name = "RATE")]
    pub limit_upload: Option<Rate>,
    /// At most so many bytes a second from the repository
    #[arg(long, env = "CBT_BACKUP_LIMIT_DOWNLOAD", value_name = "RATE")]
    pub limit_download: Option<Rate>,
}

/// What opens a repository.
#[derive(Debug, Args)]
struct OpenerOptions {
    /// File whose first line is the passphrase; /dev/fd/N reads a descriptor (else CBT_BACKUP_PASSPHRASE, else a prompt)
    #[arg(long, env = "CBT_BACKUP_PASSPHRASE_FILE", value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Command that prints the passphrase
    #[arg(long, env = "CBT_BACKUP_PASSPHRASE_COMMAND", value_name = "COMMAND")]
    passphrase_command: Option<String>,
    /// Key file, used instead of a passphrase; `cbt-backup key add` makes one
    #[arg(long, env = "CBT_BACKUP_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl RepositoryOptions {
    /// The store, from option, environment or configuration.
    ///
    /// # Errors
    /// Exit code 2 without an address.
    pub fn address(&self, config: &Config) -> Result<String, Failure> {
        self.repo
            .clone()
            .or_else(|| config.repo.clone())
            .ok_or_else(|| {
                Failure::new(ExitCode::Usage, anyhow!("no repository is named"))
                    .with_hint("use --repo ADDRESS, CBT_BACKUP_REPO or `repo` in the configuration")
            })
    }

    /// The key: of the key file, if one is named, else the passphrase. Where nothing is named, a
    /// credential of systemd's is taken.
    ///
    /// # Errors
    /// Exit code 2 when there is none.
    pub fn key(&self, config: &Config) -> Result<RepositoryKey, Failure> {
        let mut input = self.input(config);
        let (key, passphrase) = (
            credential("cbt-backup.key"),
            credential("cbt-backup.passphrase"),
        );
        if !input.sources.names_any() {
            input.sources.key_file = key.as_ref();
            input.sources.file = passphrase.as_ref();
        }
        match input.sources.key_file {
            Some(path) => read_key_file(path),
            None => Ok((&input.get().map_err(usage)?).into()),
        }
    }

    /// The passphrase or key file of a repository that is being made.
    ///
    /// # Errors
    /// Exit code 2 when there is none.
    pub fn new_key(&self, config: &Config) -> Result<RepositoryKey, Failure> {
        let input = self.input(config);
        if input.would_ask() {
            return Ok((&input.get_new().map_err(usage)?).into());
        }
        self.key(config)
    }

    /// The first place that names something to open the repository with.
    fn input<'a>(&'a self, config: &'a Config) -> SecretInput<'a> {
        let opener = &self.opener;
        let at = |place| Sources {
            key_file: opener.at(place, "key_file", opener.key_file.as_ref()),
            file: opener.at(place, "passphrase_file", opener.passphrase_file.as_ref()),
            command: opener.at(
                place,
                "passphrase_command",
                opener.passphrase_command.as_ref(),
            ),
            variable: None,
        };
        let configured = Sources {
            key_file: config.key_file.as_ref(),
            file: config.passphrase_file.as_ref(),
            command: config.passphrase_command.as_ref(),
            variable: None,
        };
        SecretInput {
            what: "passphrase",
            sources: Sources::first([
                at(Place::CommandLine),
                at(Place::Environment).or_variable(PASSPHRASE_VARIABLE),
                configured,
            ]),
            variable: PASSPHRASE_VARIABLE,
            option: "--passphrase-file, --key-file",
        }
    }

    /// The store; a repository need not be in it.
    ///
    /// # Errors
    /// 2 without an address or with a wrong one, 10 for a folder that is not there.
    pub fn store(&self, config: &Config) -> Result<Store, Failure> {
        let store = Store::open(&self.address(config)?)?;
        Ok(store.limited(&self.limits(config)))
    }

    /// As [`Self::store`], but makes the folder.
    ///
    /// # Errors
    /// As [`Self::store`].
    pub fn new_store(&self, config: &Config) -> Result<Store, Failure> {
        let store = Store::create(&self.address(config)?)?;
        Ok(store.limited(&self.limits(config)))
    }

    /// The rates, from option, environment or configuration.
    pub fn limits(&self, config: &Config) -> StoreLimits {
        let rate = |option: Option<Rate>, file: Option<Rate>| option.or(file).map(|rate| rate.0);
        StoreLimits {
            upload_bytes_per_second: rate(self.limit_upload, config.limit_upload),
            download_bytes_per_second: rate(self.limit_download, config.limit_download),
        }
    }

    /// Opens the repository.
    ///
    /// # Errors
    /// 10 where there is none, 12 for a wrong passphrase or key file.
    pub async fn open(&self, config: &Config) -> Result<Repository, Failure> {
        let store = self.store(config)?;
        Ok(Repository::open(store, self.key(config)?).await?)
    }
}

/// A credential that systemd passed to the service (LoadCredential=, systemd.exec(5)).
fn credential(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    let path = PathBuf::from(folder).join(name);
    path.exists().then_some(path)
}

fn usage(error: anyhow::Error) -> Failure {
    Failure::new(ExitCode::Usage, error)
}

/// Which server, and who logs in.
#[derive(Debug, Args)]
#[command(next_help_heading = "vSphere")]
pub struct ServerOptions {
    /// vCenter or ESXi host: name, name:port or https://name:port/sdk
    #[arg(long, env = "CBT_BACKUP_SERVER", value_name = "ADDRESS")]
    pub server: Option<String>,
    /// User name, for instance backup@vsphere.local
    #[arg(long, env = "CBT_BACKUP_USER", value_name = "NAME")]
    pub user: Option<String>,
    /// The password.
    #[command(flatten)]
    password: Placed<PasswordOptions>,
    /// File whose first line is the cookie of a session that exists, in place of user and password; it is not ended. Not for backups: VDDK logs in by password
    #[arg(long, env = "CBT_BACKUP_SESSION_FILE", value_name = "FILE")]
    pub session_file: Option<PathBuf>,
    /// SHA-1 or SHA-256 of the server's certificate, AA:BB:…; that one certificate is trusted
    #[arg(long, env = "CBT_BACKUP_THUMBPRINT", value_name = "HEX")]
    pub thumbprint: Option<String>,
    /// PEM file with the authorities to trust; a thumbprint wins over it
    #[arg(long, env = "CBT_BACKUP_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// HTTP proxy to the server's API, host:port, or "env" for what HTTPS_PROXY says; VDDK does not use it
    #[arg(long, env = "CBT_BACKUP_PROXY", value_name = "ADDRESS")]
    pub proxy: Option<String>,
    /// User name at the proxy
    #[arg(long, env = "CBT_BACKUP_PROXY_USER", value_name = "NAME")]
    pub proxy_user: Option<String>,
    /// The proxy's password.
    #[command(flatten)]
    proxy_password: Placed<ProxyPasswordOptions>,
    /// Seconds that a connection to the server may take
    #[arg(long, env = "CBT_BACKUP_CONNECT_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600), value_name = "N")]
    pub connect_seconds: u64,
    /// Seconds that one call to the server may take; asking for the changes of a large disk may need many
    #[arg(long, env = "CBT_BACKUP_CALL_SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(60..=7200), value_name = "N")]
    pub call_seconds: u64,
}

/// Where the password is.
#[derive(Debug, Args)]
struct PasswordOptions {
    /// File whose first line is the password; /dev/fd/N reads a descriptor (else CBT_BACKUP_PASSWORD, else a prompt)
    #[arg(long, env = "CBT_BACKUP_PASSWORD_FILE", value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Command that prints the password
    #[arg(long, env = "CBT_BACKUP_PASSWORD_COMMAND", value_name = "COMMAND")]
    password_command: Option<String>,
}

/// Where the password at the proxy is.
#[derive(Debug, Args)]
struct ProxyPasswordOptions {
    /// File whose first line is the password at the proxy (else CBT_BACKUP_PROXY_PASSWORD, else a prompt)
    #[arg(long, env = "CBT_BACKUP_PROXY_PASSWORD_FILE", value_name = "FILE")]
    proxy_password_file: Option<PathBuf>,
}

/// A server that was logged in to, with what VDDK needs to log in by itself.
#[derive(Debug)]
pub struct LoggedIn {
    /// The session.
    pub client: Client,
    /// The user's name.
    pub user: String,
    /// The password, for VDDK.
    pub password: Secret,
}

impl ServerOptions {
    /// Logs in, or goes on with the session that was named.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); 12 also for a session that is gone.
    pub async fn client(&self, config: &Config) -> Result<Client, Failure> {
        let Some(file) = &self.session_file else {
            return Ok(self.connect(config).await?.client);
        };
        let cookie = secret_input::from_file(file)
            .with_context(|| format!("failed to read the cookie from {}", file.display()))
            .map_err(usage)?;
        let options =
            ConnectOptions::with_session(self.address(config)?, cookie, self.trust(config)?);
        Ok(Client::connect(self.on_the_way(options, config)?).await?)
    }

    /// Refuses a session that exists, where disks are to be read.
    ///
    /// # Errors
    /// 2 if one is named.
    pub fn needs_password(&self) -> Result<(), Failure> {
        if self.session_file.is_none() {
            return Ok(());
        }
        let what = anyhow!("a session is not enough: VDDK logs in by user and password");
        Err(usage(what).with_hint("leave out --session-file"))
    }

    /// Logs in by name and password, whatever session is named.
    ///
    /// # Errors
    /// 2 for missing options, 12 when the certificate or the login is refused, 13 otherwise.
    pub async fn connect(&self, config: &Config) -> Result<LoggedIn, Failure> {
        let server = self.address(config)?;
        let user = self.user.clone().or_else(|| config.vsphere.user.clone());
        let user = user.ok_or_else(|| {
            usage(anyhow!("no user is named")).with_hint("use --user or CBT_BACKUP_USER")
        })?;
        let trust = self.trust(config)?;
        let input = self.password_input(config);
        let password = input
            .get()
            .map_err(|error| Failure::new(ExitCode::Usage, error))?;
        let for_vddk = Secret::new(password.expose().to_owned());
        let options = ConnectOptions::new(server, user.clone(), password, trust);
        let client = Client::connect(self.on_the_way(options, config)?).await?;
        Ok(LoggedIn {
            client,
            user,
            password: for_vddk,
        })
    }

    /// The first place that names a source of the password.
    fn password_input<'a>(&'a self, config: &'a Config) -> SecretInput<'a> {
        let options = &self.password;
        let at = |place| Sources {
            file: options.at(place, "password_file", options.password_file.as_ref()),
            command: options.at(place, "password_command", options.password_command.as_ref()),
            ..Sources::default()
        };
        let configured = Sources {
            file: config.vsphere.password_file.as_ref(),
            command: config.vsphere.password_command.as_ref(),
            ..Sources::default()
        };
        SecretInput {
            what: "password",
            sources: Sources::first([
                at(Place::CommandLine),
                at(Place::Environment).or_variable(PASSWORD_VARIABLE),
                configured,
            ]),
            variable: PASSWORD_VARIABLE,
            option: "--password-file",
        }
    }

    /// The first place that names a source of the password at the proxy.
    fn proxy_password_input<'a>(&'a self, config: &'a Config) -> SecretInput<'a> {
        let options = &self.proxy_password;
        let file = |file| Sources {
            file,
            ..Sources::default()
        };
        let named = options.proxy_password_file.as_ref();
        let at = |place| file(options.at(place, "proxy_password_file", named));
        let configured = file(config.vsphere.proxy_password_file.as_ref());
        SecretInput {
            what: "password of the proxy",
            sources: Sources::first([
                at(Place::CommandLine),
                at(Place::Environment).or_variable(PROXY_PASSWORD_VARIABLE),
                configured,
            ]),
            variable: PROXY_PASSWORD_VARIABLE,
            option: "--proxy-password-file",
        }
    }

    fn address(&self, config: &Config) -> Result<ServerAddress, Failure> {
        let server = self.server.as_ref().or(config.vsphere.server.as_ref());
        let server = server.ok_or_else(|| {
            usage(anyhow!("no server is named")).with_hint("use --server or CBT_BACKUP_SERVER")
        })?;
        Ok(server.parse()?)
    }

    /// With the way to the server, and how long things may take on it.
    fn on_the_way(
        &self,
        mut options: ConnectOptions,
        config: &Config,
    ) -> Result<ConnectOptions, Failure> {
        options.proxy = self.proxy(config)?;
        options.timeouts = Timeouts {
            connect: Duration::from_secs(self.connect_seconds),
            total: Duration::from_secs(self.call_seconds),
        };
        Ok(options)
    }

    /// The way to the server: direct unless something else is asked for.
    fn proxy(&self, config: &Config) -> Result<Proxy, Failure> {
        let address = match self.proxy.as_ref().or(config.vsphere.proxy.as_ref()) {
            None => return Ok(Proxy::None),
            Some(word) if word == "env" => return Ok(Proxy::Environment),
            Some(address) => address.parse()?,
        };
        let user = self.proxy_user.as_ref();
        let Some(user) = user.or(config.vsphere.proxy_user.as_ref()) else {
            return Ok(Proxy::Http {
                address,
                login: None,
            });
        };
        let input = self.proxy_password_input(config);
        let password = input
            .get()
            .map_err(|error| Failure::new(ExitCode::Usage, error))?;
        Ok(Proxy::Http {
            address,
            login: Some((user.clone(), password)),
        })
    }

    /// A pin, a file of authorities, or else those of this system.
    fn trust(&self, config: &Config) -> Result<Trust, Failure> {
        let pin = config
            .vsphere
            .thumbprint
            .as_ref()
            .filter(|_| self.ca_file.is_none());
        if let Some(pin) = self.thumbprint.as_ref().or(pin) {
            return Ok(Trust::Thumbprint(pin.parse()?));
        }
        let ca_file = self.ca_file.as_ref().or(config.vsphere.ca_file.as_ref());
        Ok(ca_file.map_or(Trust::SystemRoots, |path| Trust::CaFile(path.clone())))
    }
}

/// Where VDDK is.
#[derive(Debug, Args)]
#[command(next_help_heading = "VDDK")]
pub struct VddkOptions {
    /// VDDK's folder, or libvixDiskLib.so itself (else VDDK_LIBDIR, else the customary folders)
    #[arg(long, env = "CBT_BACKUP_VDDK", value_name = "PATH")]
    pub vddk: Option<PathBuf>,
    /// Settings file for VDDK itself [default: the settings that VMware advises, above all NFC time-outs]
    #[arg(long, env = "CBT_BACKUP_VDDK_CONFIG", value_name = "FILE")]
    pub vddk_config: Option<PathBuf>,
    /// How long VDDK may take to open, close or connect before the call is given up
    #[arg(
        long,
        env = "CBT_BACKUP_VDDK_CALL_SECONDS",
        value_name = "SECONDS",
        default_value_t = 600,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub vddk_call_seconds: u64,
}

impl VddkOptions {
    /// The place, from option, environment or configuration.
    pub fn location(&self, config: &Config) -> Option<PathBuf> {
        self.vddk.clone().or_else(|| config.vddk.clone())
    }

    /// How the library is found and started.
    pub fn library(&self, config: &Config) -> LibraryOptions {
        let file = self
            .vddk_config
            .clone()
            .or_else(|| config.vddk_config.clone());
        LibraryOptions {
            location: self.location(config),
            config: file.map_or_else(ConfigSource::default, ConfigSource::File),
            call_limit: Duration::from_secs(self.vddk_call_seconds),
        }
    }
}

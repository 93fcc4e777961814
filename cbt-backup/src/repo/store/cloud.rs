//! Opens buckets and containers.
//!
//! Credentials come from where each cloud's own tools look for them. They stay inside
//! `object_store`, whose `Debug` leaves them out.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as S3Key, Checksum as S3Checksum};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::prefix::PrefixStore;
use object_store::{
    BackoffConfig, Certificate, ClientOptions, HeaderValue, ObjectStore, RetryConfig,
};

use super::address::{Checksum, CloudAddress, CloudKind};
use super::aws_profile::{self, Profile};
use crate::repo::error::Error;
use crate::tls;
use crate::whole_file;

/// Retries of one call. Each name is written once and whole, so a repeated write is harmless.
const MAX_RETRIES: usize = 10;
/// No retry begins later than this, or than two requests may last.
const RETRY_TIMEOUT: Duration = Duration::from_mins(4);
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const USER_AGENT: &str = concat!("cbt-backup/", env!("CARGO_PKG_VERSION"));

/// Makes the client of the store at `address`; nothing is sent yet.
pub(super) fn open(address: &CloudAddress, location: &str) -> Result<Arc<dyn ObjectStore>, Error> {
    tls::install_provider();
    let failed = |source: object_store::Error| Error::Store {
        operation: "open",
        object: location.to_owned(),
        source: source.into(),
    };
    let options = client_options(address)?;
    let objects: Arc<dyn ObjectStore> = match address.kind {
        CloudKind::S3 => {
            let environment = AmazonS3Builder::from_env();
            let profile = if wants_profile(address, &environment) {
                aws_profile::read(address.profile.as_deref())?
            } else {
                None
            };
            let s3 = s3(address, environment, profile.as_ref())?;
            let s3 = s3.with_client_options(options).with_retry(retries(address));
            Arc::new(s3.build().map_err(failed)?)
        }
        CloudKind::Azure => {
            let azure = azure(address).with_client_options(options);
            Arc::new(azure.with_retry(retries(address)).build().map_err(failed)?)
        }
        CloudKind::Google => {
            let google = google(address, GoogleCloudStorageBuilder::from_env())?;
            let google = google.with_client_options(options);
            Arc::new(
                google
                    .with_retry(retries(address))
                    .build()
                    .map_err(failed)?,
            )
        }
    };
    Ok(if address.prefix.is_empty() {
        objects
    } else {
        Arc::new(PrefixStore::new(objects, address.prefix.as_str()))
    })
}

/// Replaces whatever the environment says on TLS: there is no way round it but `plain-http`.
fn client_options(address: &CloudAddress) -> Result<ClientOptions, Error> {
    let mut options = ClientOptions::new()
        .with_user_agent(HeaderValue::from_static(USER_AGENT))
        .with_allow_http(address.plain_http)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout(address.timeout);
    let Some(path) = &address.ca_file else {
        return Ok(options);
    };
    let pem = whole_file::read(path, tls::MAX_PEM_BYTES).map_err(|source| Error::Folder {
        path: path.display().to_string(),
        source: Arc::new(source),
    })?;
    let bad = |why: String| Error::BadAddress {
        address: format!("ca-file {}", path.display()),
        why,
    };
    let authorities = Certificate::from_pem_bundle(&pem).map_err(|error| bad(error.to_string()))?;
    if authorities.is_empty() {
        return Err(bad("there is no certificate in it".to_owned()));
    }
    for authority in authorities {
        options = options.with_root_certificate(authority);
    }
    Ok(options.with_no_system_certificates(true))
}

fn retries(address: &CloudAddress) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: FIRST_BACKOFF,
            max_backoff: MAX_BACKOFF,
            base: 2.0,
        },
        max_retries: MAX_RETRIES,
        retry_timeout: RETRY_TIMEOUT.max(address.timeout * 2),
    }
}

/// True when the files of credentials are to be asked: they come after the environment, unless
/// the address names a section of them.
fn wants_profile(address: &CloudAddress, environment: &AmazonS3Builder) -> bool {
    address.profile.is_some() || !has_credentials(environment)
}

fn has_credentials(environment: &AmazonS3Builder) -> bool {
    let is_set = |key: &S3Key| environment.get_config_value(key).is_some();
    let skips = environment.get_config_value(&S3Key::SkipSignature);
    [
        S3Key::AccessKeyId,
        S3Key::WebIdentityTokenFile,
        S3Key::ContainerCredentialsRelativeUri,
        S3Key::ContainerCredentialsFullUri,
    ]
    .iter()
    .any(is_set)
        || skips.is_some_and(|skips| skips == "true")
}

/// `environment` is the builder with what the variables `AWS_…` say.
fn s3(
    address: &CloudAddress,
    environment: AmazonS3Builder,
    profile: Option<&Profile>,
) -> Result<AmazonS3Builder, Error> {
    let bad = |why: String| Error::BadAddress {
        address: format!("s3://{}", address.bucket),
        why,
    };
    let said = |key: S3Key| environment.get_config_value(&key);
    let from_environment = said(S3Key::S3Endpoint).or_else(|| said(S3Key::Endpoint));
    let endpoint = address.endpoint.clone().or(from_environment);
    let keys = profile.and_then(Profile::keys);
    if keys.is_none() && !has_credentials(&environment) && endpoint.is_some() {
        // A machine of Amazon's has a service that hands them out; nothing else has.
        return Err(bad("no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials".to_owned()));
    }
    let region = address.region.clone().or_else(|| {
        let known = said(S3Key::Region).or_else(|| said(S3Key::DefaultRegion));
        known.or_else(|| profile?.region.clone())
    });
    let mut s3 = environment
        .with_bucket_name(&address.bucket)
        .with_virtual_hosted_style_request(address.virtual_host)
        // One name a request: a refused delete is then told with its status.
        .with_disable_bulk_delete(true)
        // TLS keeps the payload whole; hashing it again would cost a third of our throughput.
        .with_unsigned_payload(!address.plain_http);
    if let Some(keys) = keys {
        s3 = s3
            .with_access_key_id(keys.id)
            .with_secret_access_key(keys.secret.expose());
        if let Some(token) = keys.token {
            s3 = s3.with_token(token.expose());
        }
    }
    if let Some(region) = region {
        s3 = s3.with_region(region);
    }
    // Amazon wants a checksum where a bucket locks what is written to it.
    let mut checksum = Checksum::Crc64Nvme;
    if let Some(endpoint) = endpoint {
        address.check_endpoint(&endpoint).map_err(bad)?;
        checksum = Checksum::None;
        s3 = s3
            .with_config(S3Key::S3Endpoint, &endpoint)
            .with_endpoint(endpoint);
    }
    Ok(match address.checksum.unwrap_or(checksum) {
        Checksum::None => s3,
        Checksum::Crc64Nvme => s3.with_checksum_algorithm(S3Checksum::CRC64NVME),
        Checksum::Sha256 => s3.with_checksum_algorithm(S3Checksum::SHA256),
    })
}

fn azure(address: &CloudAddress) -> MicrosoftAzureBuilder {
    let mut azure = MicrosoftAzureBuilder::from_env()
        .with_use_emulator(false)
        .with_container_name(&address.bucket);
    if let Some(account) = &address.account {
        azure = azure.with_account(account);
    }
    if let Some(endpoint) = &address.endpoint {
        azure = azure.with_endpoint(endpoint.clone());
    }
    azure
}

/// `environment` is the builder with what the variables `GOOGLE_…` say.
fn google(
    address: &CloudAddress,
    environment: GoogleCloudStorageBuilder,
) -> Result<GoogleCloudStorageBuilder, Error> {
    let google = environment.with_bucket_name(&address.bucket);
    let said = google.get_config_value(&GoogleConfigKey::BaseUrl);
    let Some(endpoint) = address.endpoint.clone().or(said) else {
        return Ok(google);
    };
    let bad = |why: String| Error::BadAddress {
        address: format!("gs://{}", address.bucket),
        why,
    };
    address.check_endpoint(&endpoint).map_err(bad)?;
    Ok(google.with_base_url(endpoint.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::store::address::StoreAddress;

    fn address(text: &str) -> CloudAddress {
        match text.parse().unwrap() {
            StoreAddress::Cloud(address) => address,
            StoreAddress::Local(_) => panic!("{text}"),
        }
    }

    /// As `open` does it, with a profile on disk.
    fn s3_of(text: &str, environment: AmazonS3Builder) -> AmazonS3Builder {
        let address = address(text);
        let profile = wants_profile(&address, &environment)
            .then(|| Profile::of("file-id", "file-secret", "file-region"));
        s3(&address, environment, profile.as_ref()).unwrap()
    }

    fn value(s3: &AmazonS3Builder, key: S3Key) -> Option<String> {
        s3.get_config_value(&key)
    }

    #[test]
    fn the_environment_wins_over_the_files_and_a_named_profile_over_both() {
        let environment = || {
            AmazonS3Builder::new()
                .with_access_key_id("env-id")
                .with_secret_access_key("env-secret")
        };
        let from_env = s3_of("s3://vms", environment());
        assert_eq!(value(&from_env, S3Key::AccessKeyId).unwrap(), "env-id");
        let named = s3_of("s3://vms?profile=p", environment());
        assert_eq!(value(&named, S3Key::AccessKeyId).unwrap(), "file-id");
        let from_file = s3_of("s3://vms", AmazonS3Builder::new());
        assert_eq!(
            value(&from_file, S3Key::SecretAccessKey).unwrap(),
            "file-secret"
        );
        assert_eq!(value(&from_file, S3Key::Region).unwrap(), "file-region");
        let with_region = s3_of("s3://vms?region=here", AmazonS3Builder::new());
        assert_eq!(value(&with_region, S3Key::Region).unwrap(), "here");
    }

    #[test]
    fn a_server_of_ones_own_wants_credentials_at_once_and_tls() {
        let own = address("s3://vms?endpoint=https://s3.example");
        let error = s3(&own, AmazonS3Builder::new(), None).unwrap_err();
        assert!(error.to_string().contains("AWS_ACCESS_KEY_ID"), "{error}");
        let plain = AmazonS3Builder::new()
            .with_endpoint("http://s3.example")
            .with_allow_http(true);
        let error = s3(
            &address("s3://vms"),
            plain,
            Some(&Profile::of("a", "b", "c")),
        )
        .unwrap_err();
        assert!(error.to_string().contains("plain-http"), "{error}");
    }

    #[test]
    fn google_is_asked_where_the_address_or_the_environment_says_and_by_tls() {
        let elsewhere = || GoogleCloudStorageBuilder::new().with_base_url("http://gcs.example/");
        let error = google(&address("gs://vms"), elsewhere()).unwrap_err();
        assert!(error.to_string().contains("plain-http"), "{error}");
        for (text, url) in [
            ("gs://vms?plain-http=yes", "http://gcs.example"),
            (
                "gs://vms?endpoint=https://own.example/",
                "https://own.example",
            ),
        ] {
            let google = google(&address(text), elsewhere()).unwrap();
            let said = google.get_config_value(&GoogleConfigKey::BaseUrl);
            assert_eq!(said.as_deref(), Some(url));
        }
    }

    #[test]
    fn payloads_are_signed_only_where_tls_does_not_guard_them() {
        for (text, unsigned) in [
            ("s3://vms", "true"),
            (
                "s3://vms?endpoint=http://127.0.0.1:1&plain-http=yes",
                "false",
            ),
        ] {
            let s3 = s3_of(text, AmazonS3Builder::new());
            assert_eq!(
                value(&s3, S3Key::UnsignedPayload).unwrap(),
                unsigned,
                "{text}"
            );
        }
    }

    #[test]
    fn secrets_are_not_in_the_debug_text_of_a_store() {
        let s3 = s3_of("s3://vms", AmazonS3Builder::new());
        tls::install_provider();
        let text = format!("{:?}", s3.build().unwrap());
        assert!(!text.contains("file-secret"), "{text}");
    }

    #[test]
    fn a_ca_file_without_certificates_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!("s3://vms?ca-file={}", file.path().display());
        let error = client_options(&address(&text)).unwrap_err();
        assert!(error.to_string().contains("no certificate"), "{error}");
        let missing = client_options(&address("s3://vms?ca-file=/no/such/file"));
        assert!(matches!(missing, Err(Error::Folder { .. })));
        file.as_file().set_len(tls::MAX_PEM_BYTES + 1).unwrap();
        let long = client_options(&address(&text)).unwrap_err();
        assert!(
            matches!(&long, Error::Folder { source, .. } if source.kind() == std::io::ErrorKind::FileTooLarge),
            "{long}"
        );
    }
}

//! TLS of a listener: certificate, key and, where clients have certificates too, who signs and who
//! revokes them. All of it comes from files, and can be read again while connections are open.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use x509_cert::der::Decode as _;

use crate::drain::{Stop, stopped};

/// The oldest version of TLS that a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2 and 1.3. Midtrans speaks 1.2 at most.
    V12,
    /// 1.3 only.
    V13,
}

/// Where the TLS of a listener comes from. All files are PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The listener's certificate, then those between it and the root.
    pub certificates: PathBuf,
    /// Its private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
    /// The oldest version spoken.
    pub oldest: TlsVersion,
    /// Whose certificates clients are asked for; none: nobody's.
    pub clients: Option<ClientFiles>,
}

/// Who signs the certificates of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFiles {
    /// Certificates of authorities.
    pub authorities: PathBuf,
    /// Their revocation lists: with the key, one of each authority in a chain.
    pub revoked: Option<PathBuf>,
    /// Who has no certificate is refused by the handshake.
    pub required: bool,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[error("{}", path.display())]
pub struct TlsError {
    /// Which file.
    pub path: PathBuf,
    /// Which of the files it is.
    pub role: TlsFile,
    source: Fault,
}

/// Which of the files of [`TlsFiles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFile {
    /// [`TlsFiles::certificates`].
    Certificates,
    /// [`TlsFiles::key`].
    Key,
    /// [`ClientFiles::authorities`].
    Authorities,
    /// [`ClientFiles::revoked`].
    Revoked,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Read(io::Error),
    #[error("not PEM: {0}")]
    Pem(PemError),
    #[error("holds none")]
    Empty,
    #[error(transparent)]
    Tls(rustls::Error),
    #[error(transparent)]
    Clients(VerifierBuilderError),
}

/// Files of a [`TlsFiles`] that were read and found good.
pub struct LoadedTls {
    files: TlsFiles,
    config: Arc<ServerConfig>,
    /// Of the content of all files.
    digest: [u8; 32],
}

impl fmt::Debug for LoadedTls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("LoadedTls")
    }
}

/// The certificate of a client, whose signature, dates and revocation were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// SHA-256 of its DER form.
    pub fingerprint: [u8; 32],
    /// Its subject in the form of RFC 4514, such as `CN=alpha,O=PSP`.
    pub subject: Arc<str>,
}

impl ClientCertificate {
    /// What stands in a certificate, in DER form. The subject is empty if it cannot be read.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        let parsed = x509_cert::Certificate::from_der(der).ok();
        Self {
            fingerprint: Sha256::digest(der).into(),
            subject: parsed
                .map_or_else(|| "".into(), |it| it.tbs_certificate.subject.to_string().into()),
        }
    }
}

/// The bytes of one file, and what to say about it.
struct Read<'a> {
    path: &'a Path,
    role: TlsFile,
    bytes: Vec<u8>,
}

impl<'a> Read<'a> {
    fn new(path: &'a Path, role: TlsFile, digest: &mut Sha256) -> Result<Self, TlsError> {
        let fault = |error| TlsError { path: path.to_owned(), role, source: Fault::Read(error) };
        let bytes = std::fs::read(path).map_err(fault)?;
        digest.update(bytes.len().to_le_bytes());
        digest.update(&bytes);
        Ok(Self { path, role, bytes })
    }

    fn fault(&self, source: Fault) -> TlsError {
        TlsError { path: self.path.to_owned(), role: self.role, source }
    }

    /// All of one kind that the file holds; at least one.
    fn all<T: PemObject>(&self) -> Result<Vec<T>, TlsError> {
        let all: Result<Vec<T>, PemError> = T::pem_slice_iter(&self.bytes).collect();
        match all {
            Ok(all) if all.is_empty() => Err(self.fault(Fault::Empty)),
            Ok(all) => Ok(all),
            Err(error) => Err(self.fault(Fault::Pem(error))),
        }
    }
}

impl TlsFiles {
    /// Reads the files and checks that they fit each other.
    ///
    /// # Errors
    /// [`TlsError`], which names the file.
    pub fn load(&self) -> Result<LoadedTls, TlsError> {
        let mut digest = Sha256::new();
        let chain = Read::new(&self.certificates, TlsFile::Certificates, &mut digest)?;
        let key = Read::new(&self.key, TlsFile::Key, &mut digest)?;
        let provider = Arc::new(ring::default_provider());
        let verifier = match &self.clients {
            Some(clients) => clients.verifier(&provider, &mut digest)?,
            None => Arc::new(NoClientAuth),
        };
        let versions: &[&SupportedProtocolVersion] = match self.oldest {
            TlsVersion::V12 => &[&version::TLS12, &version::TLS13],
            TlsVersion::V13 => &[&version::TLS13],
        };
        let certificates: Vec<CertificateDer<'static>> = chain.all()?;
        let private = PrivateKeyDer::from_pem_slice(&key.bytes)
            .map_err(|error| key.fault(Fault::Pem(error)))?;
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| chain.fault(Fault::Tls(error)))?
            .with_client_cert_verifier(verifier);
        // A key of another certificate is a fault of the key's file.
        let mut config = builder
            .with_single_cert(certificates, private)
            .map_err(|error| key.fault(Fault::Tls(error)))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let digest = digest.finalize().into();
        Ok(LoadedTls { files: self.clone(), config: Arc::new(config), digest })
    }
}

impl ClientFiles {
    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
        digest: &mut Sha256,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let file = Read::new(&self.authorities, TlsFile::Authorities, digest)?;
        let mut roots = RootCertStore::empty();
        for authority in file.all()? {
            roots.add(authority).map_err(|error| file.fault(Fault::Tls(error)))?;
        }
        let mut builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let mut revoking = &file;
        let lists;
        if let Some(path) = &self.revoked {
            lists = Read::new(path, TlsFile::Revoked, digest)?;
            builder = builder.with_crls(lists.all::<CertificateRevocationListDer<'static>>()?);
            revoking = &lists;
        }
        if !self.required {
            builder = builder.allow_unauthenticated();
        }
        builder.build().map_err(|error| revoking.fault(Fault::Clients(error)))
    }
}

/// The TLS of a listener, as it is now. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub struct Tls(Arc<watch::Sender<Arc<LoadedTls>>>);

impl LoadedTls {
    fn differs(&self, other: &Self) -> bool {
        self.digest != other.digest || self.files != other.files
    }
}

impl Tls {
    /// The TLS of files that were loaded.
    #[must_use]
    pub fn new(loaded: LoadedTls) -> Self {
        let (current, _) = watch::channel(Arc::new(loaded));
        Self(Arc::new(current))
    }

    /// Uses these from now on. If they differ from what was there, connections that stand are
    /// ended as soon as nothing is under way on them: whom they belong to was found out under the
    /// old ones.
    pub fn replace(&self, loaded: LoadedTls) {
        self.0.send_if_modified(|current| {
            let differs = current.differs(&loaded);
            if differs {
                *current = Arc::new(loaded);
            }
            differs
        });
    }

    /// Whether these would change anything.
    #[must_use]
    pub fn differs(&self, loaded: &LoadedTls) -> bool {
        self.0.borrow().differs(loaded)
    }

    /// Reads the files again from time to time, so that a renewed certificate needs nobody. What is
    /// not good is logged once and not used.
    pub async fn watch_files(self, every: Duration, stop: Stop) {
        let mut looks = tokio::time::interval(every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopped = std::pin::pin!(stopped(stop));
        let mut complained = String::new();
        loop {
            tokio::select! {
                () = &mut stopped => return,
                _ = looks.tick() => {}
            }
            let files = self.0.borrow().files.clone();
            let name = files.certificates.display().to_string();
            let Ok(read) = tokio::task::spawn_blocking(move || files.load()).await else {
                continue;
            };
            match read {
                Ok(loaded) => {
                    complained.clear();
                    if self.differs(&loaded) {
                        tracing::info!(file = name, "TLS: the files have changed and are used");
                        self.replace(loaded);
                    }
                }
                Err(error) => {
                    let why = chain(&error);
                    if why != complained {
                        tracing::warn!(
                            error = why,
                            "TLS: the files have changed and are not good; the old ones are used"
                        );
                        complained = why;
                    }
                }
            }
        }
    }

    pub(crate) fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        tokio_rustls::TlsAcceptor::from(Arc::clone(&self.0.borrow().config))
    }

    pub(crate) fn changes(&self) -> watch::Receiver<Arc<LoadedTls>> {
        self.0.subscribe()
    }
}

/// An error and what stands behind it, in a line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

impl TlsError {
    /// What is wrong, in a line: the file and why.
    #[must_use]
    pub fn described(&self) -> String {
        chain(self)
    }
}

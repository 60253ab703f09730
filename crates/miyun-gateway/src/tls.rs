//! TLS from PEM files, with rustls and its ring provider.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::GatewayError;

/// Longest PEM file read.
const PEM_MAX: u64 = 1 << 20;

fn read(path: &Path) -> Result<Vec<u8>, GatewayError> {
    let mut out = Vec::new();
    File::open(path)
        .and_then(|f| f.take(PEM_MAX).read_to_end(&mut out))
        .map_err(|e| GatewayError::io(path, e))?;
    Ok(out)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, GatewayError> {
    let certs: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match certs {
        Ok(c) if !c.is_empty() => Ok(c),
        Ok(_) => Err(GatewayError::setting(
            path.display().to_string(),
            "holds no certificate; write a PEM file",
        )),
        Err(e) => Err(GatewayError::setting(
            path.display().to_string(),
            e.to_string(),
        )),
    }
}

/// An acceptor with a certificate chain and its key.
///
/// # Errors
/// [`GatewayError`] if the files do not hold them.
pub(crate) fn acceptor(chain: &Path, key: &Path) -> Result<TlsAcceptor, GatewayError> {
    let bad =
        |e: &dyn std::fmt::Display| GatewayError::setting(key.display().to_string(), e.to_string());
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|e| bad(&e))?;
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| bad(&e))?
            .with_no_client_auth()
            .with_single_cert(certificates(chain)?, private)
            .map_err(|e| bad(&e))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A connector that trusts the certificates in `ca`.
///
/// # Errors
/// [`GatewayError`] if the file does not hold any.
pub fn connector(ca: &Path) -> Result<TlsConnector, GatewayError> {
    let bad =
        |e: &dyn std::fmt::Display| GatewayError::setting(ca.display().to_string(), e.to_string());
    let mut roots = RootCertStore::empty();
    for c in certificates(ca)? {
        roots.add(c).map_err(|e| bad(&e))?;
    }
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| bad(&e))?
            .with_root_certificates(roots)
            .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

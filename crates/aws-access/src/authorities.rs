//! The authorities whose certificates are accepted, from a file.

use std::{error::Error as StdError, sync::Arc};

use rustls::{RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject as _};

use crate::{ConfigError, PemFile};

/// The text of a CA bundle, and the authorities in it. The HTTP client takes for granted that the text can
/// be parsed.
pub(crate) fn authorities(file: &PemFile) -> Result<(Arc<[u8]>, RootCertStore), ConfigError> {
    let read = || -> Result<_, Box<dyn StdError + Send + Sync>> {
        let pem = file.text()?;
        let roots = roots(&pem)?;
        Ok((pem, roots))
    };
    read().map_err(|error| {
        let path = file.path().display();
        ConfigError::because(format!("the CA bundle \"{path}\" cannot be used"), error)
    })
}

fn roots(pem: &[u8]) -> Result<RootCertStore, Box<dyn StdError + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        return Err("it holds no certificate".into());
    }
    Ok(roots)
}

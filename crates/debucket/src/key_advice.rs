//! What to do next where a file is not a signing key that can be used.

use repo_signing::KeyFileError;

pub(crate) fn key_advice(error: &KeyFileError) -> Option<&'static str> {
    match error {
        KeyFileError::PassphraseMissing(_) => Some(
            "give the file with its passphrase with --sign-key-passphrase-file, or set DEBUCKET_SIGN_KEY_PASSPHRASE",
        ),
        KeyFileError::PassphraseWrong(_) => Some(
            "check --sign-key-passphrase-file or DEBUCKET_SIGN_KEY_PASSPHRASE, whichever is given",
        ),
        KeyFileError::Public(_) | KeyFileError::NoSecret(_) => {
            Some("export the secret key (gpg --export-secret-keys --armor FINGERPRINT)")
        }
        KeyFileError::NotForSigning(_) => Some(
            "add a subkey that signs (gpg --quick-add-key FINGERPRINT ed25519 sign) and export the key again",
        ),
        KeyFileError::Key(_) => Some(
            "sign with another key: `debucket key generate` makes one that every device accepts",
        ),
        KeyFileError::Several(_) => Some(
            "export the one that signs into a file of its own (gpg --export-secret-keys --armor FINGERPRINT)",
        ),
        _ => Some(
            "give the secret key that `debucket key generate` or `gpg --export-secret-keys` writes",
        ),
    }
}

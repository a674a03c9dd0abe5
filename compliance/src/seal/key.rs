//! Private keys in files: for their owner only, with a passphrase or without.
//!
//! ```text
//!  bank.example/stele+1a2b3c4d+AQ…              the public key, to be given away
//!  -----BEGIN ENCRYPTED PRIVATE KEY-----        PKCS #8; with a passphrase scrypt and AES-256-CBC (PBES2)
//! ```
//!
//! The second part is what `openssl pkey` and other tools read.

use super::note::{KeyKind, NoteError, Signer, VerifierKey};
use ed25519_dalek::pkcs8::KeypairBytes;
use pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Bytes of the longest key file that is read.
const FILE_LENGTH_MAX: u64 = 16 << 10;
const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// Why a key file is not written or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// What the medium says.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// Others can read it.
    #[error(
        "{file} can be read by others (mode {mode:03o}): run `chmod 600 {file}`; if they did, make a new key"
    )]
    Open {
        /// The file.
        file: String,
        /// Its permissions.
        mode: u32,
    },
    /// It holds no key.
    #[error("{file} holds no key of ours: {why}")]
    Content {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// The passphrase is not the one that it was written with.
    #[error("{file}: the passphrase does not open it")]
    Passphrase {
        /// The file.
        file: String,
    },
    /// The name cannot name a key.
    #[error(transparent)]
    Name(#[from] NoteError),
}

/// A new key of this name, from the kernel's randomness.
///
/// # Errors
/// [`KeyError::Name`], and [`KeyError::Io`] when there is no randomness.
pub fn generate(name: &str, kind: KeyKind) -> Result<Signer, KeyError> {
    let mut seed = [0; 32];
    let drawn = rustix::rand::getrandom(&mut seed[..], rustix::rand::GetRandomFlags::empty());
    match drawn {
        Ok(32) => Ok(Signer::new(name, kind, &seed)?),
        Ok(_) => Err(KeyError::Io { file: "getrandom".into(), source: io::ErrorKind::UnexpectedEof.into() }),
        Err(error) => Err(KeyError::Io { file: "getrandom".into(), source: error.into() }),
    }
}

/// Writes a key to a new file, durably and for its owner only.
///
/// # Errors
/// [`KeyError::Io`], also when there is such a file already.
pub fn write(path: &Path, signer: &Signer, passphrase: Option<&str>) -> Result<(), KeyError> {
    let file = || path.display().to_string();
    let bytes = KeypairBytes { secret_key: *signer.seed(), public_key: None };
    let pem = match passphrase {
        None => bytes.to_pkcs8_pem(LineEnding::LF),
        Some(passphrase) => bytes.to_pkcs8_encrypted_pem(passphrase, LineEnding::LF),
    };
    let pem = pem.map_err(|error| KeyError::Content { file: file(), why: error.to_string() })?;
    let io = |source| KeyError::Io { file: file(), source };
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
    let written = writeln!(to, "{}", signer.public()).and_then(|()| to.write_all(pem.as_bytes()));
    written.and_then(|()| to.sync_all()).map_err(io)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
}

/// The public key that a key file begins with; the private part is not opened.
///
/// # Errors
/// [`KeyError`].
pub fn read_public(path: &Path) -> Result<VerifierKey, KeyError> {
    let (public, _) = read_parts(path)?;
    Ok(public)
}

/// The key in a file; `passphrase` is asked when it needs one.
///
/// # Errors
/// [`KeyError`].
pub fn read(path: &Path, passphrase: impl FnOnce() -> io::Result<String>) -> Result<Signer, KeyError> {
    let file = || path.display().to_string();
    let (public, pem) = read_parts(path)?;
    let bytes = if pem.starts_with(ENCRYPTED) {
        let passphrase = passphrase().map_err(|source| KeyError::Io { file: file(), source })?;
        KeypairBytes::from_pkcs8_encrypted_pem(&pem, passphrase)
            .map_err(|_| KeyError::Passphrase { file: file() })?
    } else {
        let read = KeypairBytes::from_pkcs8_pem(&pem);
        read.map_err(|error| KeyError::Content { file: file(), why: error.to_string() })?
    };
    let signer = Signer::new(public.name(), public.kind(), &bytes.secret_key)?;
    if *signer.public() != public {
        return Err(KeyError::Content { file: file(), why: "its two parts are of different keys".into() });
    }
    Ok(signer)
}

/// The passphrase that is the first line of a file.
///
/// # Errors
/// [`KeyError::Io`] and [`KeyError::Open`].
pub fn read_passphrase(path: &Path) -> Result<String, KeyError> {
    Ok(read_secret(path)?.lines().next().unwrap_or_default().to_owned())
}

/// The text of a file that is for its owner only.
fn read_secret(path: &Path) -> Result<String, KeyError> {
    let name = || path.display().to_string();
    let io = |source| KeyError::Io { file: name(), source };
    let file = File::open(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Open { file: name(), mode });
    }
    let mut text = String::new();
    file.take(FILE_LENGTH_MAX).read_to_string(&mut text).map_err(io)?;
    Ok(text)
}

fn read_parts(path: &Path) -> Result<(VerifierKey, String), KeyError> {
    let text = read_secret(path)?;
    let content = |why: String| KeyError::Content { file: path.display().to_string(), why };
    let (public, pem) = text.split_once('\n').ok_or_else(|| content("it has one line".into()))?;
    let public = public.parse().map_err(|error: NoteError| content(error.to_string()))?;
    Ok((public, pem.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, metadata, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    fn never() -> io::Result<String> {
        panic!("no passphrase is needed")
    }

    #[test]
    fn a_key_survives_its_file_with_a_passphrase_and_without() {
        let folder = tempfile::tempdir().unwrap();
        let signer = generate("bank.example/stele", KeyKind::Log).unwrap();
        let (open, locked) = (folder.path().join("open"), folder.path().join("locked"));
        write(&open, &signer, None).unwrap();
        write(&locked, &signer, Some("correct horse")).unwrap();
        assert_eq!(read(&open, never).unwrap().seed(), signer.seed());
        assert_eq!(read(&locked, || Ok("correct horse".into())).unwrap().seed(), signer.seed());
        assert!(matches!(read(&locked, || Ok("wrong".into())), Err(KeyError::Passphrase { .. })));
        assert_eq!(read_public(&locked).unwrap(), *signer.public());
        assert_eq!(metadata(&locked).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_there_already_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let signer = generate("bank.example/stele", KeyKind::Log).unwrap();
        write(&path, &signer, None).unwrap();
        assert!(matches!(write(&path, &signer, None), Err(KeyError::Io { .. })));
        set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read(&path, never), Err(KeyError::Open { mode: 0o640, .. })));
    }

    #[test]
    fn a_public_line_of_another_key_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write(&path, &generate("bank.example/stele", KeyKind::Log).unwrap(), None).unwrap();
        let other = generate("bank.example/stele", KeyKind::Log).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, pem) = text.split_once('\n').unwrap();
        std::fs::write(&path, format!("{}\n{pem}", other.public())).unwrap();
        assert!(matches!(read(&path, never), Err(KeyError::Content { .. })));
    }
}

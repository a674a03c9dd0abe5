//! Private keys in files, readable by their owner only, with or without a passphrase.
//!
//! ```text
//!  bank.example/stele+1a2b3c4d+AQ…              the public key, for publication
//!  -----BEGIN ENCRYPTED PRIVATE KEY-----        PKCS #8; with a passphrase scrypt and AES-256-CBC (PBES2)
//! ```
//!
//! The second part is the format of `openssl pkey` and other tools.

use super::note::{KeyKind, NoteError, Signer, VerifierKey};
use ed25519_dalek::pkcs8::KeypairBytes;
use pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The longest key file that is read, in bytes.
const FILE_LENGTH_MAX: u64 = 16 << 10;
const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// Why a key file cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// The cause.
        source: io::Error,
    },
    /// Other users can read the file.
    #[error(
        "{file} can be read by other users (mode {mode:03o}): run `chmod 600 {file}`; if someone read it, make a new key"
    )]
    Open {
        /// The file.
        file: String,
        /// Its permissions.
        mode: u32,
    },
    /// It does not hold a key of Stele.
    #[error("{file} does not hold a key of Stele: {why}")]
    Content {
        /// The file.
        file: String,
        /// The reason.
        why: String,
    },
    /// The passphrase is wrong.
    #[error("{file}: the passphrase is wrong")]
    Passphrase {
        /// The file.
        file: String,
    },
    /// The name is not valid for a key.
    #[error(transparent)]
    Name(#[from] NoteError),
}

/// Generates a key with this name from the kernel's random numbers.
///
/// # Errors
/// [`KeyError::Name`], and [`KeyError::Io`] when the kernel's random numbers are unavailable.
pub fn generate(name: &str, kind: KeyKind) -> Result<Signer, KeyError> {
    let mut seed = [0; 32];
    let drawn = rustix::rand::getrandom(&mut seed[..], rustix::rand::GetRandomFlags::empty());
    match drawn {
        Ok(32) => Ok(Signer::new(name, kind, &seed)?),
        Ok(_) => Err(KeyError::Io { file: "getrandom".into(), source: io::ErrorKind::UnexpectedEof.into() }),
        Err(error) => Err(KeyError::Io { file: "getrandom".into(), source: error.into() }),
    }
}

/// Writes a key to a new file, durably and readable by its owner only.
///
/// # Errors
/// [`KeyError::Io`], also when the file exists.
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

/// The public key at the beginning of a key file; the private part is not decrypted.
///
/// # Errors
/// [`KeyError`].
pub fn read_public(path: &Path) -> Result<VerifierKey, KeyError> {
    let (public, _) = read_parts(path)?;
    Ok(public)
}

/// Reads the key in a file; `passphrase` is called if it needs one.
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
        return Err(KeyError::Content { file: file(), why: "its two parts are from different keys".into() });
    }
    Ok(signer)
}

/// Reads a passphrase: the first line of a file.
///
/// # Errors
/// [`KeyError::Io`] and [`KeyError::Open`].
pub fn read_passphrase(path: &Path) -> Result<String, KeyError> {
    Ok(read_secret(path)?.lines().next().unwrap_or_default().to_owned())
}

/// Reads a file that must be readable by its owner only.
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
    let (public, pem) = text.split_once('\n').ok_or_else(|| content("it has only one line".into()))?;
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
    fn a_key_file_that_others_can_read_or_that_exists_is_refused() {
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

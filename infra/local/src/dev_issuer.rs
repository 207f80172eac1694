//! An issuer of tokens for trying things out: its key is a file beside the data, so it needs no network and nobody
//! else can sign for it.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use jiff::Timestamp;
use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{Jwk, JwkSet},
};
use serde::Serialize;
use shared::auth::{Authenticator, KeySet, KeySetError, Policy, PolicyError};
use tempfile::NamedTempFile;

use crate::lock::make_folder;

/// `iss` of its tokens.
const ISSUER: &str = "urn:rebatch:dev";
/// `aud` of its tokens.
const AUDIENCE: &str = "urn:rebatch:local";
/// Name of the file with its key, a private key in PKCS #8.
const KEY_FILE: &str = "dev-issuer.pk8";
/// Far longer than the file is.
const MAX_KEY_FILE: u64 = 4096;

/// An issuer whose key is on this machine.
#[derive(Debug)]
pub struct DevIssuer {
    key: EncodingKey,
    file: PathBuf,
    is_new: bool,
}

/// What a token of the issuer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The name of the caller.
    pub name: String,
    /// What they may do.
    pub scopes: Vec<String>,
    /// How long the token is good for.
    pub lifetime: Duration,
}

/// Why there is no issuer, or no token of it.
#[derive(Debug, thiserror::Error)]
pub enum DevIssuerError {
    /// The file of the key, or its folder, cannot be read or made.
    #[error("{}: cannot be used: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could sign tokens, too.
    #[error("{}: is open to others: chmod 600 it, or delete it to have a new one", .0.display())]
    Exposed(PathBuf),
    /// What is in the file is no key.
    #[error("{}: does not hold a key: delete it to have a new one", .0.display())]
    NoKey(PathBuf),
    /// There is no file.
    #[error(
        "{}: there is no key: start the host with --auth jwt over this data file, or make one with --new-key",
        .0.display()
    )]
    Missing(PathBuf),
    /// The system has no random numbers, or the like.
    #[error("no key can be made, or no token signed with it")]
    Crypto,
    /// The own key is not accepted as one.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    /// The own policy is not accepted as one.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    scp: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl DevIssuer {
    /// The issuer beside a data file.
    pub fn beside(data: &Path) -> Result<Self, DevIssuerError> {
        let (_, path) = places(data);
        let failed = |source| DevIssuerError::File { path: path.clone(), source };
        if !path.try_exists().map_err(failed)? {
            return Err(DevIssuerError::Missing(path));
        }
        Self::of(path, false)
    }

    /// The issuer beside a data file; made when there is none.
    pub fn beside_or_new(data: &Path) -> Result<Self, DevIssuerError> {
        let (folder, path) = places(data);
        let failed = |source| DevIssuerError::File { path: path.clone(), source };
        let is_new = !path.try_exists().map_err(failed)?
            && make_folder(folder).and_then(|()| write_key(folder, &path)).map_err(failed)?;
        Self::of(path, is_new)
    }

    /// The file of its key.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Whether its key was made just now.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    fn of(path: PathBuf, is_new: bool) -> Result<Self, DevIssuerError> {
        let failed = |source| DevIssuerError::File { path: path.clone(), source };
        let file = File::open(&path).map_err(failed)?;
        if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(DevIssuerError::Exposed(path));
        }
        let mut pkcs8 = Vec::new();
        file.take(MAX_KEY_FILE).read_to_end(&mut pkcs8).map_err(failed)?;
        match EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8) {
            Ok(_) => Ok(Self { key: EncodingKey::from_ec_der(&pkcs8), file: path, is_new }),
            Err(_) => Err(DevIssuerError::NoKey(path)),
        }
    }

    /// Accepts its tokens and no others.
    pub fn authenticator(&self) -> Result<Authenticator, DevIssuerError> {
        let key = Jwk::from_encoding_key(&self.key, Algorithm::ES256).map_err(|_| DevIssuerError::Crypto)?;
        let json = serde_json::to_vec(&JwkSet { keys: vec![key] }).map_err(|_| DevIssuerError::Crypto)?;
        let policy = Policy::new(&[ISSUER.into()], &[AUDIENCE.into()], &["ES256".into()], Policy::LEEWAY)?;
        Ok(Authenticator::with_keys(policy, KeySet::parse(&json)?))
    }

    /// A token.
    pub fn token(&self, grant: &Grant, now: Timestamp) -> Result<String, DevIssuerError> {
        let iat = now.as_second();
        let claims = Claims {
            iss: ISSUER,
            aud: AUDIENCE,
            sub: &grant.name,
            scp: grant.scopes.join(" "),
            iat,
            nbf: iat,
            exp: iat.saturating_add_unsigned(grant.lifetime.as_secs()),
        };
        encode(&Header::new(Algorithm::ES256), &claims, &self.key).map_err(|_| DevIssuerError::Crypto)
    }
}

/// The folder of a data file, and the file of the key in it.
fn places(data: &Path) -> (&Path, PathBuf) {
    let folder = data.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    (folder, folder.join(KEY_FILE))
}

/// Makes a key that only its owner can read. Of several that are made at the same time the first stays; whether this one
/// does.
fn write_key(folder: &Path, path: &Path) -> io::Result<bool> {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(pkcs8.map_err(io::Error::other)?.as_ref())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use shared::{auth::Grants, batch::Headers};

    use super::*;

    fn grant(name: &str) -> Grant {
        Grant {
            name: name.into(),
            scopes: vec!["data.read".into(), "jobs.requeue".into()],
            lifetime: Duration::from_mins(1),
        }
    }

    async fn name(issuer: &DevIssuer, token: &str, now: Timestamp) -> Option<(String, Grants)> {
        let mut headers = Headers::new();
        headers.try_append("authorization", &format!("Bearer {token}")).unwrap();
        let caller = issuer.authenticator().unwrap().authenticate(&headers, now).await.ok()?;
        Some((caller.name, caller.grants))
    }

    #[tokio::test]
    async fn its_tokens_are_good_wherever_its_key_is() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("below/data.db");
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let made = DevIssuer::beside_or_new(&data).unwrap();
        let token = made.token(&grant("alice"), now).unwrap();
        let same = DevIssuer::beside(&data).unwrap();
        let scopes = Grants::Named(["data.read".to_owned(), "jobs.requeue".to_owned()].into());
        assert_eq!(name(&same, &token, now).await, Some(("alice".to_owned(), scopes)));
        let later = Timestamp::from_second(1_800_000_120).unwrap();
        assert_eq!(name(&same, &token, later).await, None);
        let other = DevIssuer::beside_or_new(&folder.path().join("other.db")).unwrap();
        assert_eq!(name(&other, &token, now).await, None);
        assert!(!format!("{same:?}").contains("PRIVATE") && format!("{same:?}").contains("redacted"));
    }

    #[test]
    fn its_key_is_made_where_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let (data, key) = (folder.path().join("below/data.db"), folder.path().join("below").join(KEY_FILE));
        let missing = DevIssuer::beside(&data).unwrap_err();
        assert!(matches!(&missing, DevIssuerError::Missing(path) if *path == key), "{missing}");
        assert!(missing.to_string().contains("--auth jwt") && missing.to_string().contains("--new-key"));
        assert!(!folder.path().join("below").exists());
        for is_new in [true, false] {
            let issuer = DevIssuer::beside_or_new(&data).unwrap();
            assert_eq!((issuer.file(), issuer.is_new()), (key.as_path(), is_new));
        }
        assert!(!DevIssuer::beside(&data).unwrap().is_new());
    }

    #[test]
    fn its_key_is_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let (data, key) = (folder.path().join("data.db"), folder.path().join(KEY_FILE));
        DevIssuer::beside_or_new(&data).unwrap();
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(DevIssuer::beside(&data), Err(DevIssuerError::Exposed(_))));
        fs::write(&key, "no key").unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(DevIssuer::beside(&data), Err(DevIssuerError::NoKey(_))));
    }
}

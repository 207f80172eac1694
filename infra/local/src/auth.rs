//! From the options of the command line to an [`Authenticator`].

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use local::dev_issuer::{DevIssuer, DevIssuerError};
use shared::{
    auth::{AuthConfigError, Authenticator, JwtConfig, KeySet, KeySetError, Tokens, TokensError},
    text_file::{self, NotText, Position},
};

use crate::cli::{Auth, AuthMode};

/// The variable that has the token, where no file does.
const TOKEN_VARIABLE: &str = "REBATCH_TOKEN";
/// Longer than any file of tokens or keys.
const MAX_FILE: u64 = 1 << 20;

/// Why authentication is not set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    #[error("--{option} is for --auth {mode}")]
    Unused { option: &'static str, mode: &'static str },
    #[error("--auth token needs --token-file, or the variable {TOKEN_VARIABLE}")]
    NoToken,
    #[error("--issuer needs --{0}")]
    Incomplete(&'static str),
    #[error("--{0} needs --issuer")]
    NoIssuer(&'static str),
    #[error("{}: cannot be read: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: has more than {MAX_FILE} bytes", .0.display())]
    FileSize(PathBuf),
    #[error("{}: {problem}", place(path, problem.position()))]
    Keys { path: PathBuf, problem: KeySetError },
    #[error("{}: {problem}", place(path, Some(problem.position())))]
    NotText { path: PathBuf, problem: NotText },
    #[error("{}: {problem}", place(path, Some(*position)))]
    TokenFile { path: PathBuf, position: Position, problem: TokensError },
    #[error("{TOKEN_VARIABLE}: {0}")]
    Tokens(#[from] TokensError),
    #[error(transparent)]
    Config(#[from] AuthConfigError),
    #[error(transparent)]
    DevIssuer(#[from] DevIssuerError),
}

impl AuthError {
    /// Whether it is a mistake in the command line or in a variable, and not in a file.
    pub(crate) fn is_misuse(&self) -> bool {
        match self {
            Self::Unused { .. }
            | Self::NoToken
            | Self::Incomplete(_)
            | Self::NoIssuer(_)
            | Self::Tokens(_)
            | Self::Config(_) => true,
            Self::File { .. }
            | Self::FileSize(_)
            | Self::Keys { .. }
            | Self::NotText { .. }
            | Self::TokenFile { .. }
            | Self::DevIssuer(_) => false,
        }
    }
}

/// A file, and where in it.
fn place(path: &Path, position: Option<Position>) -> String {
    position.map_or_else(|| path.display().to_string(), |position| format!("{}:{position}", path.display()))
}

/// What the options say about who is let in. `data` is where the dev issuer's key is beside; `var` reads the environment.
pub(crate) fn authenticator(
    options: &Auth,
    data: &Path,
    var: impl Fn(&str) -> Option<String>,
) -> Result<Authenticator, AuthError> {
    check(options)?;
    Ok(match options.mode {
        AuthMode::None => Authenticator::Open,
        AuthMode::Token => Authenticator::Token(tokens(options, var)?),
        AuthMode::Jwt if options.issuer.is_empty() => {
            let issuer = DevIssuer::beside_or_new(data)?;
            let (key, made) = (issuer.file().display(), issuer.is_new());
            tracing::warn!(%key, made, "the dev issuer's tokens are accepted: for trying things out");
            issuer.authenticator()?
        }
        AuthMode::Jwt => issuer(options)?,
    })
}

/// Options that would have no effect are mistakes.
fn check(options: &Auth) -> Result<(), AuthError> {
    let of_issuer = [
        ("audience", !options.audience.is_empty()),
        ("jwks", options.jwks.is_some()),
        ("algorithm", !options.algorithm.is_empty()),
        ("jwks-ttl", options.jwks_ttl.is_some()),
    ];
    let given = |options: &[(&'static str, bool)]| options.iter().find(|(_, given)| *given).map(|(option, _)| *option);
    if options.mode != AuthMode::Token && options.token_file.is_some() {
        return Err(AuthError::Unused { option: "token-file", mode: "token" });
    }
    if options.mode == AuthMode::Jwt {
        return match given(&of_issuer) {
            Some(option) if options.issuer.is_empty() => Err(AuthError::NoIssuer(option)),
            _ => Ok(()),
        };
    }
    let issuer = (!options.issuer.is_empty()).then_some("issuer");
    issuer.or_else(|| given(&of_issuer)).map_or(Ok(()), |option| Err(AuthError::Unused { option, mode: "jwt" }))
}

fn tokens(options: &Auth, var: impl Fn(&str) -> Option<String>) -> Result<Tokens, AuthError> {
    let Some(path) = &options.token_file else {
        return Ok(Tokens::parse(&var(TOKEN_VARIABLE).ok_or(AuthError::NoToken)?)?);
    };
    let bytes = read(path)?;
    let text = text_file::decode(&bytes).map_err(|problem| AuthError::NotText { path: path.clone(), problem })?;
    Tokens::parse(text).map_err(|problem| {
        // The first one that cannot be a token by itself.
        let wrong = text.split_whitespace().find(|token| Tokens::parse(token).is_err());
        let offset = wrong.map_or(0, |token| token.as_ptr().addr().saturating_sub(text.as_ptr().addr()));
        AuthError::TokenFile { path: path.clone(), position: Position::of(text, offset), problem }
    })
}

fn issuer(options: &Auth) -> Result<Authenticator, AuthError> {
    let keys = options.jwks.clone().ok_or(AuthError::Incomplete("jwks"))?;
    if options.audience.is_empty() {
        return Err(AuthError::Incomplete("audience"));
    }
    let default = JwtConfig::default();
    let authenticator = Authenticator::jwt(&JwtConfig {
        issuers: options.issuer.clone(),
        audiences: options.audience.clone(),
        algorithms: options.algorithm.clone(),
        keys_lifetime: options.jwks_ttl.map_or(default.keys_lifetime, Duration::from_secs),
        keys: keys.clone(),
        ..default
    })?;
    // A file that is wrong now is a mistake; an issuer that is down now may be up when its keys are needed.
    if !keys.contains("://") {
        let path = PathBuf::from(keys);
        KeySet::parse(&read(&path)?).map_err(|problem| AuthError::Keys { path, problem })?;
    }
    Ok(authenticator)
}

fn read(path: &Path) -> Result<Vec<u8>, AuthError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    let read = read.map_err(|source| AuthError::File { path: path.to_owned(), source })?;
    if u64::try_from(read).is_ok_and(|read| read > MAX_FILE) {
        return Err(AuthError::FileSize(path.to_owned()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn options(mode: AuthMode) -> Auth {
        Auth { mode, ..Auth::default() }
    }

    fn refused(options: &Auth, token: Option<&str>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data.db");
        authenticator(options, &data, |_| token.map(str::to_owned)).err().unwrap().to_string()
    }

    #[test]
    fn tokens_come_from_a_file_or_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
        let from_file = Auth { token_file: Some(path.clone()), ..options(AuthMode::Token) };
        let from_file_only = authenticator(&from_file, &path, |_| None).unwrap();
        assert!(matches!(from_file_only, Authenticator::Token(_)));
        let from_variable = authenticator(&options(AuthMode::Token), &path, |_| Some(TOKEN.into())).unwrap();
        assert!(matches!(from_variable, Authenticator::Token(_)));
        assert!(refused(&options(AuthMode::Token), None).contains(TOKEN_VARIABLE));
        assert!(refused(&options(AuthMode::Token), Some("secret")).contains("6 characters"));
        std::fs::remove_file(&path).unwrap();
        assert!(refused(&from_file, Some(TOKEN)).contains("cannot be read"));
    }

    #[test]
    fn options_without_effect_are_refused() {
        let path = Some(PathBuf::from("f"));
        let cases = [
            (Auth { token_file: path, ..options(AuthMode::Jwt) }, "--token-file is for --auth token"),
            (Auth { issuer: vec!["i".into()], ..options(AuthMode::None) }, "--issuer is for --auth jwt"),
            (Auth { jwks_ttl: Some(1), ..options(AuthMode::Token) }, "--jwks-ttl is for --auth jwt"),
            (Auth { jwks: Some("f".into()), ..options(AuthMode::Jwt) }, "--jwks needs --issuer"),
            (Auth { issuer: vec!["i".into()], ..options(AuthMode::Jwt) }, "--issuer needs --jwks"),
        ];
        for (options, message) in cases {
            assert_eq!(refused(&options, Some(TOKEN)), message);
        }
    }

    #[test]
    fn a_key_file_is_read_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let with = Auth {
            issuer: vec!["https://issuer.example".into()],
            audience: vec!["a".into()],
            jwks: Some(path.to_str().unwrap().into()),
            ..options(AuthMode::Jwt)
        };
        assert!(refused(&with, None).contains("cannot be read"));
        std::fs::write(&path, r#"{"keys":[]}"#).unwrap();
        assert!(refused(&with, None).contains("no key"));
        let elsewhere = Auth { jwks: Some("http://issuer.example/keys".into()), ..with };
        assert!(refused(&elsewhere, None).contains("https"));
    }
}

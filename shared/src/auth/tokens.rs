//! Tokens that the host knows, instead of an issuer that signs them.

use std::{fmt, sync::Arc};

use subtle::{Choice, ConstantTimeEq};

use super::bearer::{MAX_TOKEN, is_token};

/// The shortest token that may be configured, in characters.
pub const MIN_TOKEN: usize = 32;

/// Tokens, each of which lets a caller in. `Debug` says how many there are.
#[derive(Clone)]
pub struct Tokens(Arc<[String]>);

/// Why tokens cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokensError {
    /// There is none.
    #[error("there is no token")]
    None,
    /// One is too short to be a secret, or too long to be looked at.
    #[error("a token has {got} characters; {MIN_TOKEN} to {MAX_TOKEN} are possible")]
    Length {
        /// How many it has.
        got: usize,
    },
    /// One could not be sent.
    #[error("a token has a character other than letters, digits and -._~+/=")]
    Characters,
}

impl Tokens {
    /// The tokens that stand in a text, separated by white space: one, or two while the old one is being replaced.
    pub fn parse(text: &str) -> Result<Self, TokensError> {
        let tokens: Arc<[String]> = text.split_whitespace().map(str::to_owned).collect();
        if tokens.is_empty() {
            return Err(TokensError::None);
        }
        for token in tokens.iter() {
            if !is_token(token) {
                return Err(TokensError::Characters);
            }
            if !(MIN_TOKEN..=MAX_TOKEN).contains(&token.len()) {
                return Err(TokensError::Length { got: token.len() });
            }
        }
        Ok(Self(tokens))
    }

    /// Whether this is one of them. How long the answer takes does not tell how much of it is right.
    pub fn contain(&self, token: &str) -> bool {
        let same = |known: &String| known.as_bytes().ct_eq(token.as_bytes());
        self.0.iter().map(same).fold(Choice::from(0), |any, this| any | this).into()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({} redacted)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "0123456789abcdef0123456789abcdef";
    const NEW: &str = "fedcba9876543210fedcba9876543210+/==";

    #[test]
    fn each_of_them_is_known_and_nothing_else() {
        let tokens = Tokens::parse(&format!(" {OLD}\n{NEW}\n")).unwrap();
        assert!(tokens.contain(OLD) && tokens.contain(NEW));
        for other in ["", &OLD[1..], &OLD.to_uppercase(), &format!("{OLD}{NEW}"), &format!("{OLD}0")] {
            assert!(!tokens.contain(other), "{other}");
        }
        assert_eq!(format!("{tokens:?}"), "Tokens(2 redacted)");
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        assert_eq!(Tokens::parse(" \n").unwrap_err(), TokensError::None);
        assert_eq!(Tokens::parse(&OLD[1..]).unwrap_err(), TokensError::Length { got: 31 });
        assert_eq!(Tokens::parse(&format!("{OLD}\"")).unwrap_err(), TokensError::Characters);
    }
}

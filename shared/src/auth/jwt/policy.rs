//! What a token must say.

use std::time::Duration;

use jsonwebtoken::{Algorithm, AlgorithmFamily, Validation};

/// The algorithms that are allowed unless others are named.
const ALGORITHMS: [&str; 2] = ["RS256", "ES256"];
/// Clocks that differ more than this should be set.
const MAX_LEEWAY: Duration = Duration::from_mins(5);

/// Which tokens are accepted: issuers, audiences, algorithms, and how far clocks may differ.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What the library checks, for each algorithm that is allowed.
    validations: Vec<Validation>,
    /// Seconds.
    pub(super) leeway: i64,
}

/// Why tokens cannot be accepted by such a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Whoever may sign anything may be anybody.
    #[error("no issuer is named")]
    NoIssuer,
    /// A token for another service would do.
    #[error("no audience is named")]
    NoAudience,
    /// Not an algorithm, or one that needs the issuer's secret to verify.
    #[error("'{0}' is not an algorithm of public keys: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA")]
    Algorithm(String),
    /// More than clocks differ.
    #[error("a leeway of {0} seconds is more than {max}", max = MAX_LEEWAY.as_secs())]
    Leeway(u64),
}

impl Policy {
    /// How far clocks may differ unless something else is said.
    pub const LEEWAY: Duration = Duration::from_mins(1);

    /// Tokens of any of these issuers for any of these audiences. Without algorithms, RS256 and ES256.
    pub fn new(
        issuers: &[String],
        audiences: &[String],
        algorithms: &[String],
        leeway: Duration,
    ) -> Result<Self, PolicyError> {
        if issuers.is_empty() {
            return Err(PolicyError::NoIssuer);
        }
        if audiences.is_empty() {
            return Err(PolicyError::NoAudience);
        }
        if leeway > MAX_LEEWAY {
            return Err(PolicyError::Leeway(leeway.as_secs()));
        }
        let defaults = ALGORITHMS.map(str::to_owned);
        let algorithms = if algorithms.is_empty() { defaults.as_slice() } else { algorithms };
        let validation = |name: &String| Ok(validation(algorithm(name)?, issuers, audiences));
        Ok(Self {
            validations: algorithms.iter().map(validation).collect::<Result<_, PolicyError>>()?,
            leeway: i64::try_from(leeway.as_secs()).unwrap_or(0),
        })
    }

    /// What is checked of a token with this algorithm; `None` when it is not allowed.
    pub(super) fn validation(&self, algorithm: Algorithm) -> Option<&Validation> {
        self.validations.iter().find(|validation| validation.algorithms.contains(&algorithm))
    }
}

fn algorithm(name: &str) -> Result<Algorithm, PolicyError> {
    let known = name.parse().ok().filter(|algorithm: &Algorithm| algorithm.family() != AlgorithmFamily::Hmac);
    known.ok_or_else(|| PolicyError::Algorithm(name.to_owned()))
}

/// Times are left out: the library would ask its own clock.
fn validation(algorithm: Algorithm, issuers: &[String], audiences: &[String]) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(issuers);
    validation.set_audience(audiences);
    validation.set_required_spec_claims(&["iss", "aud", "exp"]);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}

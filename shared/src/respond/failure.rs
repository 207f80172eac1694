//! Why a request, or a batch as a whole, is not carried out. [`super::error_response`] maps it to HTTP.

use crate::{
    auth::AuthError, cors::ForeignOrigin, exchange::Unread, plan::PlanError, repeat::RepeatFault, store::StoreError,
    uri::UriError, wire::DecodeError,
};

/// Why a request fails.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The table did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The batch as a whole is refused; nothing of it was run.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Its body could not be taken, or there is too much to do.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// It is not known who makes it.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// A web page makes it that may not write.
    #[error(transparent)]
    Foreign(#[from] ForeignOrigin),
    /// No service has this path.
    #[error("there is no service at this path")]
    NoService,
    /// The host answers one request of the service, and this is another.
    #[error("only {only} is answered here; another function answers everything else")]
    NotServed {
        /// Name of the action that it answers.
        only: &'static str,
    },
}

impl Failure {
    /// Whether the same request may succeed when it is sent again: the service could not decide it.
    pub fn is_undecided(&self) -> bool {
        match self {
            Self::Store(error) => !matches!(error, StoreError::ItemTooLarge),
            Self::Plan(error) => matches!(error, PlanError::Internal | PlanError::Repeat(RepeatFault::Suspended)),
            Self::Batch(_)
            | Self::Unread(_)
            | Self::Auth(_)
            | Self::Foreign(_)
            | Self::NoService
            | Self::NotServed { .. } => false,
        }
    }

    /// Whether the request is a repeat, and was refused once.
    pub fn is_repeated(&self) -> bool {
        matches!(self, Self::Plan(PlanError::Answered(answered)) if answered.code.is_none())
    }
}

/// Why a batch is refused as a whole, before anything of it runs.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// Its body cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// `$batch` is called with another method than POST.
    #[error("$batch takes POST requests only")]
    Method {
        /// The method it takes.
        allow: &'static str,
    },
    /// Not even the answers that say of each operation that it was not run have room.
    #[error("the answers of the batch would be larger than {max} bytes whatever they say; nothing of it was run")]
    AnswerTooLarge {
        /// What an answer may weigh.
        max: usize,
    },
    /// No form of answer that the client accepts.
    #[error("a batch is answered as application/json or multipart/mixed; '{0}' asks for neither")]
    NotAcceptable(String),
    /// The body is compressed.
    #[error("the content encoding '{0}' is not supported")]
    ContentEncoding(String),
    /// A header that a batch request may not have.
    #[error("header '{name}': {reason}")]
    Header {
        /// Header name.
        name: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// A query option that `$batch` does not have.
    #[error(transparent)]
    Option(#[from] UriError),
    /// A query option that the dialect gives a meaning to and that is not carried out.
    #[error(transparent)]
    Unsupported(UriError),
    /// A URL refers to a request that does not stand before it.
    #[error("request {position}: Content-ID Reference: '${id}' does not exist in the batch context.")]
    Reference {
        /// Position of the request, from 1.
        position: usize,
        /// The id.
        id: String,
    },
}

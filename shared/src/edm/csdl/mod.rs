//! Reads a model from CSDL XML 4.0 and 4.01: one pass over the document, then the references are resolved.

mod annotation;
mod capability;
mod check;
mod declared;
mod expression;
mod facets;
mod resolve;
mod sets;
mod source;

use bytes::Bytes;
use thiserror::Error;

use super::Model;
use crate::text_file::{self, NotText, Position};
use source::Fault;

/// What is wrong with a CSDL document, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("CSDL line {}, column {}: {problem}", position.line, position.column)]
pub struct CsdlError {
    /// Where it is.
    pub position: Position,
    /// What is wrong.
    pub problem: CsdlProblem,
}

/// What is wrong with a CSDL document.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the fields are named by the messages")]
pub enum CsdlProblem {
    /// The document is no text.
    #[error(transparent)]
    NotText(NotText),
    /// The document is not well-formed.
    #[error("{0}")]
    Xml(String),
    /// An attribute that must be there is not.
    #[error("<{element}> has no {attribute}")]
    MissingAttribute { element: String, attribute: &'static str },
    /// An attribute's value has not the form it must have.
    #[error("'{value}' is no value for {attribute} of '{owner}'")]
    BadAttribute { owner: String, attribute: &'static str, value: String },
    /// A type that is declared nowhere.
    #[error("the type '{0}' is not declared")]
    UnknownType(String),
    /// A name that is declared twice.
    #[error("'{0}' is declared twice")]
    Duplicate(String),
    /// A key or a referential constraint names a property that is not there.
    #[error("'{type_name}' has no property '{property}'")]
    UnknownProperty { type_name: String, property: String },
    /// A type that derives from itself.
    #[error("'{0}' derives from itself")]
    Cycle(String),
    /// Entities of a collection are told apart by their keys.
    #[error("entity type '{type_name}' has no key, and {of} needs one")]
    NoKey { type_name: String, of: String },
    /// A navigation property binding leads to no entity set.
    #[error("the entity set '{0}' is not declared")]
    UnknownSet(String),
}

impl Model {
    /// Reads a CSDL document (CSDL XML 4.01). Operations, singletons and annotations that mean nothing to this
    /// service are passed over, and so are collections of `Edm.Stream`. A Decimal without `Scale` takes any.
    pub fn from_csdl(xml: impl Into<Bytes>) -> Result<Self, CsdlError> {
        let document: Bytes = xml.into();
        let text = text_file::decode(&document)
            .map_err(|error| CsdlError { position: error.position(), problem: CsdlProblem::NotText(error) })?;
        declared::read(text)
            .and_then(|declared| resolve::model(declared, document.clone()))
            .map_err(|Fault { offset, problem }| CsdlError { position: Position::of(text, offset), problem })
    }
}

#[cfg(test)]
mod tests;

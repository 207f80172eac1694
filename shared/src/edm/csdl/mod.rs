//! Reads a model from CSDL XML 4.0 and 4.01: one pass over the document, then the references are resolved.

mod annotation;
mod capability;
mod declared;
mod expression;
mod facets;
mod resolve;
mod source;

use bytes::Bytes;
use thiserror::Error;

use super::Model;
use source::Fault;

/// What is wrong with a CSDL document, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("CSDL line {line}, column {column}: {problem}")]
pub struct CsdlError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: CsdlProblem,
}

/// What is wrong with a CSDL document.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the fields are named by the messages")]
pub enum CsdlProblem {
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
    /// A navigation property binding leads to no entity set.
    #[error("the entity set '{0}' is not declared")]
    UnknownSet(String),
}

impl Model {
    /// Reads a CSDL document (CSDL XML 4.01). Operations, singletons and annotations that mean nothing to this
    /// service are passed over, and so are collections of `Edm.Stream`. A Decimal without `Scale` takes any.
    pub fn from_csdl(xml: impl Into<Bytes>) -> Result<Self, CsdlError> {
        let document: Bytes = xml.into();
        let text = match std::str::from_utf8(&document) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
            Err(error) => {
                let (valid, _) = document.split_at(error.valid_up_to());
                let fault = Fault { offset: valid.len(), problem: CsdlProblem::Xml("invalid UTF-8".into()) };
                return Err(located(&String::from_utf8_lossy(valid), fault));
            }
        };
        declared::read(text)
            .and_then(|declared| resolve::model(declared, document.clone()))
            .map_err(|fault| located(text, fault))
    }
}

/// Turns the offset of a fault into line and column.
fn located(text: &str, fault: Fault) -> CsdlError {
    let before = text.get(..fault.offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    CsdlError {
        line: before.matches('\n').count() + 1,
        column: before.get(line_start..).map_or(0, |line| line.chars().count()) + 1,
        problem: fault.problem,
    }
}

#[cfg(test)]
mod tests;

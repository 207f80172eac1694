//! Constant annotation expressions (CSDL 4.01 §14.3–14.4), of an `Annotation` or a `PropertyValue`.

use super::source::{Element, Fault, Source};

/// Constants that an element may have as an attribute, and children of which it may be the text.
const CONSTANTS: [&str; 5] = ["Bool", "String", "EnumMember", "PropertyPath", "NavigationPropertyPath"];

/// A value that does not depend on any data.
#[derive(Debug, PartialEq)]
pub(super) enum Expression {
    /// A constant, as its text.
    Constant(String),
    /// The members of a record.
    Record(Vec<(String, Expression)>),
    /// The items of a collection.
    Collection(Vec<Expression>),
    /// None, or one that depends on data.
    Other,
}

impl Expression {
    /// Reads the value of the element just met, to its end.
    pub(super) fn of(source: &mut Source<'_>, element: &Element) -> Result<Self, Fault> {
        let attribute = CONSTANTS.iter().find_map(|name| element.get(name));
        let mut value = attribute.map_or(Self::Other, |text| Self::Constant(text.to_owned()));
        while let Some(child) = source.child()? {
            match Self::child(source, &child)? {
                Self::Other => {}
                found => value = found,
            }
        }
        Ok(value)
    }

    /// Reads an expression that is an element of its own.
    fn child(source: &mut Source<'_>, child: &Element) -> Result<Self, Fault> {
        match child.name() {
            "Record" => {
                let mut members = Vec::new();
                while let Some(member) = source.child()? {
                    if member.name() == "PropertyValue" {
                        members.push((member.require("Property")?, Self::of(source, &member)?));
                    } else {
                        source.skip()?;
                    }
                }
                Ok(Self::Record(members))
            }
            "Collection" => {
                let mut items = Vec::new();
                while let Some(item) = source.child()? {
                    items.push(Self::child(source, &item)?);
                }
                Ok(Self::Collection(items))
            }
            name if CONSTANTS.contains(&name) => Ok(Self::Constant(source.text()?)),
            _ => {
                source.skip()?;
                Ok(Self::Other)
            }
        }
    }

    /// A member of a record.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        let Self::Record(members) = self else { return None };
        members.iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// The items of a collection; none of anything else.
    pub(super) fn items(&self) -> &[Self] {
        if let Self::Collection(items) = self { items } else { &[] }
    }

    /// A constant's text.
    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Constant(text) = self { Some(text) } else { None }
    }

    /// A Boolean constant.
    pub(super) fn flag(&self) -> Option<bool> {
        match self.text()? {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }
}

//! Values written in a `service.toml`, read as the JSON that a client would have sent.

use bigdecimal::BigDecimal;
use serde_json::value::RawValue;
use toml::{Table, Value as Toml};

use super::Problem;
use crate::edm::{self, Model, PrimitiveType, Record, StructuredType, TypeId, TypeKind, Value};

/// The value of one property.
pub(super) fn value(model: &Model, id: TypeId, position: usize, toml: &Toml) -> Result<Value, Problem> {
    let ty = model.ty(id);
    let Some(property) = ty.properties.get(position) else {
        return Err(Problem::UnknownProperty { ty: ty.qualified_name.clone(), name: position.to_string() });
    };
    let body = format!("{{\"value\":{}}}", json(toml, is_decimal(ty, &property.name))?);
    edm::read_property(model, &property.ty, &property.name, body.as_bytes())
        .map_err(|error| Problem::Value { property: property.name.clone(), error: Box::new(error) })
}

/// The values of an entity.
pub(super) fn record(model: &Model, id: TypeId, table: &Table) -> Result<Record, Problem> {
    let ty = model.ty(id);
    let mut members = Vec::with_capacity(table.len());
    for (name, toml) in table {
        if ty.property(name).is_none() && !ty.is_open {
            return Err(Problem::UnknownProperty { ty: ty.qualified_name.clone(), name: name.clone() });
        }
        members.push(format!("{}:{}", json_string(name), json(toml, is_decimal(ty, name))?));
    }
    let body = format!("{{{}}}", members.join(","));
    let payload = edm::read_entity(model, id, body.as_bytes()).map_err(|error| {
        let property = error.property().map_or_else(|| table.keys().cloned().collect(), str::to_owned);
        Problem::Value { property, error: Box::new(error) }
    })?;
    Ok(payload.record)
}

fn is_decimal(ty: &StructuredType, name: &str) -> bool {
    ty.property(name)
        .and_then(|position| ty.properties.get(position))
        .is_some_and(|property| property.ty.kind == TypeKind::Primitive(PrimitiveType::Decimal))
}

/// JSON text. A decimal may be written as a TOML string, which keeps digits that TOML's floats do not.
fn json(toml: &Toml, decimal: bool) -> Result<String, Problem> {
    match toml {
        Toml::String(text) if decimal && text.parse::<BigDecimal>().is_ok() => {
            // BigDecimal reads forms that JSON has not (`+1`, `.5`); those stay strings and are refused by their type.
            Ok(serde_json::from_str::<&RawValue>(text).map_or_else(|_| json_string(text), |raw| raw.get().to_owned()))
        }
        Toml::String(text) => Ok(json_string(text)),
        Toml::Datetime(time) => Ok(json_string(&time.to_string())),
        other => serde_json::to_string(other).map_err(|error| Problem::Json(error.to_string())),
    }
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

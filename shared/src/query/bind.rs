//! Binds a filter to a type: names become positions, literals take the type of what they are compared with.

use super::{Predicate, QueryError, operand::Operand, predicate::Condition};
use crate::{
    edm::{
        EntityKey, Model, NavigationProperty, PrimitiveType, Property, PropertyType, StructuredType, TypeId, TypeKind,
        Value, ValueError, parse_literal,
    },
    uri::{Expr, Function, LiteralShape, Operator},
};

/// Binds a filter to the type whose entities it will test.
///
/// With `ignore_case`, strings compare in lower case. A path through a single-valued navigation may name what the
/// entity itself keeps: the key of the target, or a property under a referential constraint.
pub fn bind(model: &Model, ty: TypeId, expr: &Expr, ignore_case: bool) -> Result<Predicate, QueryError> {
    let binder = Binder { model, ty: model.ty(ty), ignore_case };
    Ok(Predicate { condition: binder.condition(expr)?, ignore_case })
}

struct Binder<'a> {
    model: &'a Model,
    ty: &'a StructuredType,
    ignore_case: bool,
}

/// One side of a comparison, before its partner is known.
enum Side<'a> {
    Literal(&'a str),
    Property(Vec<usize>, &'a PropertyType),
    /// A single-valued navigation.
    Link(usize, &'a NavigationProperty),
    /// The only key property of the target of a single-valued navigation.
    LinkKey(usize, &'a PropertyType),
    Condition(Condition),
}

impl<'a> Binder<'a> {
    fn condition(&self, expr: &'a Expr) -> Result<Condition, QueryError> {
        let all = |parts: &'a [Expr]| parts.iter().map(|part| self.condition(part)).collect::<Result<Vec<_>, _>>();
        match expr {
            Expr::And(parts) => all(parts).map(Condition::All),
            Expr::Or(parts) => all(parts).map(Condition::Any),
            Expr::Not(part) => self.condition(part).map(|part| Condition::Not(Box::new(part))),
            Expr::Compare { operator, left, right } => self.compare(*operator, self.side(left)?, self.side(right)?),
            Expr::Call { function, args } => self.text(*function, args),
            Expr::Literal(text) => match LiteralShape::of(text) {
                Some(LiteralShape::Null | LiteralShape::Boolean) => {
                    self.literal(text, &plain(PrimitiveType::Boolean)).map(Condition::Value)
                }
                _ => Err(QueryError::NotBoolean { what: text.clone() }),
            },
            Expr::Member(path) => match self.member(path)? {
                Side::Property(at, ty) if is(ty, PrimitiveType::Boolean) => Ok(Condition::Value(Operand::Property(at))),
                _ => Err(QueryError::NotBoolean { what: format!("'{}'", path.join("/")) }),
            },
        }
    }

    fn side(&self, expr: &'a Expr) -> Result<Side<'a>, QueryError> {
        match expr {
            Expr::Literal(text) => Ok(Side::Literal(text)),
            Expr::Member(path) => self.member(path),
            _ => self.condition(expr).map(Side::Condition),
        }
    }

    fn compare(&self, operator: Operator, left: Side<'a>, right: Side<'a>) -> Result<Condition, QueryError> {
        if !matches!(operator, Operator::Eq | Operator::Ne) {
            [&left, &right].into_iter().try_for_each(|side| self.check_order(side))?;
        }
        match (left, right) {
            (Side::Link(at, nav), Side::Literal("null")) | (Side::Literal("null"), Side::Link(at, nav)) => {
                self.link_to_nothing(operator, at, nav)
            }
            (Side::LinkKey(at, ty), Side::Literal(text)) | (Side::Literal(text), Side::LinkKey(at, ty)) => {
                self.link_key(operator, at, ty, text)
            }
            (Side::Link(..) | Side::LinkKey(..), _) | (_, Side::Link(..) | Side::LinkKey(..)) => {
                Err(QueryError::unsupported("a comparison of a navigation with anything but a literal"))
            }
            (left, right) => {
                let (left_type, right_type) = (type_of(&left)?, type_of(&right)?);
                let null = matches!(left, Side::Literal("null")) || matches!(right, Side::Literal("null"));
                let (of_left, of_right) = match (left_type, right_type) {
                    (None, None) => (shape_type(&left), shape_type(&right)),
                    (Some(one), None) | (None, Some(one)) => (one.clone(), one),
                    (Some(left), Some(right)) => (left, right),
                };
                let opaque = [&of_left, &of_right].into_iter().find(|ty| is_opaque(ty));
                if let Some(ty) = opaque.filter(|_| !null) {
                    return Err(QueryError::OnlyNull { ty: ty.name(self.model) });
                }
                if !null && !comparable(&of_left, &of_right) {
                    let (left, right) = (of_left.name(self.model), of_right.name(self.model));
                    return Err(QueryError::Incompatible { left, right });
                }
                let (left, right) = (self.operand(left, &of_left)?, self.operand(right, &of_right)?);
                Ok(Condition::Compare { operator, left, right })
            }
        }
    }

    /// Refuses what has no order: entities, complex values, collections, and what is compared with null alone (URL
    /// Conventions §5.1.1.1).
    fn check_order(&self, side: &Side<'_>) -> Result<(), QueryError> {
        let what = match side {
            Side::Link(_, nav) => format!("the entity '{}'", nav.name),
            Side::Property(_, ty) if ty.collection => "a collection".to_owned(),
            Side::Property(_, ty) if matches!(ty.kind, TypeKind::Complex(_)) || is_opaque(ty) => ty.name(self.model),
            Side::Literal(text) if LiteralShape::of(text) == Some(LiteralShape::Binary) => "a binary value".to_owned(),
            _ => return Ok(()),
        };
        Err(QueryError::NoOrder { what })
    }

    fn operand(&self, side: Side<'_>, ty: &PropertyType) -> Result<Operand, QueryError> {
        match side {
            Side::Literal(text) => self.literal(text, ty),
            Side::Property(path, _) => Ok(Operand::Property(path)),
            Side::Condition(condition) => Ok(Operand::Condition(Box::new(condition))),
            Side::Link(..) | Side::LinkKey(..) => Err(QueryError::unsupported("a navigation as a value")),
        }
    }

    /// A literal for a comparison with values of a type. Facets do not limit it, and numbers take the narrowest type
    /// that holds them (URL Conventions §5.1.1.15, numeric promotion); a date is a point in time at its start in UTC.
    fn literal(&self, text: &str, ty: &PropertyType) -> Result<Operand, QueryError> {
        let read = |kind| parse_literal(self.model, &PropertyType::of(kind), text);
        let mut value = read(ty.kind);
        if is_number(ty) {
            let wider = |kind| move |_: ValueError| read(TypeKind::Primitive(kind));
            let first = value.clone();
            value = value.or_else(wider(PrimitiveType::Decimal)).or_else(wider(PrimitiveType::Double)).or(first);
        } else if is(ty, PrimitiveType::DateTimeOffset) && LiteralShape::of(text) == Some(LiteralShape::Date) {
            value = parse_literal(self.model, &PropertyType::of(ty.kind), &format!("{text}T00:00:00Z"));
        }
        match value {
            Ok(Value::String(text)) if self.ignore_case => Ok(Operand::Literal(Value::String(text.to_lowercase()))),
            Ok(value) => Ok(Operand::Literal(value)),
            Err(source) => Err(QueryError::BadLiteral { text: text.to_owned(), source }),
        }
    }

    /// `nav eq null`, `nav ne null`: by the lookup, or by the properties that a referential constraint keeps it in.
    fn link_to_nothing(
        &self,
        operator: Operator,
        at: usize,
        nav: &NavigationProperty,
    ) -> Result<Condition, QueryError> {
        let is = |operator, left| Condition::Compare { operator, left, right: Operand::Literal(Value::Null) };
        let test = |left| is(operator, left);
        let mut kept: Vec<_> = nav.constraints.iter().map(|(from, _)| test(Operand::Property(vec![*from]))).collect();
        let eq = match operator {
            Operator::Eq | Operator::Ne if nav.constraints.is_empty() => return Ok(test(Operand::Lookup(at))),
            Operator::Eq => true,
            Operator::Ne => false,
            _ => return Err(QueryError::unsupported("an order of entities")),
        };
        // A lookup with several targets leads nowhere by this one where it leads somewhere by another.
        let others: Vec<usize> = self.ty.alternatives(at).collect();
        let other = if eq { Operator::Ne } else { Operator::Eq };
        kept.extend(others.iter().map(|alternative| is(other, Operand::Lookup(*alternative))));
        if others.iter().any(|alternative| *alternative < at) {
            kept.push(test(Operand::Lookup(at)));
        }
        Ok(if eq { Condition::Any(kept) } else { Condition::All(kept) })
    }

    fn link_key(&self, operator: Operator, nav: usize, ty: &PropertyType, text: &str) -> Result<Condition, QueryError> {
        if !matches!(operator, Operator::Eq | Operator::Ne) {
            return Err(QueryError::unsupported("an order of the keys of a navigation"));
        }
        let key = if text == "null" {
            Value::Null
        } else {
            let value = parse_literal(self.model, ty, text);
            let value = value.map_err(|source| QueryError::BadLiteral { text: text.to_owned(), source })?;
            let key = EntityKey(vec![value]).encode();
            Value::String(key.map_err(|source| QueryError::BadKey { text: text.to_owned(), source })?)
        };
        Ok(Condition::Compare { operator, left: Operand::Lookup(nav), right: Operand::Literal(key) })
    }

    fn text(&self, function: Function, args: &'a [Expr]) -> Result<Condition, QueryError> {
        let [text, part] = args else { return Err(QueryError::unsupported("a string function without two arguments")) };
        Ok(Condition::Text { function, text: self.string(text)?, part: self.string(part)? })
    }

    fn string(&self, expr: &'a Expr) -> Result<Operand, QueryError> {
        let string = plain(PrimitiveType::String);
        let what = match expr {
            Expr::Literal(text) => match LiteralShape::of(text) {
                Some(LiteralShape::String | LiteralShape::Null) => return self.literal(text, &string),
                _ => text.clone(),
            },
            Expr::Member(path) => match self.member(path)? {
                Side::Property(at, ty) if is(ty, PrimitiveType::String) => return Ok(Operand::Property(at)),
                _ => format!("'{}'", path.join("/")),
            },
            _ => "a condition".to_owned(),
        };
        Err(QueryError::NotString { what })
    }

    fn member(&self, path: &'a [String]) -> Result<Side<'a>, QueryError> {
        let Some((first, rest)) = path.split_first() else { return Err(QueryError::unsupported("an empty path")) };
        let ty = self.ty;
        if let Some((at, nav)) = ty.navigation(first).and_then(|at| Some((at, ty.navigation.get(at)?))) {
            return self.navigation(at, nav, rest);
        }
        let mut owner = ty;
        let mut positions = Vec::with_capacity(path.len());
        let mut names = path.iter().peekable();
        while let Some(name) = names.next() {
            let (at, property) = property(owner, name)?;
            positions.push(at);
            if names.peek().is_none() {
                return Ok(Side::Property(positions, &property.ty));
            }
            match property.ty.kind {
                TypeKind::Complex(inner) if !property.ty.collection => owner = self.model.ty(inner),
                _ => return Err(QueryError::unsupported(format!("a path behind '{name}'"))),
            }
        }
        Err(bad_property(owner, first))
    }

    fn navigation(&self, at: usize, nav: &'a NavigationProperty, rest: &[String]) -> Result<Side<'a>, QueryError> {
        let unsupported = || Err(QueryError::unsupported(format!("'{}' in a filter", nav.name)));
        if nav.collection || nav.contains_target {
            return unsupported();
        }
        let target = self.model.ty(nav.target);
        match rest {
            [] => Ok(Side::Link(at, nav)),
            [name] if target.navigation(name).is_none() => {
                let (principal, property) = property(target, name)?;
                let dependent = nav.constraints.iter().find(|(_, to)| *to == principal).map(|(from, _)| *from);
                match dependent.and_then(|from| Some((from, self.ty.properties.get(from)?))) {
                    Some((from, dependent)) => Ok(Side::Property(vec![from], &dependent.ty)),
                    None if target.key == [principal] && nav.constraints.is_empty() => {
                        Ok(Side::LinkKey(at, &property.ty))
                    }
                    None => Err(QueryError::unsupported(format!("'{}/{name}' in a filter", nav.name))),
                }
            }
            _ => unsupported(),
        }
    }
}

fn property<'t>(ty: &'t StructuredType, name: &str) -> Result<(usize, &'t Property), QueryError> {
    let found = ty.property(name).and_then(|at| Some((at, ty.properties.get(at)?)));
    match found {
        Some((_, property)) if property.write_only => Err(QueryError::WriteOnly(property.name.clone())),
        Some((_, property)) if property.stream.is_some() => Err(QueryError::Stream(property.name.clone())),
        found => found.ok_or_else(|| bad_property(ty, name)),
    }
}

fn bad_property(ty: &StructuredType, name: &str) -> QueryError {
    if ty.is_open {
        return QueryError::unsupported(format!("the undeclared property '{name}' in a filter"));
    }
    QueryError::BadProperty { name: name.to_owned(), ty: ty.qualified_name.clone() }
}

/// The type that a side has by itself; `None` for a literal.
fn type_of(side: &Side<'_>) -> Result<Option<PropertyType>, QueryError> {
    match side {
        Side::Property(_, ty) if ty.collection => Err(QueryError::unsupported("a comparison of collections")),
        Side::Property(_, ty) => Ok(Some(PropertyType::of(ty.kind))),
        Side::Condition(_) => Ok(Some(plain(PrimitiveType::Boolean))),
        Side::Literal(_) | Side::Link(..) | Side::LinkKey(..) => Ok(None),
    }
}

/// The type that a literal seems to have, when nothing else tells.
fn shape_type(side: &Side<'_>) -> PropertyType {
    let Side::Literal(text) = side else { return plain(PrimitiveType::Untyped) };
    plain(match LiteralShape::of(text) {
        Some(LiteralShape::Boolean) => PrimitiveType::Boolean,
        Some(LiteralShape::Number) => PrimitiveType::Decimal,
        Some(LiteralShape::NotFinite) => PrimitiveType::Double,
        Some(LiteralShape::Guid) => PrimitiveType::Guid,
        Some(LiteralShape::Date) => PrimitiveType::Date,
        Some(LiteralShape::DateTimeOffset) => PrimitiveType::DateTimeOffset,
        Some(LiteralShape::TimeOfDay) => PrimitiveType::TimeOfDay,
        Some(LiteralShape::Duration) => PrimitiveType::Duration,
        Some(LiteralShape::Binary) => PrimitiveType::Binary,
        Some(LiteralShape::String) => PrimitiveType::String,
        Some(LiteralShape::Null | LiteralShape::Enum) | None => PrimitiveType::Untyped,
    })
}

fn comparable(left: &PropertyType, right: &PropertyType) -> bool {
    left.kind == right.kind || is_number(left) && is_number(right)
}

/// Whether values of a type are compared with null alone.
fn is_opaque(ty: &PropertyType) -> bool {
    is(ty, PrimitiveType::Binary) || is(ty, PrimitiveType::Geo)
}

fn is(ty: &PropertyType, primitive: PrimitiveType) -> bool {
    !ty.collection && ty.kind == TypeKind::Primitive(primitive)
}

fn is_number(ty: &PropertyType) -> bool {
    use PrimitiveType::{Byte, Decimal, Double, Int16, Int32, Int64, SByte, Single};
    let TypeKind::Primitive(primitive) = ty.kind else { return false };
    matches!(primitive, Byte | Decimal | Double | Int16 | Int32 | Int64 | SByte | Single)
}

fn plain(primitive: PrimitiveType) -> PropertyType {
    PropertyType::of(TypeKind::Primitive(primitive))
}

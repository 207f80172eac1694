//! Tests entities: three-valued logic over bound operands.

use super::operand::Operand;
use crate::{
    edm::{Entity, Value},
    uri::{Function, Operator},
};

/// A `$filter` bound to a type.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicate {
    pub(super) condition: Condition,
    pub(super) ignore_case: bool,
}

/// A part of a filter that is true, false or unknown.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare {
        operator: Operator,
        left: Operand,
        right: Operand,
    },
    Text {
        function: Function,
        text: Operand,
        part: Operand,
    },
    /// A Boolean value by itself.
    Value(Operand),
}

impl Predicate {
    /// Whether an entity of the type (or of one derived from it) is in. Unknown counts as not.
    pub fn matches(&self, entity: &Entity) -> bool {
        self.condition.test(entity, self.ignore_case) == Some(true)
    }
}

impl Predicate {
    /// The values that the first of these properties (a key, in its order) must have for any entity to be in: as many
    /// as `eq` gives without alternative. Only values that are equal in just one way count.
    pub fn leading_values(&self, key: &[usize]) -> Vec<Value> {
        let value = |position: &usize| self.condition.required(*position, self.ignore_case);
        key.iter().map_while(value).cloned().collect()
    }
}

impl Condition {
    /// The value that a property must have for the condition to be true.
    fn required(&self, position: usize, ignore_case: bool) -> Option<&Value> {
        match self {
            Self::All(parts) => parts.iter().find_map(|part| part.required(position, ignore_case)),
            Self::Compare { operator: Operator::Eq, left, right } => match (left, right) {
                (Operand::Property(path), Operand::Literal(value))
                | (Operand::Literal(value), Operand::Property(path)) => {
                    let exact = match value {
                        Value::Boolean(_) | Value::Integer(_) | Value::Enum(_) | Value::Guid(_) => true,
                        Value::String(_) => !ignore_case,
                        _ => false,
                    };
                    (*path == [position] && exact).then_some(value)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// `None` is unknown (URL Conventions §5.1.1.1, logical operators and null).
    pub(super) fn test(&self, entity: &Entity, ignore_case: bool) -> Option<bool> {
        match self {
            Self::All(parts) => decide(parts, false, entity, ignore_case),
            Self::Any(parts) => decide(parts, true, entity, ignore_case),
            Self::Not(part) => part.test(entity, ignore_case).map(|is| !is),
            Self::Compare { operator, left, right } => {
                let (left, right) = (left.value(entity, ignore_case), right.value(entity, ignore_case));
                Some(compare(*operator, &left, &right))
            }
            Self::Text { function, text, part } => {
                let (text, part) = (text.value(entity, ignore_case), part.value(entity, ignore_case));
                let (Value::String(text), Value::String(part)) = (&*text, &*part) else { return None };
                Some(match function {
                    Function::Contains => text.contains(part),
                    Function::StartsWith => text.starts_with(part),
                    Function::EndsWith => text.ends_with(part),
                })
            }
            Self::Value(operand) => match &*operand.value(entity, ignore_case) {
                Value::Boolean(is) => Some(*is),
                _ => None,
            },
        }
    }
}

/// The value that one part is enough for; else unknown if any part is; else the opposite.
fn decide(parts: &[Condition], enough: bool, entity: &Entity, ignore_case: bool) -> Option<bool> {
    let mut unknown = false;
    for part in parts {
        match part.test(entity, ignore_case) {
            Some(is) if is == enough => return Some(enough),
            Some(_) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(!enough)
}

/// Comparisons are never unknown: null equals null alone and has no order.
fn compare(operator: Operator, left: &Value, right: &Value) -> bool {
    let order = || left.compare(right);
    match operator {
        Operator::Eq => left.equals(right),
        Operator::Ne => !left.equals(right),
        Operator::Gt => order().is_some_and(std::cmp::Ordering::is_gt),
        Operator::Ge => order().is_some_and(std::cmp::Ordering::is_ge),
        Operator::Lt => order().is_some_and(std::cmp::Ordering::is_lt),
        Operator::Le => order().is_some_and(std::cmp::Ordering::is_le),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{QueryError, bind},
        *,
    };
    use crate::{
        edm::{EntityKey, Incarnation, PrimitiveType, PropertyType, Record, TypeKind, Version, parse_literal},
        uri::{
            UriLimits,
            fixture::{ACCOUNT, ADDRESS, model, type_id},
            parse_filter,
        },
    };

    const ID: &str = "01234567-89ab-cdef-0123-456789abcdef";

    /// An account named `Ångström & Co`: revenue 10.50, 7 employees, active, in Berlin, owned by user `u1`.
    /// Its number, birthday and parent are null or not given.
    fn entity() -> Entity {
        let read = |primitive, text: &str| {
            let ty = PropertyType::of(TypeKind::Primitive(primitive));
            Some(parse_literal(model(), &ty, text).unwrap())
        };
        let address =
            Record { ty: type_id(ADDRESS), values: vec![Some(Value::String("Berlin".into())), None], dynamic: vec![] };
        let values = vec![
            read(PrimitiveType::Guid, ID),
            Some(Value::Null),
            Some(Value::String("Ångström & Co".into())),
            read(PrimitiveType::Decimal, "10.50"),
            read(PrimitiveType::Int32, "7"),
            Some(Value::Boolean(true)),
            read(PrimitiveType::DateTimeOffset, "2026-03-01T10:00:00Z"),
            None,
            Some(Value::Complex(Box::new(address))),
            Some(Value::Collection(vec![])),
            None,
            Some(Value::Enum(5)),
        ];
        let owner = EntityKey(vec![Value::String("u1".into())]).encode().unwrap();
        Entity {
            record: Record { ty: type_id(ACCOUNT), values, dynamic: vec![] },
            lookups: vec![None, Some(owner), None, None],
            incarnation: Incarnation(String::new()),
            version: Version(String::new()),
            marks: Vec::new(),
        }
    }

    fn bound(filter: &str, ignore_case: bool) -> Result<Predicate, QueryError> {
        let expr = parse_filter(filter, &UriLimits::default()).unwrap();
        bind(model(), type_id(ACCOUNT), &expr, ignore_case)
    }

    fn check(ignore_case: bool, matching: &[&str], other: &[&str]) {
        for (filters, expected) in [(matching, true), (other, false)] {
            for filter in filters {
                let predicate = bound(filter, ignore_case).unwrap_or_else(|error| panic!("{filter}: {error}"));
                assert_eq!(predicate.matches(&entity()), expected, "{filter}");
            }
        }
    }

    #[test]
    fn values_compare_by_their_type() {
        check(
            false,
            &[
                "name eq 'Ångström & Co'",
                "name gt 'A'",
                "employees gt 6",
                "employees le 7",
                "employees lt 7.5",
                "employees ne 99999999999",
                "revenue eq 10.5",
                "revenue gt 10.4999999999999999999",
                "revenue lt INF",
                "7 eq employees",
                "6 lt employees",
                "revenue gt employees",
                "accountid eq 01234567-89AB-CDEF-0123-456789abcdef",
                "createdon ge 2026-03-01T11:00:00+01:00",
                "createdon gt 2026-03-01",
                "active",
                "active eq true",
                "active eq TRUE",
                "not not active",
                "address/city eq 'Berlin'",
                "address ne null",
                "address eq address",
                "not (address eq address/inner)",
                "true gt false",
                "name eq name",
                "1 eq 1.0",
                "'a' lt 'b'",
                "true",
                "(employees gt 6) eq active",
                "status eq NS.Status'Sent'",
                "status eq 'Sent'",
                "status ne NS.Status'Draft'",
            ],
            &[
                "name eq 'ångström & co'",
                "employees eq 7.5",
                "createdon gt 2026-03-01T10:00:00Z",
                "not active",
                "1 gt 2",
                "false",
            ],
        );
    }

    #[test]
    fn null_equals_null_and_has_no_order() {
        check(
            false,
            &[
                "number eq null",
                "null eq null",
                "birthday eq null",
                "number ne 'x'",
                "name ne null",
                "not (number gt 'x')",
                "address/inner/city eq null",
                "parentid eq null",
                "number eq null and name ne null",
            ],
            &[
                "number eq 'x'",
                "number gt 'x'",
                "number le 'x'",
                "number ge null",
                "null",
                "not null",
                "number ne null",
                "address/inner/city eq 'x'",
                "birthday lt 2026-01-01",
            ],
        );
    }

    #[test]
    fn unknown_spreads_as_three_valued_logic_says() {
        let unknown = "contains(number,'x')";
        check(
            false,
            &[&format!("{unknown} or active"), &format!("not ({unknown} and not active)")],
            &[
                unknown,
                &format!("not {unknown}"),
                &format!("{unknown} and active"),
                &format!("not ({unknown} or not active)"),
                "contains(name,null)",
            ],
        );
    }

    #[test]
    fn strings_are_searched_with_or_without_case() {
        check(
            false,
            &[
                "contains(name,'ström')",
                "startswith(name,'Ång')",
                "endswith(name,'Co')",
                "contains('xyz','y')",
                "contains(name,'')",
            ],
            &["contains(name,'STRÖM')", "startswith(name,'Co')", "endswith(name,'co')"],
        );
        check(
            true,
            &[
                "name eq 'ÅNGSTRÖM & co'",
                "contains(name,'STRÖM')",
                "startswith(name,'åNG')",
                "name gt 'a'",
                "'A' eq 'a'",
            ],
            &["name eq 'x'", "owner/userid eq 'U1'"],
        );
    }

    #[test]
    fn lookups_compare_by_key() {
        check(
            false,
            &[
                "owner/userid eq 'u1'",
                "'u1' eq owner/userid",
                "owner/userid ne 'u2'",
                "owner ne null",
                "parent eq null",
                "parent/accountid eq null",
                "not (owner/userid eq null)",
            ],
            &[
                "owner/userid eq 'u2'",
                "owner eq null",
                "parent ne null",
                "parent/accountid eq 01234567-89ab-cdef-0123-456789abcdef",
            ],
        );
        let mut entity = entity();
        entity.record.values[10] = entity.record.values[0].clone();
        let by_property = bound(&format!("parent/accountid eq {ID} and parent ne null"), false).unwrap();
        assert!(by_property.matches(&entity));
        let to_each_other = bound("parent/accountid eq accountid", false).unwrap();
        assert!(to_each_other.matches(&entity));
    }

    #[test]
    fn meaningless_filters_are_refused() {
        let refused = |filter: &str| bound(filter, false).expect_err(filter);
        for filter in ["nothing eq 1", "owner/nothing eq 1", "address/nothing eq 1", "contains(nothing,'x')"] {
            assert!(matches!(refused(filter), QueryError::BadProperty { .. }), "{filter}");
        }
        for filter in ["name eq employees", "active eq name", "1 eq 'x'", "not name eq 'x'", "(active) eq name"] {
            let error = refused(filter);
            assert!(
                matches!(error, QueryError::Incompatible { .. } | QueryError::NotBoolean { .. }),
                "{filter}: {error}"
            );
        }
        for filter in ["name eq 5", "employees eq 'x'", "birthday eq 5", "accountid eq 5", "status eq 'None'"] {
            assert!(matches!(refused(filter), QueryError::BadLiteral { .. }), "{filter}");
        }
        for filter in ["name", "1", "'x' and true", "owner", "tags"] {
            assert!(matches!(refused(filter), QueryError::NotBoolean { .. }), "{filter}");
        }
        for filter in
            ["contains(employees,'7')", "contains(name,7)", "contains(name,active)", "contains(name,true eq true)"]
        {
            assert!(matches!(refused(filter), QueryError::NotString { .. }), "{filter}");
        }
        for filter in ["owner gt null", "null le owner", "address gt null", "address ge address", "tags lt null"] {
            assert!(matches!(refused(filter), QueryError::NoOrder { .. }), "{filter}: {}", refused(filter));
        }
        for filter in ["binary'AA' eq binary'AA'", "binary'AA' ne 'x'"] {
            assert!(matches!(refused(filter), QueryError::OnlyNull { .. }), "{filter}: {}", refused(filter));
        }
        assert!(matches!(refused("binary'AA' gt null"), QueryError::NoOrder { .. }));
        for filter in [
            "owner/title eq 'x'",
            "orders/area eq 'x'",
            "owner eq parent",
            "owner/userid gt 'a'",
            "owner/userid eq name",
            "tags eq null",
            "parent/owner/userid eq 'x'",
            "notes eq null",
            "parent/name eq 'x'",
        ] {
            assert!(refused(filter).is_unsupported(), "{filter}: {}", refused(filter));
        }
    }
}

//! Gives segments their meaning in a model (URL Conventions §4).

use super::{KeyPredicate, Segment, UriError, literal::is_identifier};
use crate::edm::{
    EntityKey, Model, NavigationProperty, Property, PropertyType, SetId, Stream, StructuredType, TypeId, TypeKind,
    Value, parse_literal,
};

/// What a path addresses.
#[derive(Clone, Debug, PartialEq)]
pub enum Resource {
    /// The root itself.
    ServiceDocument,
    /// `$metadata`
    Metadata,
    /// `$batch`
    Batch,
    /// Something in an entity set.
    Entities(EntityPath),
    /// An action bound to an entity or a collection of entities.
    Action {
        /// What it is bound to.
        path: EntityPath,
        /// Its qualified name.
        name: String,
    },
}

/// A path that begins at an entity set.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityPath {
    /// The key of the company, when the path began with `companies(<key>)/` and went on to another entity set;
    /// everything below starts at that set.
    pub company: Option<EntityKey>,
    /// The entity set.
    pub set: SetId,
    /// Key of the entity in the set; `None` for the whole set.
    pub key: Option<Key>,
    /// Navigation from there, in order.
    pub steps: Vec<Step>,
    /// Positions: a property of the last entity type, then properties nested in complex types. Empty for none.
    pub property: Vec<usize>,
    /// What is asked of the above.
    pub last: Last,
    /// Type of the entity or entities that the path leads to before `property`.
    pub ty: TypeId,
    /// Whether that is a collection.
    pub collection: bool,
}

impl EntityPath {
    /// The type of the property that the path leads to; `None` where it leads to entities.
    pub fn value_type<'m>(&self, model: &'m Model) -> Option<&'m PropertyType> {
        let (first, nested) = self.property.split_first()?;
        let mut ty = &model.ty(self.ty).properties.get(*first)?.ty;
        for position in nested {
            let TypeKind::Complex(inner) = ty.kind else { return None };
            ty = &model.ty(inner).properties.get(*position)?.ty;
        }
        Some(ty)
    }

    /// The stream property that the path leads to.
    pub fn stream<'m>(&self, model: &'m Model) -> Option<&'m Stream> {
        match self.property.as_slice() {
            [position] => model.ty(self.ty).properties.get(*position)?.stream.as_ref(),
            _ => None,
        }
    }
}

/// How an entity is named.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    /// By its key.
    Primary(EntityKey),
    /// By an alternate key.
    Alternate {
        /// Position in [`StructuredType::alternate_keys`].
        index: usize,
        /// Values in the declared order of that key.
        values: Vec<Value>,
    },
}

/// A navigation.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Position in [`StructuredType::navigation`] of the type before.
    pub nav: usize,
    /// The type it leads to.
    pub ty: TypeId,
    /// Key of one of many, or of the only one of a single-valued containment; `None` for all of them.
    pub key: Option<Key>,
}

/// The suffix of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// No suffix.
    None,
    /// `$value`: the raw value of a primitive property.
    Value,
    /// `$count`: how many.
    Count,
    /// `$ref`: references instead of entities.
    Ref,
}

/// Finds what the segments of a path mean.
///
/// `companies` is the entity set whose navigation leads to the other sets, where a service has one. Qualified names
/// that are no bound action (type casts, bound functions) and function calls are [`UriError::Unsupported`].
pub fn resolve(model: &Model, segments: &[Segment], companies: Option<SetId>) -> Result<Resource, UriError> {
    let Some((first, rest)) = segments.split_first() else { return Ok(Resource::ServiceDocument) };
    let alone = match first.name.as_str() {
        "$metadata" => Resource::Metadata,
        "$batch" => Resource::Batch,
        _ => return Walk::begin(model, first, rest.is_empty(), companies)?.finish(rest),
    };
    match rest.first() {
        Some(next) => Err(not_found(next)),
        None => Ok(alone),
    }
}

/// A path as far as it was read.
struct Walk<'a> {
    model: &'a Model,
    path: EntityPath,
    companies: Option<SetId>,
    /// The property that was read last.
    property: Option<&'a Property>,
}

impl<'a> Walk<'a> {
    fn begin(model: &'a Model, first: &Segment, alone: bool, companies: Option<SetId>) -> Result<Self, UriError> {
        let Some(set) = model.set_id(&first.name) else { return Err(unknown_root(first, alone)) };
        let ty = model.set(set).entity_type;
        let key = key(model, ty, first)?;
        let collection = key.is_none();
        let (steps, property) = (Vec::new(), Vec::new());
        let path = EntityPath { company: None, set, key, steps, property, last: Last::None, ty, collection };
        Ok(Self { model, path, companies, property: None })
    }

    fn finish(mut self, segments: &[Segment]) -> Result<Resource, UriError> {
        for (at, segment) in segments.iter().enumerate() {
            if self.bound_action(segment) {
                return match segments.get(at + 1) {
                    Some(next) => Err(not_found(next)),
                    None => Ok(Resource::Action { path: self.path, name: segment.name.clone() }),
                };
            }
            if self.path.last != Last::None {
                return Err(UriError::Misplaced { segment: segment.name.clone(), after: "the end of a path" });
            }
            match segment.name.as_str() {
                "$count" | "$ref" | "$value" => self.suffix(segment)?,
                name if name.contains('.') || name.starts_with(['$', '@']) => return Err(unknown(segment)),
                _ => self.member(segment)?,
            }
        }
        Ok(Resource::Entities(self.path))
    }

    /// Whether a segment calls an action of what the path has led to so far.
    fn bound_action(&self, segment: &Segment) -> bool {
        let on_entities = self.path.last == Last::None && self.property.is_none();
        let action = self.model.action(&segment.name, self.path.ty, self.path.collection);
        on_entities && matches!(segment.arguments, None | Some(KeyPredicate::Empty)) && action.is_some()
    }

    fn suffix(&mut self, segment: &Segment) -> Result<(), UriError> {
        let after = self.place();
        let last = match (segment.name.as_str(), after) {
            ("$count", COLLECTION | COLLECTION_PROPERTY) => Last::Count,
            ("$ref", COLLECTION | ENTITY) => Last::Ref,
            ("$value", PRIMITIVE) => Last::Value,
            ("$value", ENTITY) => return Err(UriError::unsupported("the media stream '$value' of an entity")),
            _ => return Err(UriError::Misplaced { segment: segment.name.clone(), after }),
        };
        no_arguments(segment)?;
        self.path.last = last;
        Ok(())
    }

    fn member(&mut self, segment: &Segment) -> Result<(), UriError> {
        match self.place() {
            ENTITY => {}
            COMPLEX => return self.nested_property(segment),
            COLLECTION_PROPERTY if segment.name.parse::<i64>().is_ok() => {
                return Err(UriError::unsupported("the position of an item in a collection"));
            }
            _ => return Err(unknown(segment)),
        }
        let ty = self.model.ty(self.path.ty);
        if let Some((nav, property)) = named(ty.navigation(&segment.name), &ty.navigation) {
            return self.navigate(nav, property, segment);
        }
        self.property_of(ty, segment)
    }

    fn nested_property(&mut self, segment: &Segment) -> Result<(), UriError> {
        let Some(TypeKind::Complex(ty)) = self.property.map(|property| property.ty.kind) else {
            return Err(unknown(segment));
        };
        let ty = self.model.ty(ty);
        if ty.navigation(&segment.name).is_some() {
            return Err(UriError::unsupported(format!("the navigation '{}' of a complex value", segment.name)));
        }
        self.property_of(ty, segment)
    }

    fn property_of(&mut self, ty: &'a StructuredType, segment: &Segment) -> Result<(), UriError> {
        let Some((position, property)) = named(ty.property(&segment.name), &ty.properties) else {
            if ty.is_open && segment.arguments.is_none() {
                return Err(UriError::unsupported(format!("the undeclared property '{}' in a path", segment.name)));
            }
            return Err(unknown(segment));
        };
        no_arguments(segment)?;
        self.path.property.push(position);
        self.property = Some(property);
        Ok(())
    }

    fn navigate(&mut self, nav: usize, property: &NavigationProperty, segment: &Segment) -> Result<(), UriError> {
        let ty = property.target;
        // The key of the only one is redundant; clients of the Microsoft services write it (`picture(<id>)`).
        if !property.collection && !property.contains_target {
            no_arguments(segment)?;
        }
        let key = key(self.model, ty, segment)?;
        let collection = property.collection && key.is_none();
        if let Some((company, set)) = self.in_company(property)? {
            let (company, steps, property) = (Some(company), Vec::new(), Vec::new());
            self.path = EntityPath { company, set, key, steps, property, last: Last::None, ty, collection };
        } else {
            self.path.steps.push(Step { nav, ty, key });
            self.path.ty = ty;
            self.path.collection = collection;
        }
        Ok(())
    }

    /// The company and the entity set, when this navigation leads from a company to the entities of another set.
    fn in_company(&self, property: &NavigationProperty) -> Result<Option<(EntityKey, SetId)>, UriError> {
        let at_company =
            self.companies == Some(self.path.set) && self.path.company.is_none() && self.path.steps.is_empty();
        if !at_company || !property.collection || property.contains_target {
            return Ok(None);
        }
        let Some(set) = self.model.set(self.path.set).bindings.get(&property.name) else { return Ok(None) };
        match &self.path.key {
            Some(Key::Primary(key)) => Ok(Some((key.clone(), *set))),
            _ => Err(UriError::unsupported("a company by an alternate key")),
        }
    }

    /// What the path addresses so far.
    fn place(&self) -> &'static str {
        match self.property.map(|property| &property.ty) {
            Some(ty) if ty.collection => COLLECTION_PROPERTY,
            Some(ty) if matches!(ty.kind, TypeKind::Complex(_)) => COMPLEX,
            Some(_) => PRIMITIVE,
            None if self.path.collection => COLLECTION,
            None => ENTITY,
        }
    }
}

const ENTITY: &str = "an entity";
const COLLECTION: &str = "a collection of entities";
const COMPLEX: &str = "a complex value";
const PRIMITIVE: &str = "a primitive value";
const COLLECTION_PROPERTY: &str = "a collection of values";

fn named<T>(position: Option<usize>, items: &[T]) -> Option<(usize, &T)> {
    position.and_then(|at| items.get(at).map(|item| (at, item)))
}

fn not_found(segment: &Segment) -> UriError {
    UriError::NotFound { segment: segment.name.clone() }
}

/// A name the model does not have here: legal OData beyond this service, or nothing at all.
fn unknown(segment: &Segment) -> UriError {
    let name = segment.name.as_str();
    let what = match name {
        "$all" | "$entity" | "$crossjoin" | "$each" | "$filter" | "$query" | "$root" => format!("'{name}'"),
        _ if name.starts_with(['$', '@']) => return not_found(segment),
        _ if name.contains('.') => format!("the type or operation '{name}'"),
        _ if segment.arguments == Some(KeyPredicate::Empty) => format!("the function call '{name}()'"),
        _ => return not_found(segment),
    };
    UriError::Unsupported { what }
}

/// The same for the first segment. A qualified name there is that of a container, which something follows.
fn unknown_root(segment: &Segment, alone: bool) -> UriError {
    let name = segment.name.as_str();
    let is_qualified = name.contains('.');
    if is_qualified && !name.split('.').all(is_identifier) {
        UriError::syntax(segment.offset, "a name", name)
    } else if is_qualified && alone {
        not_found(segment)
    } else {
        unknown(segment)
    }
}

fn no_arguments(segment: &Segment) -> Result<(), UriError> {
    match segment.arguments {
        None => Ok(()),
        Some(_) => Err(bad_key(segment, "there is nothing to choose from")),
    }
}

fn bad_key(segment: &Segment, reason: impl Into<String>) -> UriError {
    UriError::BadKey { segment: segment.name.clone(), reason: reason.into() }
}

/// The key in the parentheses of a segment; `None` without parentheses.
fn key(model: &Model, id: TypeId, segment: &Segment) -> Result<Option<Key>, UriError> {
    let ty = model.ty(id);
    let value = |position: &usize, text: &str| key_value(model, ty, *position, text, segment);
    match &segment.arguments {
        None => Ok(None),
        Some(KeyPredicate::Empty) => Err(bad_key(segment, "it is empty")),
        Some(KeyPredicate::Single(text)) => match ty.key.as_slice() {
            [only] => Ok(Some(Key::Primary(EntityKey(vec![value(only, text)?])))),
            _ => Err(bad_key(segment, format!("{} parts must be named", ty.key.len()))),
        },
        Some(KeyPredicate::Named(parts)) => named_key(ty, parts, segment, value).map(Some),
    }
}

/// A key with named parts: the primary key when all the names are its, else the alternate key that has just them.
fn named_key(
    ty: &StructuredType,
    parts: &[(String, String)],
    segment: &Segment,
    value: impl Fn(&usize, &str) -> Result<Value, UriError>,
) -> Result<Key, UriError> {
    let text = |wanted: &str| parts.iter().find(|(name, _)| name == wanted).map(|(_, text)| text.as_str());
    let property = |position: &usize| ty.properties.get(*position).map_or("", |property| property.name.as_str());

    let primary: Option<Vec<_>> = ty.key.iter().map(|at| Some((at, text(property(at))?))).collect();
    if let Some(primary) = primary.filter(|found| found.len() == parts.len()) {
        let values: Result<_, _> = primary.into_iter().map(|(at, text)| value(at, text)).collect();
        return values.map(EntityKey).map(Key::Primary);
    }
    for (index, alternate) in ty.alternate_keys.iter().enumerate() {
        let of_part = |(alias, at): &'_ (String, usize)| Some((*at, text(alias).or_else(|| text(property(at)))?));
        let found: Option<Vec<_>> = alternate.properties.iter().map(of_part).collect();
        if let Some(found) = found.filter(|found| found.len() == parts.len()) {
            let values: Result<_, _> = found.into_iter().map(|(at, text)| value(&at, text)).collect();
            return values.map(|values| Key::Alternate { index, values });
        }
    }
    Err(bad_key(segment, format!("its names are not those of a key of '{}'", ty.name)))
}

fn key_value(
    model: &Model,
    ty: &StructuredType,
    position: usize,
    text: &str,
    segment: &Segment,
) -> Result<Value, UriError> {
    if text.starts_with('@') {
        return Err(UriError::unsupported(format!("the parameter alias '{text}'")));
    }
    let Some(property) = ty.properties.get(position) else { return Err(bad_key(segment, "its type has no key")) };
    if text == "null" {
        return Err(bad_key(segment, format!("'{}' is null", property.name)));
    }
    parse_literal(model, &property.ty, text).map_err(|source| {
        let (segment, property) = (segment.name.clone(), property.name.clone());
        UriError::BadKeyValue { segment, property, source: Box::new(source) }
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Encoding, UriLimits,
            fixture::{ACCOUNT, ORDER, USER, model, set_id, type_id},
            parse_path, path_text,
        },
        *,
    };

    const ID: &str = "01234567-89ab-cdef-0123-456789abcdef";

    fn read(path: &str) -> Result<Resource, UriError> {
        let segments = parse_path(&path.replace("ID", ID), Encoding::Percent, &UriLimits::default())?;
        resolve(model(), &segments, Some(set_id("companies")))
    }

    fn entities(path: &str) -> EntityPath {
        match read(path) {
            Ok(Resource::Entities(found)) => found,
            other => panic!("{path}: {other:?}"),
        }
    }

    fn id() -> EntityKey {
        EntityKey(vec![Value::Guid(ID.parse().unwrap())])
    }

    fn text(text: &str) -> Value {
        Value::String(text.into())
    }

    #[test]
    fn the_roots_are_known() {
        assert_eq!(read(""), Ok(Resource::ServiceDocument));
        assert_eq!(read("$metadata"), Ok(Resource::Metadata));
        assert_eq!(read("/$batch"), Ok(Resource::Batch));
        assert!(read("$batch/x").unwrap_err().is_not_found());
        assert!(read("$Batch").unwrap_err().is_not_found());
    }

    #[test]
    fn keys_are_single_composite_or_alternate() {
        assert_eq!(entities("accounts").key, None);
        assert_eq!(entities("accounts(ID)").key, Some(Key::Primary(id())));
        assert_eq!(entities("accounts(accountid=ID)").key, Some(Key::Primary(id())));
        let composite = EntityKey(vec![text("A/1"), Value::Integer(2)]);
        assert_eq!(entities("orders(number=2,area='A%2F1')").key, Some(Key::Primary(composite)));
        let alternate = |index, values| Some(Key::Alternate { index, values });
        assert_eq!(entities("accounts(number='7')").key, alternate(0, vec![text("7")]));
        for names in ["staff=3,title='x'", "title='x',employees=3", "name='x',staff=3"] {
            let found = entities(&format!("accounts({names})")).key;
            assert_eq!(found, alternate(1, vec![text("x"), Value::Integer(3)]), "{names}");
        }
    }

    #[test]
    fn wrong_keys_are_refused() {
        for path in [
            "accounts()",
            "accounts(name='x')",
            "accounts(accountid=ID,number='1')",
            "orders(1)",
            "orders(area='x')",
            "orders(area='x',area='y')",
            "accounts(ID)/parent(ID)",
            "accounts(ID)/name('x')",
            "accounts(number=null)",
        ] {
            assert!(matches!(read(path), Err(UriError::BadKey { .. })), "{path}: {:?}", read(path));
        }
        for path in ["accounts('x')", "accounts(1)", "orders(area='x',number='y')", "accounts(number=5)"] {
            assert!(matches!(read(path), Err(UriError::BadKeyValue { .. })), "{path}: {:?}", read(path));
        }
    }

    #[test]
    fn navigation_goes_step_by_step() {
        let path = entities("accounts(ID)/parent/orders(area='x',number=1)/account/owner");
        let order = Key::Primary(EntityKey(vec![text("x"), Value::Integer(1)]));
        let step = |nav, ty, key| Step { nav, ty: type_id(ty), key };
        let steps = [step(0, ACCOUNT, None), step(2, ORDER, Some(order)), step(0, ACCOUNT, None), step(1, USER, None)];
        assert_eq!(path.steps, steps);
        assert_eq!((path.set, path.ty, path.collection), (set_id("accounts"), type_id(USER), false));
        assert!(entities("accounts(ID)/orders").collection);
        assert!(!entities("accounts(ID)/notes(area='x',number=1)").collection);
    }

    #[test]
    fn a_company_stands_in_front_of_other_sets() {
        let path = entities("companies(ID)/accounts(number='7')/orders");
        assert_eq!((path.company, path.set), (Some(id()), set_id("accounts")));
        assert_eq!(path.key, Some(Key::Alternate { index: 0, values: vec![text("7")] }));
        assert_eq!(path.steps.len(), 1);
        let all = entities("companies(ID)/accounts");
        assert_eq!((all.key, all.steps.len(), all.collection, all.ty), (None, 0, true, type_id(ACCOUNT)));
        let contained = entities("companies(ID)/notes");
        assert_eq!((contained.company, contained.set, contained.steps.len()), (None, set_id("companies"), 1));
        assert_eq!(entities("companies(ID)").company, None);
        assert!(read("companies(name='x')/accounts").unwrap_err().is_unsupported());
    }

    #[test]
    fn properties_and_suffixes_end_a_path() {
        let last = |path: &str| (entities(path).property, entities(path).last);
        assert_eq!(last("accounts(ID)/name"), (vec![2], Last::None));
        assert_eq!(last("accounts(ID)/name/$value"), (vec![2], Last::Value));
        assert_eq!(last("accounts(ID)/address/inner/city/$value"), (vec![8, 1, 0], Last::Value));
        assert_eq!(last("accounts(ID)/tags/$count"), (vec![9], Last::Count));
        assert_eq!(last("accounts/$count"), (vec![], Last::Count));
        for path in ["accounts/$ref", "accounts(ID)/$ref", "accounts(ID)/parent/$ref", "accounts(ID)/orders/$ref"] {
            assert_eq!(last(path), (vec![], Last::Ref), "{path}");
        }
        for path in [
            "accounts(ID)/$count",
            "accounts/$value",
            "accounts(ID)/address/$value",
            "accounts(ID)/tags/$value",
            "accounts(ID)/name/$count",
            "accounts(ID)/name/$ref",
            "accounts/$count/x",
            "accounts/$ref/$count",
        ] {
            assert!(matches!(read(path), Err(UriError::Misplaced { .. })), "{path}: {:?}", read(path));
        }
    }

    #[test]
    fn unknown_segments_are_not_found() {
        for (path, segment) in [
            ("nothing", "nothing"),
            ("nothing(1)", "nothing"),
            ("Accounts", "Accounts"),
            ("accounts/name", "name"),
            ("accounts(ID)/nothing", "nothing"),
            ("accounts(ID)/name/x", "x"),
            ("accounts/1", "1"),
            ("NS.Close", "NS.Close"),
            ("$1", "$1"),
            ("accounts(ID)/address/nothing", "nothing"),
            ("accounts(ID)/orders/area", "area"),
        ] {
            assert_eq!(read(path), Err(UriError::NotFound { segment: segment.into() }), "{path}");
        }
    }

    #[test]
    fn a_qualified_name_has_a_name_on_either_side_of_each_point() {
        for path in ["accounts.", ".accounts", "accounts.(1)", "a..b", "1.a"] {
            assert!(matches!(read(path), Err(UriError::Syntax { .. })), "{path}: {:?}", read(path));
        }
    }

    #[test]
    fn what_is_legal_elsewhere_is_unsupported() {
        for path in [
            "accounts/NS.Account",
            "accounts(ID)/NS.Close",
            "accounts/$each",
            "accounts/$filter(a eq 1)",
            "$all",
            "$entity",
            "$crossjoin(a,b)",
            "Recent()",
            "accounts(@p)",
            "accounts(number=@p)",
            "accounts/$query",
            "accounts(ID)/$value",
            "accounts(ID)/tags/0",
            "open(1)/anything",
            "Recent(a=1)(2)",
        ] {
            assert!(read(path).is_err_and(|error| error.is_unsupported()), "{path}: {:?}", read(path));
        }
    }

    #[test]
    fn a_written_path_reads_the_same() {
        for path in [
            "accounts",
            "accounts(ID)",
            "accounts(number='A%2F1%20%25%23%27%27')",
            "orders(area='%28%3D',number=-2)/account",
            "companies(ID)/accounts(title='x',staff=3)/orders/$count",
            "companies(ID)/accounts",
            "companies(ID)/notes",
            "accounts(ID)/address/inner/city/$value",
            "accounts(ID)/parent/orders(area='x',number=1)/$ref",
        ] {
            let read_once = entities(path);
            let written = path_text(model(), &read_once, Some(set_id("companies")));
            assert_eq!(entities(&written), read_once, "{path} was written as {written}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_key_is_read_as_written(area: String, number: i32) {
            let key = EntityKey(vec![Value::String(area), Value::Integer(number.into())]);
            let text = format!("orders{}", super::super::write_key(model(), type_id(ORDER), &key));
            let limits = UriLimits { path: usize::MAX, ..UriLimits::default() };
            let decoded = percent_encoding::percent_decode_str(&text).decode_utf8().unwrap().into_owned();
            for (path, encoding) in [(text, Encoding::Percent), (decoded, Encoding::Decoded)] {
                let segments = parse_path(&path, encoding, &limits).unwrap();
                let Ok(Resource::Entities(found)) = resolve(model(), &segments, None) else { panic!("{path}") };
                proptest::prop_assert_eq!(found.key, Some(Key::Primary(key.clone())));
            }
        }
    }
}

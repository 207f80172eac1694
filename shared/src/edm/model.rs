//! The model's parts. Names are those of CSDL.

use std::collections::HashMap;

use super::error::shorten;
use super::{PrimitiveType, Record, Value, ValueError};
use crate::text_file::{self, Position};

/// Index of a structured type in its [`Model`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub(crate) u32);

/// Index of an enumeration type in its [`Model`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnumId(pub(crate) u32);

/// Index of an entity set in its [`Model`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(pub(crate) u32);

/// The schema and entity container of one service.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) types: Vec<StructuredType>,
    pub(crate) enums: Vec<EnumType>,
    pub(crate) sets: Vec<EntitySet>,
    pub(crate) actions: Vec<Action>,
    pub(crate) set_names: HashMap<String, SetId>,
    /// Qualified names of structured types.
    pub(crate) type_names: HashMap<String, TypeId>,
    /// Qualified names of enumeration types.
    pub(crate) enum_names: HashMap<String, EnumId>,
    /// It says that the service keeps `Isolation: snapshot`.
    pub(crate) snapshots: bool,
    /// The CSDL document as loaded, served at `$metadata`.
    pub(crate) document: bytes::Bytes,
}

/// An entity type or a complex type, with everything it inherits.
#[derive(Clone, Debug)]
pub struct StructuredType {
    /// Name without namespace.
    pub name: String,
    /// Name with namespace.
    pub qualified_name: String,
    /// The type it derives from.
    pub base: Option<TypeId>,
    /// No instances of exactly this type.
    pub is_abstract: bool,
    /// Takes properties that are not declared.
    pub is_open: bool,
    /// Structural properties, inherited ones first. A [`super::Record`] holds one slot for each.
    pub properties: Vec<Property>,
    /// Navigation properties, inherited ones first.
    pub navigation: Vec<NavigationProperty>,
    /// Positions in `properties` of the key, in key order; empty for complex types.
    pub key: Vec<usize>,
    /// Alternate keys (`Core.AlternateKeys`).
    pub alternate_keys: Vec<AlternateKey>,
    /// Text properties that are never stored: position, and positions of the properties they are joined from.
    pub concats: Vec<(usize, Vec<usize>)>,
    /// Where its declaration begins in the document.
    pub(crate) offset: usize,
    pub(crate) property_names: HashMap<String, usize>,
    pub(crate) navigation_names: HashMap<String, usize>,
}

/// A structural property.
#[derive(Clone, Debug)]
pub struct Property {
    /// Name, as on the wire.
    pub name: String,
    /// Its type and facets.
    pub ty: PropertyType,
    /// `Core.Computed`, or `Core.Permissions` = Read on a property that is no key: a client's value is ignored.
    pub computed: bool,
    /// `Core.Immutable`: set at creation only.
    pub immutable: bool,
    /// `Core.Permissions` = Write: no answer shows it and nothing can be asked about it.
    pub write_only: bool,
    /// `DefaultValue`.
    pub default: Option<Value>,
    /// `Edm.Stream`: no JSON holds its value, which are bytes ([`PrimitiveType::Binary`]) at a URL of its own.
    pub stream: Option<Stream>,
}

/// A stream property (CSDL 4.01 §7.2, Protocol 4.01 §11.4.9.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Position of the property that holds its media type (`Core.MediaType` with a path).
    pub media_type: Option<usize>,
    /// Media types that are taken (`Core.AcceptableMediaTypes`), `image/*` for all of one kind; none given: any.
    pub accepts: Vec<String>,
}

/// Type and facets of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyType {
    /// The type of the value, or of one item of a collection.
    pub kind: TypeKind,
    /// `Collection(…)`.
    pub collection: bool,
    /// `Nullable`.
    pub nullable: bool,
    /// `MaxLength`, in characters (String) or bytes (Binary).
    pub max_length: Option<usize>,
    /// `Precision`.
    pub precision: Option<u32>,
    /// `Scale` of a Decimal when it is a number: values are written with exactly this many decimals.
    pub scale: Option<u32>,
}

/// What kind of value a property has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// `Edm.…`
    Primitive(PrimitiveType),
    /// An enumeration.
    Enum(EnumId),
    /// A complex type.
    Complex(TypeId),
}

/// A navigation property.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an attribute or an annotation of its own")]
pub struct NavigationProperty {
    /// Name, as on the wire.
    pub name: String,
    /// Type of the entities it leads to.
    pub target: TypeId,
    /// Leads to many.
    pub collection: bool,
    /// A single-valued one may be without target.
    pub nullable: bool,
    /// The targets live and die with the owner.
    pub contains_target: bool,
    /// The navigation property of the target type that leads back.
    pub partner: Option<String>,
    /// Referential constraints: (property of this type, property of the target type), as positions.
    pub constraints: Vec<(usize, usize)>,
    /// The capabilities of clients with the entities it leads to, wherever it starts.
    pub capabilities: Capabilities,
    /// `Core.Permissions` without Write: clients cannot change where it leads.
    pub read_only: bool,
}

impl NavigationProperty {
    /// Whether each entity has to have a target: a single-valued one that is not nullable (CSDL 4.01 §8.3). A single
    /// contained entity is beyond this service.
    pub fn is_required(&self) -> bool {
        !self.collection && !self.nullable && !self.contains_target
    }
}

/// The capabilities of clients with entities (`Org.OData.Capabilities.V1`): all that no restriction takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a member of a restriction of its own")]
pub struct Capabilities {
    /// `InsertRestrictions/Insertable`
    pub insertable: bool,
    /// `UpdateRestrictions/Updatable`
    pub updatable: bool,
    /// `DeleteRestrictions/Deletable`
    pub deletable: bool,
    /// `ReadRestrictions/Readable`
    pub readable: bool,
    /// `ReadRestrictions/ReadByKeyRestrictions/Readable`, else as `readable`
    pub readable_by_key: bool,
}

impl Capabilities {
    /// Nothing is taken away.
    pub const ALL: Self =
        Self { insertable: true, updatable: true, deletable: true, readable: true, readable_by_key: true };
    /// Entities are read and not changed.
    pub const READ: Self = Self { insertable: false, updatable: false, deletable: false, ..Self::ALL };

    /// The capabilities that remain where both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            insertable: self.insertable && other.insertable,
            updatable: self.updatable && other.updatable,
            deletable: self.deletable && other.deletable,
            readable: self.readable && other.readable,
            readable_by_key: self.readable_by_key && other.readable_by_key,
        }
    }
}

/// An alternate key: a unique combination of properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlternateKey {
    /// (alias in URLs, position of the property), in declared order.
    pub properties: Vec<(String, usize)>,
}

/// An enumeration type.
#[derive(Clone, Debug)]
pub struct EnumType {
    /// Name with namespace.
    pub qualified_name: String,
    /// `IsFlags`.
    pub is_flags: bool,
    /// Members in declared order.
    pub members: Vec<EnumMember>,
}

/// A member of an enumeration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnumMember {
    /// Name, as on the wire (`Non_x002D_Inventory`).
    pub name: String,
    /// Its number.
    pub value: i64,
    /// The name with `_xHHHH_` turned into characters (`Non-Inventory`), as messages show it.
    pub caption: String,
}

/// An action that is bound to entities (CSDL 4.01 §12.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Name without namespace.
    pub name: String,
    /// Name with namespace, as in URLs.
    pub qualified_name: String,
    /// Type of the entity, or of the entities, it is bound to.
    pub binding: TypeId,
    /// Bound to a collection.
    pub on_collection: bool,
}

/// An entity set.
#[derive(Clone, Debug)]
pub struct EntitySet {
    /// Name, as in URLs.
    pub name: String,
    /// Type of its entities.
    pub entity_type: TypeId,
    /// `NavigationPropertyBinding`: path of a navigation property to the set of its targets.
    pub bindings: HashMap<String, SetId>,
    /// The capabilities of clients with its entities.
    pub capabilities: Capabilities,
    /// The same for what navigation from them leads to, by path: `Trips/PlanItems`.
    pub navigation: HashMap<String, Capabilities>,
}

impl Stream {
    /// Whether bytes of this media type (lower case, without parameters) may be its value. JSON may not: in a batch it would
    /// be taken for a part of the envelope.
    pub fn takes(&self, media_type: &str) -> bool {
        let json = media_type.ends_with("/json") || media_type.ends_with("+json");
        let fits = |accepted: &String| match accepted.strip_suffix("/*") {
            Some(kind) => media_type.split('/').next() == Some(kind),
            None => media_type == accepted,
        };
        let text = media_type.contains('/') && media_type.bytes().all(|byte| byte.is_ascii_graphic());
        text && !json && (self.accepts.is_empty() || self.accepts.iter().any(fits))
    }
}

impl Model {
    /// The structured type of an id. Ids come from this model only.
    #[expect(clippy::indexing_slicing, reason = "a TypeId is made by the model it indexes")]
    pub fn ty(&self, id: TypeId) -> &StructuredType {
        &self.types[id.0 as usize]
    }

    /// The enumeration of an id.
    #[expect(clippy::indexing_slicing, reason = "an EnumId is made by the model it indexes")]
    pub fn enumeration(&self, id: EnumId) -> &EnumType {
        &self.enums[id.0 as usize]
    }

    /// The entity set of an id.
    #[expect(clippy::indexing_slicing, reason = "a SetId is made by the model it indexes")]
    pub fn set(&self, id: SetId) -> &EntitySet {
        &self.sets[id.0 as usize]
    }

    /// Takes the capability to change its entities from a set.
    pub(crate) fn make_read_only(&mut self, id: SetId) {
        if let Some(set) = self.sets.get_mut(id.0 as usize) {
            set.capabilities = set.capabilities.and(Capabilities::READ);
        }
    }

    /// The entity set of a name.
    pub fn set_id(&self, name: &str) -> Option<SetId> {
        self.set_names.get(name).copied()
    }

    /// The structured type of a qualified name.
    pub fn type_id(&self, qualified_name: &str) -> Option<TypeId> {
        self.type_names.get(qualified_name).copied()
    }

    /// The enumeration of a qualified name.
    pub fn enum_id(&self, qualified_name: &str) -> Option<EnumId> {
        self.enum_names.get(qualified_name).copied()
    }

    /// The type of values that a name means, as control information has it (`Date`, `Edm.Date`, `Collection(NS.Color)`),
    /// and its qualified name. Types of entities are none.
    pub fn value_type(&self, name: &str) -> Option<(String, PropertyType)> {
        let item = name.strip_prefix("Collection(").and_then(|rest| rest.strip_suffix(')'));
        let (single, collection) = item.map_or((name, false), |item| (item, true));
        let primitive = single.strip_prefix("Edm.").or_else(|| (!single.contains('.')).then_some(single));
        let (qualified, kind) = if let Some(primitive) = primitive {
            (format!("Edm.{primitive}"), TypeKind::Primitive(PrimitiveType::from_name(primitive)?))
        } else if let Some(id) = self.enum_id(single) {
            (self.enumeration(id).qualified_name.clone(), TypeKind::Enum(id))
        } else {
            let id = self.type_id(single).filter(|id| self.ty(*id).key.is_empty())?;
            (self.ty(id).qualified_name.clone(), TypeKind::Complex(id))
        };
        let qualified = if collection { format!("Collection({qualified})") } else { qualified };
        Some((qualified, PropertyType { collection, ..PropertyType::of(kind) }))
    }

    /// The action of a qualified name for an entity of a type, or for a collection of them.
    pub fn action(&self, qualified_name: &str, ty: TypeId, collection: bool) -> Option<&Action> {
        let mut named = self.actions.iter().filter(|action| action.qualified_name == qualified_name);
        named.find(|action| action.on_collection == collection && self.is_a(ty, action.binding))
    }

    /// All entity sets, in declared order.
    pub fn sets(&self) -> impl Iterator<Item = (SetId, &EntitySet)> {
        (0..).map(SetId).zip(&self.sets)
    }

    /// Where a type is declared in the document.
    pub fn position(&self, id: TypeId) -> Position {
        Position::of(text_file::decode(&self.document).unwrap_or_default(), self.ty(id).offset)
    }

    /// The CSDL document as loaded.
    pub fn document(&self) -> &bytes::Bytes {
        &self.document
    }

    /// What a property of a type holds.
    pub fn kind(&self, ty: TypeId, property: &str) -> Option<TypeKind> {
        let ty = self.ty(ty);
        Some(ty.properties.get(ty.property(property)?)?.ty.kind)
    }

    /// A member of the enumeration that a property of a type has; null where there is no such member.
    pub fn member(&self, ty: TypeId, property: &str, name: &str) -> Value {
        match self.kind(ty, property) {
            Some(TypeKind::Enum(id)) => self.enumeration(id).parse(name).map_or(Value::Null, Value::Enum),
            _ => Value::String(name.to_owned()),
        }
    }

    /// The name of a record's value of an enumeration; nothing where it has none.
    pub fn member_name(&self, record: &Record, property: &str) -> String {
        match (self.kind(record.ty, property), record.get(self, property)) {
            (Some(TypeKind::Enum(id)), Some(Value::Enum(number))) => self.enumeration(id).text(*number),
            _ => String::new(),
        }
    }

    /// Joins the texts that the type's computed properties are made of: those that are not empty, with spaces between.
    pub fn concatenate(&self, record: &mut Record) {
        for (position, parts) in &self.ty(record.ty).concats {
            let texts = parts.iter().filter_map(|part| match record.values.get(*part) {
                Some(Some(Value::String(text))) if !text.is_empty() => Some(text.as_str()),
                _ => None,
            });
            let joined = texts.collect::<Vec<_>>().join(" ");
            if let Some(slot) = record.values.get_mut(*position) {
                *slot = Some(if joined.is_empty() { Value::Null } else { Value::String(joined) });
            }
        }
    }

    /// Makes a property one that is joined from others.
    pub(crate) fn set_concat(&mut self, ty: TypeId, position: usize, parts: &[usize]) {
        if let Some(ty) = self.types.get_mut(ty.0 as usize) {
            ty.concats.push((position, parts.to_vec()));
        }
    }

    /// Whether `derived` is `base` or derives from it.
    pub fn is_a(&self, derived: TypeId, base: TypeId) -> bool {
        let mut at = Some(derived);
        while let Some(id) = at {
            if id == base {
                return true;
            }
            at = self.ty(id).base;
        }
        false
    }
}

impl StructuredType {
    /// Position of a structural property.
    pub fn property(&self, name: &str) -> Option<usize> {
        self.property_names.get(name).copied()
    }

    /// Position of a navigation property.
    pub fn navigation(&self, name: &str) -> Option<usize> {
        self.navigation_names.get(name).copied()
    }

    /// The other targets of a lookup that has several: navigation properties that referential constraints tie to the same
    /// computed properties (`customerid_account` and `customerid_contact` to `_customerid_value`). An entity has one of them.
    pub fn alternatives(&self, nav: usize) -> impl Iterator<Item = usize> {
        let dependents = |nav: &NavigationProperty| nav.constraints.iter().map(|(at, _)| *at).collect::<Vec<_>>();
        let own = self.navigation.get(nav).map(dependents).unwrap_or_default();
        let computed = |at: &usize| self.properties.get(*at).is_some_and(|property| property.computed);
        let shared = !own.is_empty() && own.iter().all(computed);
        let same = move |(at, other): &(usize, &NavigationProperty)| {
            shared && *at != nav && !other.collection && dependents(other) == own
        };
        self.navigation.iter().enumerate().filter(same).map(|(at, _)| at)
    }

    /// Index of the alternate key that consists of this property alone.
    pub fn alternate_key_of(&self, property: usize) -> Option<usize> {
        self.alternate_keys.iter().position(|key| matches!(key.properties.as_slice(), [(_, one)] if *one == property))
    }
}

impl PropertyType {
    /// A nullable type of a kind without facets, for values that come from expressions.
    pub fn of(kind: TypeKind) -> Self {
        Self { kind, collection: false, nullable: true, max_length: None, precision: None, scale: None }
    }

    /// The type's name, for messages: `Collection(Edm.String)`.
    pub fn name(&self, model: &Model) -> String {
        let item = match self.kind {
            TypeKind::Primitive(primitive) => primitive.name(),
            TypeKind::Enum(id) => &model.enumeration(id).qualified_name,
            TypeKind::Complex(id) => &model.ty(id).qualified_name,
        };
        if self.collection { format!("Collection({item})") } else { item.into() }
    }

    pub(crate) fn is_single(&self) -> bool {
        self.kind == TypeKind::Primitive(PrimitiveType::Single)
    }
}

impl EnumType {
    /// Reads a member's name or number, or several separated by commas of a flags type (rule `enumValue`).
    pub fn parse(&self, text: &str) -> Option<i64> {
        if self.is_flags {
            return text.split(',').try_fold(0, |flags, part| Some(flags | self.flag(part)?));
        }
        match self.members.iter().find(|member| member.name == text || member.caption == text) {
            Some(member) => Some(member.value),
            None => text.parse().ok().filter(|number| self.members.iter().any(|member| member.value == *number)),
        }
    }

    /// The name of a value; the names of a flags value, separated by commas; its number where no name fits.
    pub fn text(&self, value: i64) -> String {
        if let Some(member) = self.members.iter().find(|member| member.value == value) {
            return member.name.clone();
        }
        let mut rest = value;
        let mut names = Vec::new();
        if self.is_flags {
            for member in &self.members {
                if member.value != 0 && rest & member.value == member.value {
                    names.push(member.name.as_str());
                    rest &= !member.value;
                }
            }
        }
        if rest == 0 && !names.is_empty() { names.join(",") } else { value.to_string() }
    }

    /// The error of a text that is no option, with the captions of the options there are.
    pub(crate) fn not_an_option(&self, property: String, text: &str) -> ValueError {
        let options = self.members.iter().map(|member| member.caption.clone()).collect();
        ValueError::NotAnOption { property, value: shorten(text), options }
    }

    /// A member's name, or a number whose bits are all those of members.
    fn flag(&self, text: &str) -> Option<i64> {
        if let Some(member) = self.members.iter().find(|member| member.name == text || member.caption == text) {
            return Some(member.value);
        }
        let all = self.members.iter().fold(0, |bits, member| bits | member.value);
        text.parse().ok().filter(|number: &i64| number & !all == 0)
    }
}

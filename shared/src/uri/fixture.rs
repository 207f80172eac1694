//! A small model for tests: accounts with navigation of every kind, and companies in front of them.

use std::collections::HashMap;

use crate::edm::{
    AlternateKey, EntitySet, Model, NavigationProperty, PrimitiveType, Property, PropertyType, SetId, StructuredType,
    TypeId, TypeKind,
};

pub(crate) const ACCOUNT: TypeId = TypeId(0);
pub(crate) const ORDER: TypeId = TypeId(1);
pub(crate) const USER: TypeId = TypeId(2);
pub(crate) const COMPANY: TypeId = TypeId(3);
pub(crate) const ADDRESS: TypeId = TypeId(4);
pub(crate) const OPEN: TypeId = TypeId(5);

pub(crate) const ACCOUNTS: SetId = SetId(0);
pub(crate) const ORDERS: SetId = SetId(1);
pub(crate) const COMPANIES: SetId = SetId(3);

/// The model. Positions of properties are those of the lists below.
pub(crate) fn model() -> Model {
    use PrimitiveType::{Boolean, Date, DateTimeOffset, Decimal, Guid, Int32, String as Text};
    let mut account = entity_type(
        "Account",
        vec![
            property("accountid", primitive(Guid)),
            property("number", primitive(Text)),
            property("name", primitive(Text)),
            property("revenue", primitive(Decimal)),
            property("employees", primitive(Int32)),
            property("active", primitive(Boolean)),
            property("createdon", primitive(DateTimeOffset)),
            property("birthday", primitive(Date)),
            property("address", TypeKind::Complex(ADDRESS)),
            many(property("tags", primitive(Text))),
            property("parentid", primitive(Guid)),
        ],
        vec![0],
        vec![
            navigation("parent", ACCOUNT, false),
            navigation("owner", USER, false),
            navigation("orders", ORDER, true),
            contained(navigation("notes", ORDER, true)),
        ],
    );
    account.alternate_keys = vec![
        AlternateKey { properties: vec![("number".into(), 1)] },
        AlternateKey { properties: vec![("title".into(), 2), ("staff".into(), 4)] },
    ];
    account.navigation[0].constraints = vec![(10, 0)];
    let order = entity_type(
        "Order",
        vec![property("area", primitive(Text)), property("number", primitive(Int32))],
        vec![0, 1],
        vec![navigation("account", ACCOUNT, false)],
    );
    let user = entity_type(
        "User",
        vec![property("userid", primitive(Text)), property("title", primitive(Text))],
        vec![0],
        vec![],
    );
    let mut company = entity_type(
        "Company",
        vec![property("id", primitive(Guid)), property("name", primitive(Text))],
        vec![0],
        vec![navigation("accounts", ACCOUNT, true), contained(navigation("notes", ORDER, true))],
    );
    company.alternate_keys = vec![AlternateKey { properties: vec![("name".into(), 1)] }];
    let address = entity_type(
        "Address",
        vec![property("city", primitive(Text)), property("inner", TypeKind::Complex(ADDRESS))],
        vec![],
        vec![],
    );
    let mut open = entity_type("Open", vec![property("id", primitive(Int32))], vec![0], vec![]);
    open.is_open = true;
    let sets = vec![
        set("accounts", ACCOUNT, &[("orders", ORDERS)]),
        set("orders", ORDER, &[("account", ACCOUNTS)]),
        set("users", USER, &[]),
        set("companies", COMPANY, &[("accounts", ACCOUNTS)]),
        set("open", OPEN, &[]),
    ];
    let types = vec![account, order, user, company, address, open];
    let set_names = (0..).map(SetId).zip(&sets).map(|(id, set)| (set.name.clone(), id)).collect();
    let type_names = (0..).map(TypeId).zip(&types).map(|(id, ty)| (ty.qualified_name.clone(), id)).collect();
    Model {
        types,
        enums: Vec::new(),
        sets,
        set_names,
        type_names,
        enum_names: HashMap::new(),
        document: bytes::Bytes::new(),
    }
}

fn primitive(primitive: PrimitiveType) -> TypeKind {
    TypeKind::Primitive(primitive)
}

fn property(name: &str, kind: TypeKind) -> Property {
    Property { name: name.into(), ty: PropertyType::of(kind), computed: false, immutable: false, default: None }
}

fn many(mut property: Property) -> Property {
    property.ty.collection = true;
    property
}

fn navigation(name: &str, target: TypeId, collection: bool) -> NavigationProperty {
    let (partner, constraints) = (None, Vec::new());
    NavigationProperty {
        name: name.into(),
        target,
        collection,
        nullable: true,
        contains_target: false,
        partner,
        constraints,
    }
}

fn contained(mut navigation: NavigationProperty) -> NavigationProperty {
    navigation.contains_target = true;
    navigation
}

fn set(name: &str, entity_type: TypeId, bindings: &[(&str, SetId)]) -> EntitySet {
    let bindings = bindings.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect();
    EntitySet { name: name.into(), entity_type, bindings }
}

fn entity_type(
    name: &str,
    properties: Vec<Property>,
    key: Vec<usize>,
    navigation: Vec<NavigationProperty>,
) -> StructuredType {
    StructuredType {
        name: name.into(),
        qualified_name: format!("NS.{name}"),
        base: None,
        is_abstract: false,
        is_open: false,
        property_names: properties.iter().enumerate().map(|(at, p)| (p.name.clone(), at)).collect(),
        navigation_names: navigation.iter().enumerate().map(|(at, n)| (n.name.clone(), at)).collect(),
        properties,
        navigation,
        key,
        alternate_keys: Vec::new(),
    }
}

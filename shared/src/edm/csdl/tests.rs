use std::path::PathBuf;

use super::{CsdlError, CsdlProblem};
use crate::edm::{Capabilities, Model, PrimitiveType, SetId, Stream, TypeKind, Value};

/// A schema `N` with alias `S` and the given content.
fn schema(content: &str) -> Result<Model, CsdlError> {
    Model::from_csdl(format!(
        r#"<?xml version="1.0"?>
<edmx:Edmx Version="4.01" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">
<edmx:Reference Uri="core"><edmx:Include Namespace="Org.OData.Core.V1" Alias="Core"/></edmx:Reference>
<edmx:DataServices><Schema Namespace="N" Alias="S" xmlns="http://docs.oasis-open.org/odata/ns/edm">
{content}
</Schema></edmx:DataServices></edmx:Edmx>"#
    ))
}

fn problem(content: &str) -> CsdlProblem {
    schema(content).unwrap_err().problem
}

/// A public model of the folder beside the workspace; `None`, said aloud, where the folder is absent.
fn reference(path: &str) -> Option<Model> {
    let root = std::env::var_os("REBATCH_SHARED").map_or_else(|| PathBuf::from("../../shared"), PathBuf::from);
    match std::fs::read(root.join("reference").join(path)) {
        Ok(xml) => Some(Model::from_csdl(xml).unwrap()),
        Err(error) => {
            eprintln!("skipped: {path} is not there ({error})");
            None
        }
    }
}

#[test]
fn trip_pin_loads() {
    let Some(model) = reference("models/TripPin.xml") else { return };
    let people = model.set(model.set_id("People").unwrap());
    let person = model.ty(people.entity_type);
    assert!(person.is_open);
    let key: Vec<&str> = person.key.iter().map(|at| person.properties[*at].name.as_str()).collect();
    assert_eq!(key, ["UserName"]);
    assert!(!person.properties[person.property("UserName").unwrap()].computed);
    assert!(person.properties[person.property("Concurrency").unwrap()].computed);
    assert!(people.bindings.contains_key("Friends"));
    let namespace = "Microsoft.OData.SampleService.Models.TripPin";
    let (derived, base) =
        (model.type_id(&format!("{namespace}.Flight")), model.type_id(&format!("{namespace}.PlanItem")));
    assert!(model.is_a(derived.unwrap(), base.unwrap()));
    assert!(model.ty(derived.unwrap()).property("PlanItemId").is_some());
}

#[test]
fn northwind_loads() {
    let Some(model) = reference("models/Northwind.xml") else { return };
    let orders = model.set(model.set_id("Orders").unwrap());
    let order = model.ty(orders.entity_type);
    let freight = &order.properties[order.property("Freight").unwrap()].ty;
    assert_eq!((freight.precision, freight.scale), (Some(19), Some(4)));
    let details = model.ty(model.set(model.set_id("Order_Details").unwrap()).entity_type);
    assert_eq!(details.key.len(), 2);
    let navigation = &order.navigation[order.navigation("Customer").unwrap()];
    assert_eq!(navigation.constraints.len(), 1);
    assert_eq!(navigation.partner.as_deref(), Some("Orders"));
}

#[test]
fn the_model_of_the_captures_loads() {
    let captures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/captures");
    let model = Model::from_csdl(std::fs::read(captures.join("model.xml")).unwrap()).unwrap();
    assert_eq!(model.sets().count(), 2);
    assert_eq!(model.set(SetId(1)).bindings.get("regardingobjectid"), Some(&SetId(0)));
}

#[test]
fn inherited_members_come_first_wherever_the_base_stands() {
    let model = schema(
        r#"<EntityType Name="B" BaseType="S.A"><Property Name="q" Type="Edm.String"/>
           <NavigationProperty Name="more" Type="Collection(S.A)"/></EntityType>
           <EntityType Name="A" Abstract="true" OpenType="true"><Key><PropertyRef Name="id"/></Key>
             <Property Name="id" Type="Edm.Int32" Nullable="false"/><Property Name="up" Type="Edm.Int32"/>
             <NavigationProperty Name="other" Type="N.B"><ReferentialConstraint Property="up" ReferencedProperty="id"/>
             </NavigationProperty></EntityType>"#,
    )
    .unwrap();
    let b = model.ty(model.type_id("N.B").unwrap());
    assert_eq!(b.properties.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["id", "up", "q"]);
    assert_eq!(b.navigation.iter().map(|n| n.name.as_str()).collect::<Vec<_>>(), ["other", "more"]);
    assert_eq!((b.key.as_slice(), b.is_open, b.is_abstract), ([0].as_slice(), true, false));
    assert_eq!(b.navigation[0].constraints, [(1, 0)]);
    assert_eq!(model.type_id("S.B"), model.type_id("N.B"));
}

#[test]
fn facets_are_read() {
    let model = schema(
        r#"<TypeDefinition Name="Amount" UnderlyingType="Edm.Decimal" Precision="10" Scale="2"/>
           <ComplexType Name="C">
             <Property Name="a" Type="S.Amount" Scale="3" DefaultValue="1.5"/>
             <Property Name="b" Type="Collection(Edm.String)" MaxLength="max"/>
             <Property Name="c" Type="Edm.Decimal" Scale="Variable" Nullable="false"/>
             <Property Name="d" Type="Edm.GeographyPoint"/><Property Name="e" Type="Edm.Stream"/>
             <Property Name="f" Type="N.E" DefaultValue="Two"/>
           </ComplexType>
           <EnumType Name="E"><Member Name="One" Value="1"/><Member Name="Two"/><Member Name="Not_x002D_Two"/></EnumType>"#,
    )
    .unwrap();
    let c = model.ty(model.type_id("N.C").unwrap());
    let [a, b, variable, geo, stream, option] = c.properties.as_slice() else { panic!("{c:?}") };
    assert_eq!((a.ty.kind, a.ty.precision), (TypeKind::Primitive(PrimitiveType::Decimal), Some(10)));
    assert_eq!((a.ty.scale, a.ty.nullable), (Some(3), true));
    assert!(matches!(&a.default, Some(Value::Decimal(exact)) if exact.to_string() == "1.5"));
    assert!(b.ty.collection && !b.ty.nullable && b.ty.max_length.is_none());
    assert!(variable.ty.scale.is_none() && !variable.ty.nullable);
    assert_eq!(geo.ty.kind, TypeKind::Primitive(PrimitiveType::Geo));
    assert_eq!((stream.ty.kind, geo.stream.is_none()), (TypeKind::Primitive(PrimitiveType::Binary), true));
    assert_eq!(stream.stream, Some(Stream::default()));
    assert_eq!(option.default, Some(Value::Enum(2)));
    let options = model.enumeration(model.enum_id("N.E").unwrap());
    assert_eq!((options.members[2].value, options.members[2].caption.as_str()), (3, "Not-Two"));
}

#[test]
fn annotations_are_understood_inline_and_from_outside() {
    let model = schema(
        r#"<EntityType Name="T"><Key><PropertyRef Name="id"/></Key>
             <Property Name="id" Type="Edm.Guid" Nullable="false"><Annotation Term="Core.Computed"/></Property>
             <Property Name="a" Type="Edm.String"><Annotation Term="Core.Computed" Bool="false"/></Property>
             <Property Name="b" Type="Edm.String"><Annotation Term="Core.Immutable"><Bool>true</Bool></Annotation></Property>
             <Property Name="c" Type="Edm.String"><Annotation Term="Core.Permissions" EnumMember="Core.Permission/Read"/>
             </Property><Property Name="d" Type="Edm.String"/>
             <Annotation Term="Core.AlternateKeys"><Collection><Record><PropertyValue Property="Key"><Collection>
               <Record><PropertyValue Property="Name" PropertyPath="a"/><PropertyValue Property="Alias" String="x"/></Record>
               <Record><PropertyValue Property="Name"><PropertyPath>b</PropertyPath></PropertyValue></Record>
             </Collection></PropertyValue></Record></Collection></Annotation>
           </EntityType>
           <Annotations Target="S.T/d"><Annotation Term="Org.OData.Core.V1.Computed" Bool="true"/></Annotations>"#,
    )
    .unwrap();
    let ty = model.ty(model.type_id("N.T").unwrap());
    let computed: Vec<bool> = ty.properties.iter().map(|property| property.computed).collect();
    assert_eq!(computed, [true, false, false, true, true]);
    assert!(ty.properties[2].immutable);
    assert_eq!(ty.alternate_keys[0].properties, [("x".to_owned(), 1), ("b".to_owned(), 2)]);
}

#[test]
fn mistakes_are_named() {
    use CsdlProblem as P;
    let id = r#"<Property Name="id" Type="Edm.Int32"/>"#;
    assert_eq!(
        problem(r#"<ComplexType Name="A"><Property Name="p" Type="S.B"/></ComplexType>"#),
        P::UnknownType("N.B".into())
    );
    assert_eq!(problem(r#"<ComplexType Name="A"/><EnumType Name="A"/>"#), P::Duplicate("N.A".into()));
    assert_eq!(problem(&format!(r#"<ComplexType Name="A">{id}{id}</ComplexType>"#)), P::Duplicate("N.A/id".into()));
    assert_eq!(
        problem(r#"<EntityType Name="A"><Key><PropertyRef Name="k"/></Key></EntityType>"#),
        P::UnknownProperty { type_name: "N.A".into(), property: "k".into() }
    );
    assert_eq!(
        problem(r#"<ComplexType Name="A" BaseType="N.B"/><ComplexType Name="B" BaseType="N.A"/>"#),
        P::Cycle("N.A".into())
    );
    assert_eq!(
        problem(r#"<ComplexType Name="A"><Property Name="p"/></ComplexType>"#),
        P::MissingAttribute { element: "Property".into(), attribute: "Type" }
    );
    assert_eq!(
        problem(r#"<ComplexType Name="A"><Property Name="p" Type="Edm.Int32" DefaultValue="x"/></ComplexType>"#),
        P::BadAttribute { owner: "p".into(), attribute: "DefaultValue", value: "x".into() }
    );
}

#[test]
fn entities_of_a_collection_have_a_key() {
    let part = r#"<EntityType Name="A" BaseType="N.B"/><EntityType Name="B" Abstract="true"/>"#;
    let set = r#"<EntityContainer Name="C"><EntitySet Name="As" EntityType="N.A"/></EntityContainer>"#;
    let error = schema(&format!("{part}\n{set}")).unwrap_err();
    assert_eq!(error.to_string(), "CSDL line 5, column 1: entity type 'N.A' has no key, and entity set 'As' needs one");
    let held = r#"<EntityType Name="H"><NavigationProperty Name="of" Type="Collection(N.A)" ContainsTarget="true"/></EntityType>"#;
    let error = problem(&format!("{part}{held}")).to_string();
    assert_eq!(error, "entity type 'N.A' has no key, and collection 'N.H/of' needs one");
    // One of a kind needs none.
    schema(&format!("{part}{}", held.replace("Collection(N.A)", "N.A"))).unwrap();
}

#[test]
fn mistakes_are_found_at_line_and_column() {
    let error = schema("  <ComplexType Name=\"A\">\n <Property Name=\"p\" Type=\"X.Y\"/></ComplexType>").unwrap_err();
    assert_eq!(error.to_string(), "CSDL line 6, column 2: the type 'X.Y' is not declared");
    assert!(matches!(schema("<ComplexType Name=").unwrap_err().problem, CsdlProblem::Xml(_)));
    assert!(matches!(schema("</wrong>").unwrap_err().problem, CsdlProblem::Xml(_)));
    assert!(Model::from_csdl("<a>").is_err());
    assert!(Model::from_csdl("<edmx:Edmx Version='4.0'>").is_err());
    let error = Model::from_csdl(b"<a>\n\xc3\xa4\xff".as_slice()).unwrap_err();
    assert_eq!(error.to_string(), "CSDL line 2, column 2: is not UTF-8 text");
    assert!(Model::from_csdl("").is_err());
}

#[test]
fn capabilities_are_what_restrictions_leave() {
    let model = schema(
        r#"<EntityType Name="T"><Key><PropertyRef Name="id"/></Key><Property Name="id" Type="Edm.Int32"/>
             <Property Name="hidden" Type="Edm.Int32"><Annotation Term="Core.Permissions" EnumMember="Core.Permission/None"/>
             </Property>
             <NavigationProperty Name="parts" Type="Collection(N.T)" ContainsTarget="true"/>
             <NavigationProperty Name="fixed" Type="N.T"><Annotation Term="Core.Permissions"
               EnumMember="Core.Permission/Read"/></NavigationProperty></EntityType>
           <EntityContainer Name="C"><EntitySet Name="A" EntityType="N.T">
             <Annotation Term="Org.OData.Capabilities.V1.InsertRestrictions"><Record>
               <PropertyValue Property="Insertable" Bool="false"/><PropertyValue Property="MaxLevels" Int="1"/>
             </Record></Annotation></EntitySet>
             <EntitySet Name="B" EntityType="N.T"/></EntityContainer>
           <Annotations Target="N.C/B/parts/N.T/parts">
             <Annotation Term="Org.OData.Capabilities.V1.DeleteRestrictions"><Record>
               <PropertyValue Property="Deletable"><Bool>false</Bool></PropertyValue></Record></Annotation></Annotations>
           <Annotations Target="N.C/B"><Annotation Term="Org.OData.Capabilities.V1.ReadRestrictions"><Record>
             <PropertyValue Property="Readable" Bool="false"/></Record></Annotation></Annotations>"#,
    )
    .unwrap();
    let set = |name: &str| model.set(model.set_id(name).unwrap());
    assert_eq!(set("A").capabilities, Capabilities { insertable: false, ..Capabilities::ALL });
    let unread = Capabilities { readable: false, readable_by_key: false, ..Capabilities::ALL };
    assert_eq!(set("B").capabilities, unread);
    assert_eq!(set("B").navigation["parts/parts"], Capabilities { deletable: false, ..Capabilities::ALL });
    let ty = model.ty(model.type_id("N.T").unwrap());
    assert!(ty.properties[1].computed && ty.properties[1].write_only);
    assert!(!ty.navigation[0].read_only && ty.navigation[1].read_only);
    assert_eq!(ty.navigation[1].capabilities, Capabilities::READ);
}

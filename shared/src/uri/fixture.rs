//! A small model for tests: accounts with navigation of every kind, and companies in front of them.

use std::sync::LazyLock;

use crate::edm::{Model, SetId, TypeId};

pub(crate) const ACCOUNT: &str = "NS.Account";
pub(crate) const ORDER: &str = "NS.Order";
pub(crate) const USER: &str = "NS.User";
pub(crate) const ADDRESS: &str = "NS.Address";
pub(crate) const OPEN: &str = "NS.Open";

/// The type of a qualified name.
pub(crate) fn type_id(name: &str) -> TypeId {
    model().type_id(name).unwrap()
}

/// The entity set of a name.
pub(crate) fn set_id(name: &str) -> SetId {
    model().set_id(name).unwrap()
}

/// The model. Tests count positions of properties from the order here.
pub(crate) fn model() -> &'static Model {
    static MODEL: LazyLock<Model> = LazyLock::new(|| Model::from_csdl(CSDL).unwrap());
    &MODEL
}

const CSDL: &str = r#"
<edmx:Edmx Version="4.01" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">
  <edmx:Reference Uri="https://oasis-tcs.github.io/odata-vocabularies/vocabularies/Org.OData.Core.V1.xml">
    <edmx:Include Namespace="Org.OData.Core.V1" Alias="Core"/>
  </edmx:Reference>
  <edmx:DataServices>
    <Schema Namespace="NS" xmlns="http://docs.oasis-open.org/odata/ns/edm">
      <EntityType Name="Account">
        <Key><PropertyRef Name="accountid"/></Key>
        <Property Name="accountid" Type="Edm.Guid" Nullable="false"/>
        <Property Name="number" Type="Edm.String" MaxLength="5"/>
        <Property Name="name" Type="Edm.String"/>
        <Property Name="revenue" Type="Edm.Decimal" Precision="10" Scale="2"/>
        <Property Name="employees" Type="Edm.Int32"/>
        <Property Name="active" Type="Edm.Boolean"/>
        <Property Name="createdon" Type="Edm.DateTimeOffset"/>
        <Property Name="birthday" Type="Edm.Date"/>
        <Property Name="address" Type="NS.Address"/>
        <Property Name="tags" Type="Collection(Edm.String)"/>
        <Property Name="parentid" Type="Edm.Guid"/>
        <Property Name="status" Type="NS.Status"/>
        <NavigationProperty Name="parent" Type="NS.Account">
          <ReferentialConstraint Property="parentid" ReferencedProperty="accountid"/>
        </NavigationProperty>
        <NavigationProperty Name="owner" Type="NS.User"/>
        <NavigationProperty Name="orders" Type="Collection(NS.Order)"/>
        <NavigationProperty Name="notes" Type="Collection(NS.Order)" ContainsTarget="true"/>
        <Annotation Term="Core.AlternateKeys">
          <Collection>
            <Record><PropertyValue Property="Key"><Collection>
              <Record><PropertyValue Property="Name" PropertyPath="number"/></Record>
            </Collection></PropertyValue></Record>
            <Record><PropertyValue Property="Key"><Collection>
              <Record>
                <PropertyValue Property="Name" PropertyPath="name"/>
                <PropertyValue Property="Alias" String="title"/>
              </Record>
              <Record>
                <PropertyValue Property="Name" PropertyPath="employees"/>
                <PropertyValue Property="Alias" String="staff"/>
              </Record>
            </Collection></PropertyValue></Record>
          </Collection>
        </Annotation>
      </EntityType>
      <EntityType Name="Order">
        <Key><PropertyRef Name="area"/><PropertyRef Name="number"/></Key>
        <Property Name="area" Type="Edm.String" Nullable="false"/>
        <Property Name="number" Type="Edm.Int32" Nullable="false"/>
        <NavigationProperty Name="account" Type="NS.Account"/>
      </EntityType>
      <EntityType Name="User">
        <Key><PropertyRef Name="userid"/></Key>
        <Property Name="userid" Type="Edm.String" Nullable="false"/>
        <Property Name="title" Type="Edm.String"/>
      </EntityType>
      <EntityType Name="Company">
        <Key><PropertyRef Name="id"/></Key>
        <Property Name="id" Type="Edm.Guid" Nullable="false"/>
        <Property Name="name" Type="Edm.String"/>
        <NavigationProperty Name="accounts" Type="Collection(NS.Account)"/>
        <NavigationProperty Name="notes" Type="Collection(NS.Order)" ContainsTarget="true"/>
        <Annotation Term="Core.AlternateKeys">
          <Collection>
            <Record><PropertyValue Property="Key"><Collection>
              <Record><PropertyValue Property="Name" PropertyPath="name"/></Record>
            </Collection></PropertyValue></Record>
          </Collection>
        </Annotation>
      </EntityType>
      <EntityType Name="Open" OpenType="true">
        <Key><PropertyRef Name="id"/></Key>
        <Property Name="id" Type="Edm.Int32" Nullable="false"/>
      </EntityType>
      <ComplexType Name="Address">
        <Property Name="city" Type="Edm.String"/>
        <Property Name="inner" Type="NS.Address"/>
      </ComplexType>
      <EnumType Name="Status">
        <Member Name="Draft" Value="0"/>
        <Member Name="Sent" Value="5"/>
      </EnumType>
      <EntityContainer Name="Container">
        <EntitySet Name="accounts" EntityType="NS.Account">
          <NavigationPropertyBinding Path="orders" Target="orders"/>
        </EntitySet>
        <EntitySet Name="orders" EntityType="NS.Order">
          <NavigationPropertyBinding Path="account" Target="accounts"/>
        </EntitySet>
        <EntitySet Name="users" EntityType="NS.User"/>
        <EntitySet Name="companies" EntityType="NS.Company">
          <NavigationPropertyBinding Path="accounts" Target="accounts"/>
        </EntitySet>
        <EntitySet Name="open" EntityType="NS.Open"/>
      </EntityContainer>
    </Schema>
  </edmx:DataServices>
</edmx:Edmx>"#;

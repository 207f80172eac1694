//! What an entity has besides properties: related entities, references to them, control information.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::control::{Control, Member, refuse_changes};
use super::object::{Object, Shape, shape};
use super::path::{Path, unknown};
use super::read::{Bind, Nested, Reader, is_id};
use crate::edm::{NavigationProperty, StructuredType, ValueError};

/// What an entity has besides properties.
#[derive(Default)]
pub(super) struct Links<'a> {
    pub(super) nested: Vec<(usize, Nested<'a>)>,
    pub(super) binds: Vec<(usize, Bind<'a>)>,
    pub(super) etag: Option<Cow<'a, str>>,
    pub(super) id: Option<Cow<'a, str>>,
}

impl<'a> Reader<'_, 'a> {
    /// Reads a member that is a navigation property, control information or an annotation, of an entity (with `links`)
    /// or a complex value (without). False when it is none of these.
    pub(super) fn link(
        &self,
        ty: &StructuredType,
        name: &str,
        raw: &'a RawValue,
        path: &Path<'_>,
        links: Option<&mut Links<'a>>,
    ) -> Result<bool, ValueError> {
        match Member::of(name, Some(ty)) {
            Member::Information => Ok(true),
            Member::Control(target, control) => {
                self.control(ty, (target, control), raw, path, links)?;
                refuse_changes(name, raw, path)?;
                Ok(true)
            }
            Member::Plain => {
                let found = ty.navigation(name).and_then(|at| Some((at, ty.navigation.get(at)?)));
                let Some((at, navigation)) = found else { return Ok(false) };
                let links = links.ok_or_else(|| unsupported(path))?;
                self.related(at, navigation, raw, path, links)?;
                Ok(true)
            }
        }
    }

    fn control(
        &self,
        ty: &StructuredType,
        (target, control): (&str, Control),
        raw: &'a RawValue,
        path: &Path<'_>,
        links: Option<&mut Links<'a>>,
    ) -> Result<(), ValueError> {
        let navigation = ty.navigation(target).and_then(|at| Some((at, ty.navigation.get(at)?)));
        let given = shape(raw) != Shape::Null;
        match (control, links) {
            (Control::Etag, Some(links)) if target.is_empty() && given => links.etag = Some(self.text_of(raw, path)?),
            (Control::Id, Some(links)) if target.is_empty() && given => links.id = Some(self.text_of(raw, path)?),
            (Control::Bind, links) => {
                let (at, navigation) = navigation.ok_or_else(|| unknown(path, ty))?;
                let bind = self.bind(navigation, raw, path)?;
                add_bind(links.ok_or_else(|| unsupported(path))?, at, bind, path)?;
            }
            (Control::Delta, _) if !target.is_empty() && navigation.is_none_or(|(_, nav)| !nav.collection) => {
                return Err(unknown(path, ty));
            }
            _ => {}
        }
        Ok(())
    }

    /// `nav@odata.bind`
    fn bind(
        &self,
        navigation: &NavigationProperty,
        raw: &'a RawValue,
        path: &Path<'_>,
    ) -> Result<Bind<'a>, ValueError> {
        check_writable(navigation, path)?;
        if navigation.collection {
            let items = self.items(raw, "Collection(Edm.String)", path)?;
            let links = items.into_iter().enumerate().map(|(at, item)| self.text_of(item, &path.item(at)));
            return Ok(Bind::Many(links.collect::<Result<_, _>>()?));
        }
        match shape(raw) {
            Shape::Null => no_target(navigation, path),
            _ => Ok(Bind::One(self.text_of(raw, path)?)),
        }
    }

    /// Inline entities; those that are entity references only become binds.
    fn related(
        &self,
        at: usize,
        navigation: &NavigationProperty,
        raw: &'a RawValue,
        path: &Path<'_>,
        links: &mut Links<'a>,
    ) -> Result<(), ValueError> {
        check_writable(navigation, path)?;
        if !navigation.collection {
            if shape(raw) == Shape::Null {
                return add_bind(links, at, no_target(navigation, path)?, path);
            }
            match self.reference(raw, path)? {
                Some(reference) => add_bind(links, at, Bind::One(reference), path)?,
                None => links.nested.push((at, Nested::One(raw))),
            }
            return Ok(());
        }
        let expected = format!("Collection({})", self.model.ty(navigation.target).qualified_name);
        let (mut bodies, mut references) = (Vec::new(), Vec::new());
        for (position, item) in self.items(raw, &expected, path)?.into_iter().enumerate() {
            match self.reference(item, &path.item(position))? {
                Some(reference) => references.push(reference),
                None => bodies.push(item),
            }
        }
        let no_references = references.is_empty();
        if !no_references {
            add_bind(links, at, Bind::Many(references), path)?;
        }
        if !bodies.is_empty() || no_references {
            links.nested.push((at, Nested::Many(bodies)));
        }
        Ok(())
    }

    /// The reference, if an object has control information only and an id in it (JSON Format §14).
    fn reference(&self, raw: &'a RawValue, path: &Path<'_>) -> Result<Option<Cow<'a, str>>, ValueError> {
        let Object(members) = self.object(raw, path)?;
        for (name, raw) in &members {
            refuse_changes(name, raw, &path.member(name))?;
        }
        if !members.iter().all(|(name, _)| name.starts_with('@')) {
            return Ok(None);
        }
        let id = members.iter().find(|(name, _)| is_id(name));
        id.map(|(_, raw)| self.text_of(raw, &path.member("@odata.id"))).transpose()
    }
}

fn check_writable(navigation: &NavigationProperty, path: &Path<'_>) -> Result<(), ValueError> {
    if navigation.read_only { Err(ValueError::ReadOnly { property: path.to_string() }) } else { Ok(()) }
}

fn unsupported(path: &Path<'_>) -> ValueError {
    ValueError::UnsupportedControl { property: path.to_string() }
}

fn no_target(navigation: &NavigationProperty, path: &Path<'_>) -> Result<Bind<'static>, ValueError> {
    let null = || ValueError::NotNullable { property: path.to_string() };
    if navigation.nullable { Ok(Bind::Null) } else { Err(null()) }
}

/// Adds a bind. References to many may come from two members, a single one may not.
fn add_bind<'a>(links: &mut Links<'a>, at: usize, bind: Bind<'a>, path: &Path<'_>) -> Result<(), ValueError> {
    match (links.binds.iter_mut().find(|(other, _)| *other == at), bind) {
        (None, bind) => links.binds.push((at, bind)),
        (Some((_, Bind::Many(all))), Bind::Many(more)) => all.extend(more),
        (Some(_), _) => return Err(ValueError::DuplicateMember { property: path.to_string() }),
    }
    Ok(())
}

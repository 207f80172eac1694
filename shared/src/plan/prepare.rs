//! One request of a batch, understood: resource, options, preconditions, preferences.

use std::borrow::Cow;

use bytes::Bytes;
use http::Method;

use crate::{
    batch::{Headers, Preferences, Request, RequestId, Return},
    edm::{ETag, Format, Numbers, Types},
    jobs::Status,
    repeat::Claim,
    service::profile::{Profile, Returned},
    uri::{self, Encoding, QueryOptions, Resource},
};

use super::{
    OdataVersion, PlanError,
    context::{Context, Reference, References},
    negotiate::{self, Metadata},
    options::check_custom_options,
    payload::check_body,
    repeat::Repeats,
};

/// Longest `Change-Reason`, in bytes.
const MAX_REASON: usize = 500;

/// The header that narrows the states of a requeue.
pub(super) const REQUEUE_FROM: &str = "requeue-from";
/// Characters of what a client sent that a message repeats.
const MAX_SHOWN: usize = 60;

/// A request that is ready to be evaluated.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Method.
    pub method: Method,
    /// Service root it was called with.
    pub root: String,
    /// What the URL leads to.
    pub resource: Resource,
    /// Query string as sent, for next links.
    pub query: Option<String>,
    /// Path below the root as sent, for next links.
    pub path: String,
    /// Query options.
    pub options: QueryOptions,
    /// Preferences.
    pub prefer: Preferences,
    /// `If-Match`.
    pub if_match: Option<Tags>,
    /// `If-None-Match`.
    pub if_none_match: Option<Tags>,
    /// Index of the company.
    pub company: Option<usize>,
    /// Version of the answer.
    pub version: OdataVersion,
    /// How much control information the answer has.
    pub metadata: Metadata,
    /// How exact numbers are written.
    pub numbers: Numbers,
    /// Body.
    pub body: Bytes,
    /// What is wrong with the body, if the resource takes the method at all.
    pub body_fault: Option<PlanError>,
    /// Media type of the body, as sent.
    pub media_type: Option<String>,
    /// An etag in the body counts (payloads of 4.01).
    pub body_etags: bool,
    /// The client's numbers of 64 bits are strings (`IEEE754Compatible=true`).
    pub body_numbers: Numbers,
    /// `Repeatability-Request-ID`: what makes a repeat known to what remembers ids by itself.
    pub request_id: Option<String>,
    /// Where is kept how it ends, when it is to be known as a repeat.
    pub claim: Option<Claim>,
    /// `Change-Reason`: kept in the history of what is changed.
    pub reason: Option<String>,
    /// `Requeue-From`: the only states that SetBatchJobToWaiting is to take the job out of, by this call.
    pub requeue_from: Option<Vec<Status>>,
}

impl Prepared {
    /// How the answer writes values.
    pub(crate) fn format(&self) -> Format {
        let types = match (self.metadata, self.version) {
            (Metadata::None, _) => Types::Omitted,
            (Metadata::Minimal, OdataVersion::V40) => Types::V40,
            (Metadata::Minimal, OdataVersion::V401) => Types::V401,
        };
        Format { numbers: self.numbers, types }
    }

    /// What the answer to a write holds: what the client prefers, else `default`.
    pub(crate) fn returns(&self, default: Returned) -> Returned {
        match self.prefer.return_ {
            Some(Return::Minimal) => Returned::Minimal,
            Some(Return::Representation) => Returned::Representation,
            None => default,
        }
    }

    /// What the answer to an update holds. `$select` asks for something to select from.
    pub(crate) fn update_returns(&self, profile: &Profile) -> Returned {
        self.returns(if self.options.select.is_some() { Returned::Representation } else { profile.update_returns })
    }
}

/// The value of `If-Match` or `If-None-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tags {
    /// `*`
    Any,
    /// A list. `None` for a tag that is not one of ours.
    List(Vec<Option<ETag>>),
}

impl Tags {
    /// Whether an entity with this etag is meant.
    pub fn matches(&self, etag: &ETag) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => tags.iter().flatten().any(|tag| tag == etag),
        }
    }

    /// The one etag meant, where it is one.
    pub fn single(&self) -> Option<&ETag> {
        match self {
            Self::List(tags) => match tags.as_slice() {
                [Some(tag)] => Some(tag),
                _ => None,
            },
            Self::Any => None,
        }
    }
}

/// Understands a request. Reads nothing.
pub(super) fn prepare(
    context: &Context<'_>,
    request: &Request,
    references: &References,
) -> Result<Prepared, PlanError> {
    if let Some(fault) = &request.fault {
        return Err(PlanError::Faulty(Box::new(fault.clone())));
    }
    if request.condition.is_some() {
        return Err(PlanError::ConditionUnsupported);
    }
    let url = dereference(context, &request.url, references)?;
    if let Some(host) = request.headers.get("host").filter(|_| url.starts_with('/')) {
        context.check_authority(&url, host)?;
    }
    let located = context.locate(&url)?;
    let segments = uri::parse_path(&located.path, Encoding::Percent, &context.service.limits.uri())?;
    let options = QueryOptions::parse(located.query.unwrap_or_default(), &context.service.limits.uri())?;
    prepare_at(
        context,
        request,
        references,
        Place { segments, options, root: located.root, path: located.path.into_owned() },
        located.query,
    )
}

/// The URL of a request, taken apart.
#[derive(Debug)]
pub struct Place {
    /// Path segments below the root.
    pub segments: Vec<uri::Segment>,
    /// Query options.
    pub options: QueryOptions,
    /// Service root.
    pub root: String,
    /// Path below the root as sent.
    pub path: String,
}

/// Understands a request whose URL is taken apart already (one that came alone).
pub fn prepare_at(
    context: &Context<'_>,
    request: &Request,
    references: &References,
    place: Place,
    query: Option<&str>,
) -> Result<Prepared, PlanError> {
    let headers = &request.headers;
    let version = negotiate::version(headers, context.service)?;
    negotiate::isolation(headers, context.service)?;
    check_custom_options(&context.service.profile, &place.options)?;
    let companies = context.service.companies.as_ref();
    let resource = uri::resolve(&context.service.model, &place.segments, companies.map(|c| c.set))?;
    if resource == Resource::Batch {
        return Err(PlanError::NestedBatch);
    }
    let stream = match &resource {
        Resource::Entities(path) => path.stream(&context.service.model),
        _ => None,
    };
    let (metadata, numbers) = match resource {
        Resource::Metadata => negotiate::document(&place.options)?,
        // A stream has one form, whatever the client would rather have.
        _ if stream.is_some() => (Metadata::Minimal, Numbers::Plain),
        _ => negotiate::metadata(headers, &place.options, &resource)?,
    };
    let repeats = Repeats::of(context, request, (&place, query), &resource)?;
    Ok(Prepared {
        company: company(context, headers, &place.options, &resource)?,
        method: request.method.clone(),
        root: place.root,
        resource,
        query: query.map(str::to_owned),
        path: place.path,
        options: place.options,
        prefer: Preferences::of(headers),
        if_match: tags(context, headers, "if-match", references)?,
        if_none_match: tags(context, headers, "if-none-match", references)?,
        version,
        metadata,
        numbers,
        body: request.body.clone(),
        body_fault: check_body(request, stream).err(),
        media_type: headers.get("content-type").map(str::to_owned),
        body_etags: headers.get("odata-version").is_some_and(|v| negotiate::version_number(v) == "4.01"),
        body_numbers: negotiate::body_numbers(headers),
        request_id: repeats.id,
        claim: repeats.claim,
        reason: bounded(headers, "change-reason", MAX_REASON)?,
        requeue_from: requeue_from(headers)?,
    })
}

/// A header whose value is kept, so it has a limit.
fn bounded(headers: &Headers, name: &'static str, max: usize) -> Result<Option<String>, PlanError> {
    let mut values = headers.get_all(name).map(str::trim);
    let Some(value) = values.next() else { return Ok(None) };
    if values.any(|other| other != value) {
        return Err(PlanError::Header { name, reason: "it is given twice".into() });
    }
    if value.is_empty() || value.len() > max {
        let reason = format!("it has {} bytes; 1 to {max} are possible", value.len());
        return Err(PlanError::Header { name, reason });
    }
    Ok(Some(value.to_owned()))
}

/// The states in `Requeue-From`: names in one list, or in several.
fn requeue_from(headers: &Headers) -> Result<Option<Vec<Status>>, PlanError> {
    if headers.get(REQUEUE_FROM).is_none() {
        return Ok(None);
    }
    let names = headers.get_all(REQUEUE_FROM).flat_map(|list| list.split(',')).map(str::trim);
    let state = |name: &str| {
        let shown: String = name.chars().take(MAX_SHOWN).collect();
        let reason = format!("'{shown}' is no state of a batch job");
        Status::from_name(name).ok_or(PlanError::Header { name: REQUEUE_FROM, reason })
    };
    names.map(state).collect::<Result<_, _>>().map(Some)
}

/// The company: from the URL, the query, the header, else the default one.
fn company(
    context: &Context<'_>,
    headers: &Headers,
    options: &QueryOptions,
    resource: &Resource,
) -> Result<Option<usize>, PlanError> {
    let Some(companies) = &context.service.companies else { return Ok(None) };
    if let Resource::Entities(path) | Resource::Action { path, .. } = resource
        && let Some(key) = &path.company
    {
        let found = companies.by_key(key);
        let text = || uri::write_key(&context.service.model, context.service.model.set(companies.set).entity_type, key);
        return found.map(Some).ok_or_else(|| PlanError::CompanyNotFound(text()));
    }
    let option = options.custom.iter().find(|(name, _)| name.eq_ignore_ascii_case("company")).map(|(_, v)| v.as_str());
    match option.or_else(|| headers.get("company")) {
        Some(name) => match companies.by_name(name) {
            Some(index) => Ok(Some(index)),
            None => Err(PlanError::CompanyNotFound(name.to_owned())),
        },
        None => Ok(Some(companies.default)),
    }
}

/// A precondition header. The literal `null` means nothing; an unquoted `$<id>` is the etag that request returned.
fn tags(
    context: &Context<'_>,
    headers: &Headers,
    name: &'static str,
    references: &References,
) -> Result<Option<Tags>, PlanError> {
    let Some(value) = headers.get(name).map(str::trim).filter(|v| !v.is_empty() && *v != "null") else {
        return Ok(None);
    };
    if value == "*" {
        return Ok(Some(Tags::Any));
    }
    let mut list = Vec::new();
    for tag in split_tags(value) {
        let text: Cow<'_, str> = match tag.strip_prefix('$') {
            None => tag.into(),
            Some(id) => match RequestId::new(id).ok().and_then(|id| references.get(&id)) {
                Some(Reference::Entity { etag: Some(etag), .. }) => etag.clone().into(),
                Some(_) => return Err(PlanError::EmptyReference(id.to_owned())),
                None => return Err(PlanError::UnknownReference(id.to_owned())),
            },
        };
        let quoted = text.strip_prefix("W/").unwrap_or(&text);
        if !(quoted.len() >= 2 && quoted.starts_with('"') && quoted.ends_with('"')) {
            return Err(if context.service.profile.if_match_required && name == "if-match" {
                PlanError::TokenRequired
            } else {
                PlanError::Header { name, reason: format!("'{text}' is not an entity tag") }
            });
        }
        list.push(ETag::parse(&text));
    }
    Ok(Some(Tags::List(list)))
}

/// Splits at commas outside quotes.
fn split_tags(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let parts = value.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    parts.map(str::trim).filter(|tag| !tag.is_empty())
}

/// Replaces `$<id>` at the start of a URL by the path of the entity that request led to (Protocol §11.7.4).
pub(super) fn dereference<'u>(
    context: &Context<'_>,
    url: &'u str,
    references: &References,
) -> Result<Cow<'u, str>, PlanError> {
    let Some((id, rest)) = reference(url) else { return Ok(url.into()) };
    match RequestId::new(&id).ok().and_then(|id| references.get(&id)) {
        // Relative to the root of the batch, whatever host the client thinks it talks to.
        Some(Reference::Entity { path, .. }) => Ok(format!("{}/{path}{rest}", context.root).into()),
        Some(Reference::Nothing | Reference::Failed) => Err(PlanError::EmptyReference(id.into_owned())),
        None => Err(PlanError::UnknownReference(id.into_owned())),
    }
}

/// Whether the URL or the etags of a request refer to another request of the batch.
pub fn refers(request: &Request) -> bool {
    let in_tags = |name| request.headers.get(name).is_some_and(|value| value.contains('$'));
    reference(&request.url).is_some() || in_tags("if-match") || in_tags("if-none-match")
}

/// The id and the rest of a URL whose first segment is a reference: `$<id>`, percent-decoded like any other segment.
/// System resources are none.
pub fn reference(url: &str) -> Option<(Cow<'_, str>, &str)> {
    let relative = url.strip_prefix('/').unwrap_or(url);
    let (segment, rest) = relative.split_at(relative.find(['/', '?', '#']).unwrap_or(relative.len()));
    let id = match uri::decode_segment(segment).ok()? {
        Cow::Borrowed(segment) => Cow::Borrowed(segment.strip_prefix('$')?),
        Cow::Owned(segment) => Cow::Owned(segment.strip_prefix('$')?.to_owned()),
    };
    let system = ["batch", "crossjoin", "all", "entity", "root", "id", "metadata"];
    let is_system = system.contains(&id.split('(').next().unwrap_or_default());
    (!is_system).then_some((id, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_the_whole_first_segment() {
        for (url, id, rest) in [
            ("$1", "1", ""),
            ("/$1", "1", ""),
            ("%241", "1", ""),
            ("/%24%31/Orders", "1", "/Orders"),
            ("$10/Orders?$expand=Items", "10", "/Orders?$expand=Items"),
            ("$1?x=1", "1", "?x=1"),
        ] {
            assert_eq!(reference(url), Some((id.into(), rest)), "{url}");
        }
        assert_eq!(reference("%25241"), None);
        assert_eq!(reference("%2F$1"), None);
        assert_eq!(reference("People('$1')"), None);
        for system in
            ["$batch", "$metadata", "$metadata#People", "$entity?$id=x", "$all", "$crossjoin(A,B)", "$root", "%24batch"]
        {
            assert_eq!(reference(system), None, "{system}");
        }
    }

    #[test]
    fn tags_split_outside_quotes() {
        let tags: Vec<_> = split_tags(r#"W/"a,b", "c" , $1"#).collect();
        assert_eq!(tags, [r#"W/"a,b""#, r#""c""#, "$1"]);
    }
}

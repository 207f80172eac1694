//! Services from folders: `service.toml` (roots, profile, limits, derived values), `model.xml` (CSDL), `seed.json`.
//!
//! Loaded once at start and immutable from then on. Everything that `service.toml` and `seed.json` name is looked up in the
//! model here, so that a misspelt name stops the start with its line, not a request later.

mod check;
mod companies;
mod config;
mod derived;
mod error;
mod jobs;
mod limits;
mod literal;
mod load;
mod once;
pub mod profile;
mod requeue;
mod roots;
mod seed;
mod with_parent;

use std::{
    collections::{HashMap, HashSet},
    panic::resume_unwind,
    path::Path,
    sync::Arc,
    thread,
};

use bytes::Bytes;

pub use self::{
    companies::Companies,
    derived::{Client, Copied, CopySource, Derived, Rule},
    error::{Problem, ServiceError},
    limits::Limits,
    profile::Profile,
    roots::{HEALTH, METRICS, READY},
    seed::SeedGroup,
    with_parent::WithParent,
};
use self::{
    config::ServiceConfig,
    derived::Located,
    profile::Isolation,
    roots::{Origin, Pattern, Roots},
};
use crate::{
    auth::Permissions,
    edm::{Model, SetId, TypeId},
    events::Subscriptions,
    jobs::{Jobs, Requeues},
    text_file,
    uri::Encoding,
};

/// Entities on a page when `service.toml` does not say.
const PAGE_SIZE: u32 = 1_000;
/// More partitions for one set would make listing it slower than any write it speeds up.
const MAX_SHARDS: u16 = 256;

/// One OData service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Name of its folder; part of every key in the table.
    pub name: String,
    /// The first of its roots, as written: `/data`.
    pub root: String,
    /// How it differs on the wire from plain OData 4.01.
    pub profile: Profile,
    /// Its types and entity sets.
    pub model: Model,
    /// What it refuses as too much.
    pub limits: Limits,
    /// Its companies, when it keeps the data of several apart.
    pub companies: Option<Companies>,
    /// Derived values by type (inherited ones included), in the order they are to be applied.
    pub derived: HashMap<TypeId, Vec<Derived>>,
    /// Contained entities that exist with their parent.
    pub with_parent: Vec<WithParent>,
    /// Number of partitions of the sets that are spread over more than one.
    pub shards: HashMap<SetId, u16>,
    /// Entities on one page of a collection.
    pub page_size: u32,
    /// Its batch jobs, if it has them.
    pub jobs: Option<Jobs>,
    /// Who is told of their changes.
    pub events: Option<Subscriptions>,
    /// What events from outside did to them, when that is kept here.
    pub requeues: Option<Requeues>,
    /// What its callers' scopes and roles allow.
    pub permissions: Permissions,
    /// The rows of an empty store.
    pub seed: Vec<SeedGroup>,
    /// Its folder, in messages.
    pub folder: String,
    /// Namespace of the first entity set's type, for names without one.
    pub default_namespace: String,
}

/// The files of one service.
#[derive(Clone, Debug)]
pub struct Source {
    /// Name of the service, and of its folder in messages.
    pub name: String,
    /// `service.toml`
    pub service_toml: String,
    /// `model.xml`
    pub model_xml: Bytes,
    /// `seed.json`, if there is one.
    pub seed_json: Option<Bytes>,
}

/// All services of a host.
#[derive(Clone, Debug)]
pub struct Services {
    services: Vec<Arc<Service>>,
    roots: Roots,
}

/// The service that a path belongs to.
#[derive(Clone, Debug)]
pub struct Found<'s, 'p> {
    /// The service.
    pub service: &'s Arc<Service>,
    /// Its root as called, without a final slash: `/api/data/v8.2`.
    pub root: &'p str,
    /// What follows the root, without a leading slash: `accounts(1)`.
    pub rest: &'p str,
}

impl Services {
    /// Loads every sub-folder of `dir` that has a `service.toml`.
    pub fn load(dir: &Path) -> Result<Self, ServiceError> {
        Self::load_where(dir, |_| true, Problem::NoService)
    }

    /// Loads only the services that have batch jobs: no model of another one is read.
    pub fn load_with_jobs(dir: &Path) -> Result<Self, ServiceError> {
        Self::load_where(dir, |config| config.jobs.is_some(), Problem::NoJobs)
    }

    /// The services of these files.
    #[expect(clippy::needless_pass_by_value, reason = "whoever has read the files has no further use for them")]
    pub fn from_sources(sources: Vec<Source>) -> Result<Self, ServiceError> {
        Self::from_sources_where(Path::new(""), &sources, |_| true)
    }

    /// Loads the services whose configuration is wanted; `none` is wrong when there are none.
    fn load_where(
        dir: &Path,
        wanted: impl Fn(&ServiceConfig) -> bool + Sync,
        none: Problem,
    ) -> Result<Self, ServiceError> {
        let loaded = Self::from_sources_where(dir, &load::sources(dir)?, wanted)?;
        if loaded.services.is_empty() { Err(none.in_file(&dir.display().to_string())) } else { Ok(loaded) }
    }

    /// `dir` is the folder that the sources come from, in messages.
    fn from_sources_where(
        dir: &Path,
        sources: &[Source],
        wanted: impl Fn(&ServiceConfig) -> bool + Sync,
    ) -> Result<Self, ServiceError> {
        check::names(dir, sources)?;
        let (mut services, mut patterns, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        let mut with_requeues: Option<&str> = None;
        let all = side_by_side(sources, |source| Service::read(dir, source, &wanted));
        for (source, read) in sources.iter().zip(all) {
            let Some(Read { service, roots, requeues }) = read? else { continue };
            // There is one webhook, and one place for what it does.
            if let (Some(at), Some(other)) = (requeues, with_requeues) {
                let file = check::file(dir, &source.name, "service.toml");
                return Err(Problem::SameRequeues(other.to_owned()).at(&file, &source.service_toml, at));
            }
            with_requeues = with_requeues.or(requeues.map(|_| source.name.as_str()));
            let origin = |offset| Origin { service: kept.len(), offset };
            patterns.extend(roots.into_iter().map(|(offset, pattern)| (pattern, origin(offset))));
            services.push(Arc::new(service));
            kept.push(source);
        }
        let roots = Roots::new(patterns).map_err(|same| check::same_root(dir, &kept, &same))?;
        Ok(Self { services, roots })
    }

    /// All services, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.iter()
    }

    /// The service of a path, which begins at the root of the host and has no query.
    pub fn find<'p>(&self, path: &'p str, encoding: Encoding) -> Option<Found<'_, 'p>> {
        let (index, root, rest) = self.roots.find(path, encoding)?;
        Some(Found { service: self.services.get(index)?, root, rest })
    }
}

/// Does the same for each of these, each on a thread of its own: models are most of what a start takes.
fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = items.iter().map(|item| scope.spawn(move || work(item))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// A service as its files are read.
struct Read {
    service: Service,
    /// The patterns of its roots, each with its offset in `service.toml`.
    roots: Vec<(usize, Pattern)>,
    /// Where `[requeues]` is in it.
    requeues: Option<usize>,
}

impl Service {
    /// The service of these files, if it is wanted.
    fn read(
        dir: &Path,
        source: &Source,
        wanted: impl Fn(&ServiceConfig) -> bool,
    ) -> Result<Option<Read>, ServiceError> {
        let file = check::file(dir, &source.name, "service.toml");
        let config = ServiceConfig::parse(&file, &source.service_toml)?;
        if !wanted(&config) {
            return Ok(None);
        }
        let located = |(offset, problem): Located| problem.at(&file, &source.service_toml, offset);
        let roots = root_patterns(&config).map_err(located)?;
        jobs::apart_from_companies(&config).map_err(located)?;
        let requeues = config.requeues.as_ref().map(|requeues| requeues.decisions.span().start);
        Ok(Some(Read { service: Self::new(dir, source, &config)?, roots, requeues }))
    }

    /// A type has the properties that are read and written of `of`.
    pub(crate) fn needs(&self, ty: TypeId, of: &'static str, names: &[&'static str]) -> Result<(), ServiceError> {
        let declared = self.model.ty(ty);
        let Some(name) = names.iter().find(|name| declared.property(name).is_none()) else { return Ok(()) };
        let problem = Problem::Lacks { ty: declared.qualified_name.clone(), of, name };
        let position = Some(self.model.position(ty));
        Err(ServiceError { file: format!("{}/model.xml", self.folder), position, problem: Box::new(problem) })
    }

    fn new(dir: &Path, source: &Source, config: &ServiceConfig) -> Result<Self, ServiceError> {
        let [toml_file, model_file, seed_file] =
            ["service.toml", "model.xml", "seed.json"].map(|name| check::file(dir, &source.name, name));
        let in_model = |word: &str, problem: Problem| {
            let text = text_file::decode(&source.model_xml).unwrap_or_default();
            let element = text.find(word).and_then(|at| text.get(..at)?.rfind('<'));
            problem.at(&model_file, text, element.unwrap_or_default())
        };
        let mut model =
            Model::from_csdl(source.model_xml.clone()).map_err(|error| ServiceError::model(&model_file, &error))?;
        let located = |(offset, problem): Located| problem.at(&toml_file, &source.service_toml, offset);
        let Some((_, first)) = model.sets().next() else { return Err(in_model("EntityContainer", Problem::NoSet)) };
        let ty = model.ty(first.entity_type);
        let default_namespace = ty.qualified_name.strip_suffix(&format!(".{}", ty.name)).unwrap_or_default().to_owned();

        let companies = match &config.companies {
            Some(config) => Some(Companies::new(&model, config.as_ref()).map_err(located)?),
            None => None,
        };
        let read_only = sets(&model, config).map_err(located)?;
        for set in read_only.into_iter().chain(companies.as_ref().map(|companies| companies.set)) {
            model.make_read_only(set);
        }
        let seed = match &source.seed_json {
            Some(json) => seed::parse(&seed_file, json, &model, companies.as_ref())?,
            None => Vec::new(),
        };
        let derived = derived_values(&model, &default_namespace, config).map_err(located)?;
        for (ty, at, parts) in concats(&derived) {
            model.set_concat(ty, at, parts);
        }
        let profile = profile(config).map_err(located)?;
        if model.snapshots && profile.isolation == Isolation::Refused {
            return Err(in_model("IsolationSupported", Problem::NoSnapshots));
        }
        Ok(Self {
            name: source.name.clone(),
            root: config.roots.as_ref().first().map(|root| root.as_ref().clone()).unwrap_or_default(),
            profile,
            limits: Limits::new(config.profile.base, &config.limits).map_err(located)?,
            with_parent: with_parent::with_parent(&model, &default_namespace, config, &derived).map_err(located)?,
            derived,
            shards: shards(&model, config).map_err(located)?,
            page_size: page_size(config).map_err(located)?,
            jobs: config.jobs.as_ref().map(|config| jobs::jobs(&model, config)).transpose().map_err(located)?,
            events: config.events.as_ref().map(|config| jobs::events(&model, config)).transpose().map_err(located)?,
            requeues: config
                .requeues
                .as_ref()
                .map(|config| jobs::requeues(&model, config))
                .transpose()
                .map_err(located)?,
            permissions: jobs::permissions(config).map_err(located)?,
            model,
            companies,
            seed,
            folder: dir.join(&source.name).display().to_string(),
            default_namespace,
        })
    }
}

/// The patterns of the roots, each with its offset in the file.
fn root_patterns(config: &ServiceConfig) -> Result<Vec<(usize, Pattern)>, Located> {
    if config.roots.as_ref().is_empty() {
        return Err((config.roots.span().start, Problem::NoRoot));
    }
    let parse = |root: &toml::Spanned<String>| {
        let offset = root.span().start;
        Pattern::parse(root.as_ref()).map(|pattern| (offset, pattern)).map_err(|problem| (offset, problem))
    };
    config.roots.as_ref().iter().map(parse).collect()
}

fn set(model: &Model, name: &toml::Spanned<String>) -> Result<SetId, Located> {
    model.set_id(name.as_ref()).ok_or_else(|| (name.span().start, Problem::UnknownSet(name.as_ref().clone())))
}

fn sets(model: &Model, config: &ServiceConfig) -> Result<HashSet<SetId>, Located> {
    config.read_only.iter().map(|name| set(model, name)).collect()
}

fn shards(model: &Model, config: &ServiceConfig) -> Result<HashMap<SetId, u16>, Located> {
    let mut shards = HashMap::new();
    for (name, count) in &config.shards {
        let got = *count.as_ref();
        if !(1..=MAX_SHARDS).contains(&got) {
            return Err((count.span().start, Problem::Shards { got, max: MAX_SHARDS }));
        }
        shards.insert(set(model, name)?, got);
    }
    Ok(shards)
}

fn profile(config: &ServiceConfig) -> Result<Profile, Located> {
    for status in config.profile.error_statuses().into_iter().flatten() {
        if !(400..600).contains(status.as_ref()) {
            return Err((status.span().start, Problem::Status(*status.as_ref())));
        }
    }
    Ok(config.profile.profile())
}

fn page_size(config: &ServiceConfig) -> Result<u32, Located> {
    match &config.page_size {
        Some(size) if *size.as_ref() == 0 => Err((size.span().start, Problem::ZeroLimit)),
        Some(size) => Ok(*size.as_ref()),
        None => Ok(PAGE_SIZE),
    }
}

fn derived_values(
    model: &Model,
    namespace: &str,
    config: &ServiceConfig,
) -> Result<HashMap<TypeId, Vec<Derived>>, Located> {
    let mut values = HashMap::new();
    for (name, rules) in &config.derived {
        let ty = model.type_id(name.as_ref()).or_else(|| model.type_id(&format!("{namespace}.{}", name.as_ref())));
        let ty = ty.ok_or_else(|| (name.span().start, Problem::UnknownType(name.as_ref().clone())))?;
        derived::add_rules(model, ty, rules, &mut values)?;
    }
    Ok(values)
}

/// The properties that are joined from others: type, position and positions of the parts.
fn concats(derived: &HashMap<TypeId, Vec<Derived>>) -> impl Iterator<Item = (TypeId, usize, &[usize])> {
    derived.iter().flat_map(|(ty, rules)| {
        rules.iter().filter_map(|derived| match &derived.rule {
            Rule::Concat(parts) => Some((*ty, derived.property, parts.as_slice())),
            _ => None,
        })
    })
}

#[cfg(test)]
mod tests;

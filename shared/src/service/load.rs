//! The folders on disk: the one place of this module that reads files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{Problem, ServiceError, Source};
use crate::text_file;

/// The files of a folder that is to be a service.
const SERVICE: &str = "service.toml";

/// The files of every sub-folder that has a `service.toml`, in the order of their names. A folder with a model alone lacks
/// one by mistake.
pub(super) fn sources(dir: &Path) -> Result<Vec<Source>, ServiceError> {
    let failed = |error| Problem::Read(error).in_file(&dir.display().to_string());
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        folders.push(entry.map_err(failed)?.path());
    }
    folders.sort();
    let mut sources = Vec::new();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        let has = |name| {
            let file = folder.join(name);
            file.try_exists().map_err(|error| Problem::Read(error).in_file(&file.display().to_string()))
        };
        if has(SERVICE)? || has("model.xml")? {
            sources.push(source(folder)?);
        }
    }
    Ok(sources)
}

fn source(folder: &Path) -> Result<Source, ServiceError> {
    let toml = folder.join(SERVICE);
    let service_toml = read(&toml)?;
    let service_toml = text_file::decode(&service_toml)
        .map_err(|problem| ServiceError::not_text(&toml.display().to_string(), problem))?;
    let seed = folder.join("seed.json");
    let seed_json = match fs::read(&seed) {
        Ok(bytes) => Some(Bytes::from(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Problem::Read(error).in_file(&seed.display().to_string())),
    };
    Ok(Source {
        name: folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        service_toml: service_toml.to_owned(),
        model_xml: read(&folder.join("model.xml"))?,
        seed_json,
    })
}

fn read(path: &Path) -> Result<Bytes, ServiceError> {
    fs::read(path).map(Bytes::from).map_err(|error| Problem::Read(error).in_file(&path.display().to_string()))
}

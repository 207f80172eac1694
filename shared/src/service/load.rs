//! The folders on disk: the one place of this module that reads files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{Problem, ServiceError, Source};

/// The files of every sub-folder that has a `service.toml`, in the order of their names.
pub(super) fn sources(dir: &Path) -> Result<Vec<Source>, ServiceError> {
    let failed = |error| Problem::Read(error).in_file(&dir.display().to_string());
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        folders.push(entry.map_err(failed)?.path());
    }
    folders.retain(|folder| folder.join("service.toml").is_file());
    folders.sort();
    folders.iter().map(|folder| source(folder)).collect()
}

fn source(folder: &Path) -> Result<Source, ServiceError> {
    let service_toml = read(&folder.join("service.toml"))?;
    let seed = folder.join("seed.json");
    let seed_json = match fs::read(&seed) {
        Ok(bytes) => Some(Bytes::from(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Problem::Read(error).in_file(&seed.display().to_string())),
    };
    Ok(Source {
        name: folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        service_toml: String::from_utf8(service_toml.into())
            .map_err(|_| Problem::NotText.in_file(&folder.join("service.toml").display().to_string()))?,
        model_xml: read(&folder.join("model.xml"))?,
        seed_json,
    })
}

fn read(path: &Path) -> Result<Bytes, ServiceError> {
    fs::read(path).map(Bytes::from).map_err(|error| Problem::Read(error).in_file(&path.display().to_string()))
}

//! The binaries of the workspace, built like the test that asks for them.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The path of a binary of the workspace.
pub fn binary(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build).join(name)
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace holds this crate")
}

/// Builds every binary and returns their folder. This test runs from `<target>/<profile>/deps`.
fn build() -> PathBuf {
    let test = env::current_exe().expect("a running test");
    let folder = test.ancestors().nth(2).expect("<target>/<profile>").to_owned();
    let target = folder.parent().expect("<target>");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace()).args(["build", "--quiet", "--workspace", "--bins", "--target-dir"]).arg(target);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo runs").success(), "the binaries do not build");
    folder
}

//! The binaries of the workspace, built like the test that asks for them.

use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock, PoisonError},
};

/// The path of a binary of the workspace.
pub fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| build(&["--workspace", "--bins"]));
    profile_folder().join(name)
}

/// The path of an example of this crate.
pub fn example(name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    // Once for each test run: what is started again is what was started before.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if !built.contains(name) {
        build(&["--package", "tests", "--example", name]);
        built.insert(name.to_owned());
    }
    profile_folder().join("examples").join(name)
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace holds this crate")
}

/// `<target>/<profile>`. Tests run from its `deps`, examples from its `examples`.
fn profile_folder() -> PathBuf {
    let program = env::current_exe().expect("a running program");
    program.ancestors().nth(2).expect("<target>/<profile>").to_owned()
}

/// Builds with the profile that this program was built with.
fn build(what: &[&str]) {
    let folder = profile_folder();
    let target = folder.parent().expect("<target>");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace()).args(["build", "--quiet", "--target-dir"]).arg(target).args(what);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo runs").success(), "{what:?} does not build");
}

//! Where cargo puts what it builds.

use std::path::{Path, PathBuf};

/// The folder of a profile (`debug`, `release`) in a target folder. If `CARGO_BUILD_TARGET` or
/// `[build] target` names a machine, as when these tests were built, that machine has a folder there.
pub fn built(target: &Path, profile: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().and_then(Path::file_name);
    match folder.filter(|&folder| option_env!("TARGET").is_some_and(|machine| folder == machine)) {
        Some(machine) => target.join(machine).join(profile),
        None => target.join(profile),
    }
}

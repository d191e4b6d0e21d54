//! Debian's packages, unpacked by `tests/scripts/debian.sh`, and machines that boot Debian's kernels:
//! `tests/scripts/boot.sh`.

use super::{project, run, spawn};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// The downloads, by name: the process while it runs; then nothing, or the line that says why it has
/// failed.
static DOWNLOADS: Mutex<BTreeMap<String, Download>> = Mutex::new(BTreeMap::new());

type Download = Arc<Mutex<Result<Option<Child>, String>>>;

/// Where `name` is unpacked: QEMU's is `qemu`, where `boot.sh` looks for it.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Starts to download Debian's packages and to unpack them; `arguments` are those of `debian.sh`,
/// and `{}` among them is the folder. To be called before all networks are left, and before there
/// are threads; `downloaded` waits for the end.
pub fn download(name: &str, arguments: &[&str]) {
    let mut command = Command::new(project("tests/scripts/debian.sh"));
    for &argument in arguments {
        match argument {
            "{}" => command.arg(folder(name)),
            _ => command.arg(argument),
        };
    }
    download_with(name, &mut command);
}

/// The source of Rust's libraries, for a target of which this toolchain has none: the toolchain's own
/// (rustup's component rust-src), or Debian's package, downloaded.
pub fn std_source(target: &str) -> Option<PathBuf> {
    let said = |arguments: &[&str]| run(Command::new("rustc").args(arguments)).stdout;
    let libraries = said(&["--print", "target-libdir", "--target", target]);
    let has_core = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with("libcore");
    if fs::read_dir(libraries.trim()).is_ok_and(|dir| dir.flatten().any(has_core)) {
        return None;
    }
    let own = Path::new(said(&["--print", "sysroot"]).trim()).join(STD_SOURCE);
    if own.exists() {
        return Some(own);
    }
    let folder = downloaded("rust-src").join("usr/src");
    let folder = fs::read_dir(&folder).expect("Debian has it there").flatten().next();
    Some(folder.expect("Debian has it there").path().join("library"))
}

/// Where rustup puts it, in the toolchain's folder.
const STD_SOURCE: &str = "lib/rustlib/src/rust/library";

/// Starts to download what `std_source` may need, if the toolchain does not have it, and the crates
/// that Rust's libraries are built with. To be called as `download`.
pub fn download_std(targets: &[&str]) {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", include_str!("../scripts/rust-src.sh"), "rust-src.sh"])
        .arg(folder("rust-src"));
    shell.arg(STD_SOURCE).args(targets).current_dir(project(""));
    download_with("rust-src", &mut shell);
}

/// Starts to download the kernel of some suites, for Debian's name of a machine: `amd64`, `arm64`. Its
/// package is `linux-image-FLAVOUR`. QEMU comes with it.
pub fn download_kernel(name: &str, suites: &str, machine: &str, flavour: &str) {
    let package = format!("linux-image-{flavour}");
    let and = "linux-(image|binary|modules)-[0-9].*";
    download(name, &["--and", and, suites, machine, "{}", &package]);
    if !DOWNLOADS.lock().expect("no panic holds it").contains_key("qemu") {
        download_with("qemu", Command::new(boot_script()).arg("-w").arg(folder("")));
    }
}

/// Starts a command that needs the network; `downloaded` waits for its end.
pub fn download_with(name: &str, command: &mut Command) {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = spawn(command).map_err(|error| format!("{command:?}: {error}"));
    let download = Arc::new(Mutex::new(child.map(Some)));
    DOWNLOADS.lock().expect("no panic holds it").insert(name.to_owned(), download);
}

/// Waits until a download has ended, and gives the folder. Panics with one line if it has failed.
pub fn downloaded(name: &str) -> PathBuf {
    let download = DOWNLOADS.lock().expect("no panic holds it").get(name).cloned();
    let download = download.expect("prepare has started it");
    let mut download = download.lock().expect("no panic holds it");
    if let Ok(child) = &mut *download
        && let Some(child) = child.take()
    {
        let output = child.wait_with_output().expect("it is ours");
        if !output.status.success() {
            *download = Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
    }
    let failure = download.as_ref().err().cloned();
    drop(download);
    match failure {
        None => folder(name),
        Some(trouble) => panic!("{trouble}"),
    }
}

/// `boot.sh`, ready for the program and its arguments: boots the kernel that `download_kernel` has
/// brought, with those of its modules that are named and that it has, and with files in its root folder.
pub fn boot(kernel: &str, modules: &[&str], beside: &[PathBuf]) -> Command {
    downloaded("qemu");
    let folder = downloaded(kernel);
    let mut command = Command::new(boot_script());
    command.arg("-w").arg(self::folder(""));
    let files = files(&folder);
    for module in modules {
        let name = format!("{module}.ko");
        let is_it = |file: &&PathBuf| {
            file.file_name().is_some_and(|file| {
                file.to_str().and_then(|file| file.strip_suffix(".xz").or(Some(file)))
                    == Some(&name)
            })
        };
        if let Some(file) = files.iter().find(is_it) {
            command.arg("-m").arg(file);
        }
    }
    for file in beside {
        command.arg("-f").arg(file);
    }
    let is_image = |file: &&PathBuf| {
        file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinu"))
    };
    let image = files.iter().find(is_image);
    command.arg(image.unwrap_or_else(|| panic!("no kernel below {folder:?}")));
    command
}

fn boot_script() -> PathBuf {
    project("tests/scripts/boot.sh")
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => files.extend(self::files(&entry.path())),
            false => files.push(entry.path()),
        }
    }
    files
}

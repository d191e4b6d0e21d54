//! What the raw port is measured against, built.

use crate::process::run;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Alternative {
    /// The head of its column.
    pub name: &'static str,
    /// How it is made.
    pub recipe: &'static str,
    /// Whether it is a server: the floor is not.
    pub serves: bool,
    /// Where it is, or why it is not.
    pub program: Result<PathBuf, String>,
}

/// The raw port comes first.
pub fn build() -> Vec<Alternative> {
    let [raw, libc] = [vec![], vec!["--features", "libc"]].map(|features| port(&features));
    [
        ("raw port", "`cargo build --release`", raw),
        ("libc port", "`cargo build --release --features libc`", libc),
        ("C", "`cc`", c("C", "cc", "gcc", &[])),
        (
            "C static",
            "`cc -O2 -static -s`, glibc",
            c("C static", "cc", "gcc and libc6-dev", &["-O2", "-static", "-s"]),
        ),
        (
            "C musl",
            "`musl-gcc -O2 -static -s`",
            c("C musl", "musl-gcc", "musl-tools", &["-O2", "-static", "-s"]),
        ),
        (
            "Rust std",
            "`tests/bench/echo_std.rs`, with `TcpListener`; `opt-level = \"z\"`, `lto`, \
             `panic = \"abort\"`, `strip`",
            one_file_package("echo_std", ""),
        ),
        (
            "Rust tokio",
            "`tests/bench/echo_tokio.rs`, on the runtime of one thread; the same settings",
            one_file_package(
                "echo_tokio",
                r#"tokio = { version = "1", default-features = false, features = ["io-util", "net", "rt"] }"#,
            ),
        ),
        (
            "floor",
            "`tests/bench/exit.s`: exits, and does nothing else; `cc -nostdlib -static -s`, one \
             segment",
            floor(),
        ),
    ]
    .map(|(name, recipe, program)| Alternative { name, recipe, serves: name != "floor", program })
    .into()
}

/// The version of tokio that cargo has chosen.
pub fn tokio_version() -> Option<String> {
    let lock = fs::read_to_string(folder().join("echo_tokio/Cargo.lock")).ok()?;
    let (_, rest) = lock.split_once("name = \"tokio\"\nversion = \"")?;
    Some(format!("tokio {}", rest.split_once('"')?.0))
}

/// Where `tool` is on the PATH, or what to install.
pub fn find(tool: &str, package: &str) -> Result<PathBuf, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|folder| folder.join(tool))
        .find(|file| file.is_file())
        .ok_or_else(|| format!("{tool} is not installed: sudo apt-get install {package}"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench")
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn port(features: &[&str]) -> Result<PathBuf, String> {
    let mut cargo = cargo(&source(""));
    cargo.args(["--bin", "treuseaddr"]).args(features);
    let name = [&["port"], features].concat().join("");
    built_by(&mut cargo, "treuseaddr", &name)
}

fn c(name: &str, compiler: &str, package: &str, options: &[&str]) -> Result<PathBuf, String> {
    compile(name, compiler, package, options, "src/treuseaddr.c")
}

fn floor() -> Result<PathBuf, String> {
    // One segment, as the raw port has: two take longer to map.
    let options =
        ["-nostdlib", "-static", "-no-pie", "-s", "-Wl,--build-id=none", "-Wl,-z,noseparate-code"];
    compile("floor", "cc", "gcc", &options, "tests/bench/exit.s")
}

fn compile(
    name: &str,
    compiler: &str,
    package: &str,
    options: &[&str],
    file: &str,
) -> Result<PathBuf, String> {
    let compiler = find(compiler, package)?;
    let program = folder().join(name.replace(' ', "_"));
    make_folder(&folder())?;
    succeed(Command::new(compiler).args(options).arg("-o").arg(&program).arg(source(file)))
        .map_err(|error| format!("{error} (packages: {package})"))?;
    Ok(program)
}

/// A package of its own below the target folder, so that what it depends on is built here alone.
fn one_file_package(name: &str, dependency: &str) -> Result<PathBuf, String> {
    let package = folder().join(name);
    make_folder(&package)?;
    let path = source(&format!("tests/bench/{name}.rs"));
    let manifest = format!(
        r#"[package]
name = "{name}"
edition = "2024"

[[bin]]
name = "{name}"
path = {path:?}

[dependencies]
{dependency}

[profile.release]
opt-level = "z"
lto = true
codegen-units = 1
panic = "abort"
strip = true

[workspace]
"#
    );
    fs::write(package.join("Cargo.toml"), manifest).map_err(|error| error.to_string())?;
    built_by(&mut cargo(&package), name, name)
}

fn cargo(package: &Path) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--quiet"]).current_dir(package);
    cargo.env("CARGO_TARGET_DIR", folder().join("target"));
    cargo
}

/// What `cargo` has built, under a name of its own: the next build may have the same.
fn built_by(cargo: &mut Command, built: &str, name: &str) -> Result<PathBuf, String> {
    succeed(cargo)?;
    let program = folder().join(format!("{name}.bin"));
    fs::copy(crate::built::built(&folder().join("target"), "release").join(built), &program)
        .map_err(|error| error.to_string())?;
    Ok(program)
}

fn make_folder(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Runs `command`; where it fails, what it said first.
fn succeed(command: &mut Command) -> Result<(), String> {
    let output = run(command);
    match output.status.success() {
        true => Ok(()),
        false => {
            let said =
                output.stderr.lines().find(|line| line.contains("error")).unwrap_or_default();
            let tool = Path::new(command.get_program()).file_name().unwrap_or_default();
            Err(format!("{} failed: {}", tool.display(), said.trim()))
        }
    }
}

//! The commands of README.md run as they stand there, in order, beside a copy of the bundled models.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{MODELS, Sandbox};

/// The lines of the README's fenced `sh` blocks.
fn commands(readme: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        let line = line.trim();
        if let Some(fence) = line.strip_prefix("```") {
            inside = !inside && matches!(fence.trim(), "sh" | "bash" | "shell" | "console");
        } else if inside {
            let line = line.strip_prefix("$ ").unwrap_or(line);
            if !line.is_empty() && !line.starts_with('#') {
                commands.push(line.to_owned());
            }
        }
    }
    commands
}

/// What builds, tests or installs would do this test's own work again, or need the whole checkout.
fn is_about_the_checkout(command: &str) -> bool {
    let builds = command.starts_with("cargo ") && !command.starts_with("cargo run --release --");
    builds || command.contains(".ci/run") || command.starts_with("git ") || command.starts_with("data/make/")
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn every_command_of_the_readme_works_as_written() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("README.md");
    let all = commands(&readme);
    assert!(
        all.iter().any(|command| command.starts_with("cargo run --release -- scan data/models")),
        "the first command is missing: {all:?}"
    );
    let sandbox = Sandbox::new();
    copy(Path::new(MODELS), &sandbox.path().join("data/models"));
    // Names that examples may use: a home with models, and a suspect.
    copy(Path::new(MODELS), &sandbox.path().join("models"));
    let suspect = format!("{MODELS}/fashion-cnn/twin-1-int8.safetensors");
    fs::copy(suspect, sandbox.path().join("suspect.safetensors")).unwrap();
    let binaries = Path::new(env!("CARGO_BIN_EXE_phashdb")).parent().unwrap().display().to_string();
    let path = format!("{binaries}:{}", std::env::var("PATH").unwrap_or_default());
    for command in all.iter().filter(|command| !is_about_the_checkout(command)) {
        let line = command.replace("cargo run --release --", "phashdb");
        let output = Command::new("sh")
            .args(["-c", &line])
            .current_dir(sandbox.path())
            .env("PATH", &path)
            .env("HOME", sandbox.path())
            .env_remove("PHASHDB_DB")
            .output()
            .expect("sh runs");
        let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}\n{}\n{told}", output.status);
    }
}

#[test]
fn commands_are_found_in_fenced_blocks_only() {
    let text = "x\n```sh\n$ phashdb list   # all\n# a remark\n\n  phashdb info\n```\n```rust\nlet x;\n```\n```\nnot this\n```\n";
    assert_eq!(commands(text), ["phashdb list   # all", "phashdb info"]);
}

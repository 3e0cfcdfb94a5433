//! A folder with a source, a vault and its kit, and runs of the binary on them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Stage {
    folder: TempDir,
    program: PathBuf,
    /// Who runs it, where that is not who runs the tests.
    user: Option<u32>,
}

/// What one run with `--json` gave back.
pub(crate) struct Run {
    pub(crate) exit: i32,
    pub(crate) answer: Value,
    pub(crate) errors: String,
}

impl Stage {
    /// With a small source and no vault yet.
    pub(crate) fn bare() -> Self {
        let program = env!("CARGO_BIN_EXE_keepwell").into();
        let stage = Self { folder: tempfile::tempdir().unwrap(), program, user: None };
        let source = stage.at("source");
        fs::create_dir_all(source.join("letters/2026")).unwrap();
        fs::write(source.join("letters/2026/a.txt"), "Dear Sir").unwrap();
        fs::write(source.join("letters/empty"), "").unwrap();
        fs::write(source.join("scan.bin"), noise(3_000_000)).unwrap();
        std::os::unix::fs::symlink("letters/2026/a.txt", source.join("link")).unwrap();
        fs::hard_link(source.join("scan.bin"), source.join("scan-again.bin")).unwrap();
        stage
    }

    /// With an empty vault as well.
    pub(crate) fn new(disks: u8) -> Self {
        let stage = Self::bare();
        let made = stage.run(&["init", "--disks", &disks.to_string(), "--kit-out", &stage.text("kit")]);
        assert_eq!(made.exit, 0, "{made:?}");
        stage
    }

    /// Whoever runs the tests: from now on a user who may not read everything, with a copy of the program that this user can reach.
    pub(crate) fn by_ordinary_user(mut self) -> Self {
        const NOBODY: u32 = 65_534;
        let root = self.folder.path().to_path_buf();
        if fs::metadata(&root).unwrap().uid() == 0 {
            self.program = self.at("keepwell");
            // By a process of its own: while this one had the copy open for writing, a program that another test starts would inherit that, and nobody could run the copy.
            let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_keepwell")).arg(&self.program).status().unwrap();
            assert!(copied.success());
            let all = tree(&root).into_iter().map(|(path, _)| root.join(path));
            all.chain([root.clone()]).for_each(|path| lchown(path, Some(NOBODY), Some(NOBODY)).unwrap());
            self.user = Some(NOBODY);
        }
        self
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn text(&self, path: &str) -> String {
        self.at(path).to_str().unwrap().to_owned()
    }

    /// The `--unlock` text for two of the three kit files.
    pub(crate) fn kit(&self, first: u8, second: u8) -> String {
        format!("kit:{},{}", self.text(&format!("kit/kit-{first}.txt")), self.text(&format!("kit/kit-{second}.txt")))
    }

    /// Runs `keepwell vault ARGUMENTS --vault V --json`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&self.output(&[arguments, &["--json"]].concat()))
    }

    /// The same with a key.
    pub(crate) fn open(&self, arguments: &[&str]) -> Run {
        self.run(&[arguments, &["--unlock", &self.kit(1, 2)]].concat())
    }

    /// The same for people: standard output, after exit code 0.
    pub(crate) fn words(&self, arguments: &[&str]) -> String {
        let output = self.output(&[arguments, &["--unlock", &self.kit(3, 1)]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs `keepwell vault ARGUMENTS --vault V`.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        let vault = self.text("vault");
        let mut command = Command::new(&self.program);
        command.arg("vault").args(arguments).args(["--vault", &vault]).env_remove("RUST_LOG");
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.output().unwrap()
    }

    /// Backs the source up and returns the snapshot's id.
    pub(crate) fn backup(&self) -> String {
        let run = self.open(&["backup", &self.text("source")]);
        assert_eq!(run.exit, 0, "{run:?}");
        run.text("snapshot")
    }
}

impl Run {
    fn of(output: &Output) -> Self {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("not one object ({error}): {text}\n{output:?}"));
        let (exit, errors) = (output.status.code().unwrap(), String::from_utf8(output.stderr.clone()).unwrap());
        assert!(answer["command"].is_string() && answer["outcome"].is_string(), "{answer}");
        assert_eq!(answer["exit"], exit, "{answer}");
        Self { exit, answer, errors }
    }

    pub(crate) fn text(&self, field: &str) -> String {
        self.answer[field].as_str().unwrap_or_else(|| panic!("no {field}: {self:?}")).to_owned()
    }

    /// Exit code and message of a failure.
    pub(crate) fn failure(&self) -> (i32, String) {
        (self.exit, self.text("error"))
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}: {:#}\n{}", self.exit, self.answer, self.errors)
    }
}

pub(crate) fn keepwell(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keepwell")).args(arguments).env_remove("RUST_LOG").output().unwrap()
}

/// Whether two trees hold the same names, contents and link targets.
pub(crate) fn same(a: &Path, b: &Path) -> bool {
    tree(a) == tree(b)
}

/// Path, and what is there, of everything below a folder.
fn tree(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            let content = if kind.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if kind.is_file() {
                fs::read(&path).unwrap()
            } else {
                folders.push(path.clone());
                Vec::new()
            };
            found.push((path.strip_prefix(root).unwrap().to_path_buf(), content));
        }
    }
    found.sort();
    found
}

/// Bytes that no compression shortens (xorshift64).
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}

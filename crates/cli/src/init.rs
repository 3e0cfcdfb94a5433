//! `keepwell vault init`: a new, empty vault and the three files of its recovery kit. Overwrites nothing, and says that the vault is made
//! only when the kit is safely written.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use keepwell_crypt::KitFile;
use keepwell_format::VaultId;
use keepwell_paper::Facts;
use keepwell_storage::Layout;
use keepwell_vault::NewVault;
use serde_json::json;

use crate::args::InitArgs;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::random::Random;
use crate::{opening, text, unlock};

/// Runs it.
pub(crate) fn run(args: &InitArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let (layout, disks) = shape(args)?;
    check_places(args)?;
    let passphrase = args.passphrase_file.as_deref().map(|path| unlock::secret_line(path, "passphrase")).transpose()?;
    let mut random = Random::new()?;
    let vault = VaultId(random.id());
    let mut new = NewVault::new(vault);
    new.test_vault = args.test;
    new.passphrase = passphrase.as_ref().map(|secret| secret.as_slice());

    let sheets = Sheets::reserve(&args.kit_out)?;
    let kit = opening::create_pool(&args.vault, vault, layout, disks, &mut random)
        .and_then(|pool| Ok(keepwell_vault::create(&pool, &new, &mut |bytes| random.fill(bytes))?));
    let written = kit.and_then(|kit| sheets.fill(&kit, &args.vault));
    if let Err(error) = written {
        sheets.discard();
        return Err(error);
    }
    show(answer, args, vault, layout, disks, &sheets);
    Ok(Exit::Complete)
}

/// Layout and number of disks, each by the other where only one is given.
fn shape(args: &InitArgs) -> Result<(Layout, u8), CliError> {
    let disks = args.disks.or(args.layout.map(Layout::width)).unwrap_or(1);
    let layout = args.layout.unwrap_or(default_layout(disks));
    if layout.width() > disks {
        let needed = layout.width();
        return Err(CliError::Usage(format!("the layout {layout} needs at least {needed} disks, but --disks says {disks}")));
    }
    Ok((layout, disks))
}

fn default_layout(disks: u8) -> Layout {
    let (k, m) = match disks {
        0 | 1 => (1, 0),
        2 => (1, 1),
        3..=5 => (2, 1),
        6.. => (4, 2),
    };
    Layout { k, m }
}

fn check_places(args: &InitArgs) -> Result<(), CliError> {
    let (vault, kit) = (resolved(&args.vault)?, resolved(&args.kit_out)?);
    if kit.starts_with(&vault) {
        return Err(CliError::Usage(
            "the kit must not lie inside the vault: who takes the disks would have the key too. Give another --kit-out".into(),
        ));
    }
    match fs::read_dir(&vault) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(CliError::Refused(format!(
                "{} is not empty, so no vault was made in it; nothing was changed. Give a folder that is empty or does not exist",
                args.vault.display()
            ))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CliError::file("open the folder", &args.vault)(error)),
    }
}

/// Where a path leads, of which the last parts may not exist yet.
fn resolved(path: &Path) -> Result<PathBuf, CliError> {
    let absolute = std::path::absolute(path).map_err(CliError::file("find", path))?;
    let there = absolute.ancestors().find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
    let resolved =
        there.and_then(|(ancestor, found)| Some(found.components().chain(absolute.strip_prefix(ancestor).ok()?.components()).collect()));
    Ok(resolved.unwrap_or(absolute))
}

/// The three kit files: made empty before there is a vault, so that a full or read-only disk stops `init` before it begins.
struct Sheets {
    folder: PathBuf,
    files: Vec<(PathBuf, File)>,
}

impl Sheets {
    fn reserve(folder: &Path) -> Result<Self, CliError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(CliError::file("make the folder", folder))?;
        let mut sheets = Self { folder: folder.into(), files: Vec::new() };
        for number in 1..=3 {
            let path = folder.join(format!("kit-{number}.txt"));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => sheets.files.push((path, file)),
                Err(error) => {
                    sheets.discard();
                    return Err(match error.kind() {
                        io::ErrorKind::AlreadyExists => CliError::Refused(format!(
                            "{} exists already and may be the only way into another vault, so it was left alone. Give another --kit-out",
                            path.display()
                        )),
                        _ => CliError::file("make", path)(error),
                    });
                }
            }
        }
        Ok(sheets)
    }

    fn fill(&self, kit: &[KitFile; 3], vault: &Path) -> Result<(), CliError> {
        let owner = format!("the vault made in {}", resolved(vault)?.display());
        let facts = Facts { owner, made: text::time(opening::now().seconds) + " UTC", ..Facts::default() };
        for ((path, file), sheet) in self.files.iter().zip(kit) {
            let page = keepwell_paper::text(sheet, &facts);
            let mut file: &File = file;
            file.write_all(page.as_bytes()).and_then(|()| file.sync_all()).map_err(CliError::file("write", path))?;
        }
        let folder = File::open(&self.folder).and_then(|folder| folder.sync_all());
        folder.map_err(CliError::file("make durable", &self.folder))
    }

    /// Takes back what `reserve` made; a half-written sheet is of no use to anybody.
    fn discard(&self) {
        for (path, _) in &self.files {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "a useless kit file could not be removed");
            }
        }
    }
}

fn show(answer: &mut Answer, args: &InitArgs, vault: VaultId, layout: Layout, disks: u8, sheets: &Sheets) {
    let kit: Vec<_> = sheets.files.iter().map(|(path, _)| path.display().to_string()).collect();
    answer.field("vault", vault.to_string());
    answer.field("layout", layout.to_string());
    answer.field("disks", disks);
    answer.field("kit", json!(kit));
    answer.field("passphrase", args.passphrase_file.is_some());
    answer.field("test", args.test);
    answer.line(format_args!("A new vault is in {}: {}, layout {layout}.", args.vault.display(), text::count(disks.into(), "disk")));
    answer.line(match layout.m {
        0 => "If a disk fails, data is lost: this layout has no redundancy.".into(),
        1 => "Any one disk may fail without loss.".into(),
        m => format!("Any {m} disks may fail without loss."),
    });
    answer.line("");
    answer.line("Its recovery kit is three files:");
    kit.iter().for_each(|path| answer.line(format_args!("  {path}")));
    answer.line("Any two of them open the vault; one alone opens nothing; without two of them its backups can't be read by anybody.");
    answer.line("Print the three, keep them in three different places away from this machine, then delete the files.");
    if args.passphrase_file.is_some() {
        answer.line("The passphrase opens the vault too.");
    }
    answer.line("");
    answer.line(format_args!("Next: keepwell vault backup --vault {} --unlock kit:{},{} SOURCE", args.vault.display(), kit[0], kit[1]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(disks: Option<u8>, layout: Option<&str>) -> InitArgs {
        let layout = layout.map(|text| text.parse().unwrap());
        InitArgs { vault: "v".into(), disks, layout, kit_out: "k".into(), passphrase_file: None, test: false }
    }

    #[test]
    fn disks_and_layout_complete_each_other() {
        let shape = |disks, layout| shape(&args(disks, layout)).map(|(l, n)| (l.k, l.m, n)).ok();
        assert_eq!(shape(None, None), Some((1, 0, 1)));
        assert_eq!(shape(Some(2), None), Some((1, 1, 2)));
        assert_eq!(shape(Some(5), None), Some((2, 1, 5)));
        assert_eq!(shape(Some(6), None), Some((4, 2, 6)));
        assert_eq!(shape(None, Some("4+2")), Some((4, 2, 6)));
        assert_eq!(shape(Some(2), Some("1+0")), Some((1, 0, 2)));
        assert_eq!(shape(Some(2), Some("2+1")), None);
    }

    #[test]
    fn a_kit_inside_the_vault_is_found_through_links_and_dots() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("v")).unwrap();
        std::os::unix::fs::symlink("v", folder.path().join("link")).unwrap();
        let refused = |kit: &str| {
            let at = |name: &str| folder.path().join(name);
            check_places(&InitArgs { vault: at("v"), kit_out: at(kit), ..args(None, None) }).is_err()
        };
        assert!(refused("v") && refused("v/new/kit") && refused("link/kit") && refused("v/../v/kit"));
        assert!(!refused("vk") && !refused("."));
    }
}

//! `keepwell vault init`: a new, empty vault and the three files of its recovery kit. Overwrites nothing, and says that the vault is made
//! only when the kit is safely written.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use keepwell_api::Base64;
use keepwell_api::keys::{NewVault, VaultMade};
use keepwell_crypt::KitFile;
use keepwell_format::VaultId;
use keepwell_format::keys::{Keyring, Slots};
use keepwell_paper::Facts;
use keepwell_storage::{Layout, Pool};
use keepwell_vault::VaultError;
use serde_json::json;

use crate::args::InitArgs;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::random::Random;
use crate::{keys, opening, text, unlock};

/// Runs it.
pub(crate) fn run(args: &InitArgs, answer: &mut Answer) -> Result<Exit, CliError> {
    let (layout, disks) = shape(args.layout, args.disks)?;
    check_places(args)?;
    let passphrase = args.passphrase_file.as_deref().map(|path| unlock::secret_line(path, "passphrase")).transpose()?;
    let mut random = Random::new()?;
    let vault = VaultId(random.id());
    answer.field("vault", vault.to_string());
    answer.field("layout", layout.to_string());
    answer.field("disks", disks);
    answer.field("passphrase", passphrase.is_some());
    answer.field("test", args.test);
    let make = |random: &mut Random| opening::create_pool(&args.vault, vault, layout, disks, random);
    match (&args.keyd, &args.kit_out) {
        (Some(socket), _) => {
            let pool = make(&mut random)?;
            let request = NewVault { vault: vault.to_string(), test: args.test, owner: owner(args)?, passphrase: passphrase.map(Base64) };
            by_keyd(socket, &request, &pool)?;
            show(answer, args, layout, disks);
            answer.line("The box has made the keys and keeps them. Its recovery kit is three sheets that are not on paper yet:");
            answer.line(format_args!("  keepwell keys print --vault {} --sheet 1 --keeper NAME --out FILE", args.vault.display()));
        }
        (None, Some(kit_out)) => {
            let mut new = keepwell_vault::NewVault::new(vault);
            new.test_vault = args.test;
            new.passphrase = passphrase.as_ref().map(|secret| secret.as_slice());
            let sheets = Sheets::reserve(kit_out)?;
            let kit = make(&mut random).and_then(|pool| Ok(keepwell_vault::create(&pool, &new, &mut |bytes| random.fill(bytes))?));
            if let Err(error) = kit.and_then(|kit| sheets.fill(&kit, owner(args)?)) {
                sheets.discard();
                return Err(error);
            }
            show(answer, args, layout, disks);
            show_kit(answer, args, &sheets);
        }
        (None, None) => return Err(CliError::Usage("--kit-out or --keyd is needed: somebody has to have the keys".into())),
    }
    Ok(Exit::Complete)
}

/// Lets keyd make the keys of a vault whose pool is there.
fn by_keyd(socket: &Path, request: &NewVault, pool: &Pool) -> Result<(), CliError> {
    let made: VaultMade = keys::keyd(socket).post("/v1/vaults", request)?;
    let format = |source| VaultError::Format { what: "keyd's answer", source };
    let slots = Slots::decode(made.slots.as_ref()).map_err(format)?;
    let keyring = Keyring::decode(made.keyring.as_ref()).map_err(format)?;
    Ok(keepwell_vault::create_with(pool, &slots, &keyring)?)
}

/// What the sheets say of whose data it is.
fn owner(args: &InitArgs) -> Result<String, CliError> {
    Ok(match &args.owner {
        Some(owner) => owner.clone(),
        None => format!("the vault made in {}", resolved(&args.vault)?.display()),
    })
}

/// Layout and number of disks, each by the other where only one is given.
pub(crate) fn shape(layout: Option<Layout>, disks: Option<u8>) -> Result<(Layout, u8), CliError> {
    let disks = disks.or(layout.map(Layout::width)).unwrap_or(1);
    let layout = layout.unwrap_or(Layout::usual(disks.into()));
    if layout.width() > disks {
        let needed = layout.width();
        return Err(CliError::Usage(format!("the layout {layout} needs at least {needed} disks, but --disks says {disks}")));
    }
    Ok((layout, disks))
}

fn check_places(args: &InitArgs) -> Result<(), CliError> {
    let vault = resolved(&args.vault)?;
    if let Some(kit) = &args.kit_out
        && resolved(kit)?.starts_with(&vault)
    {
        return Err(CliError::Usage(
            "the kit must not lie inside the vault: who takes the disks would have the key too. Give another --kit-out".into(),
        ));
    }
    refuse_others(&args.vault)
}

/// Refuses a folder for a new vault in which anything lies.
pub(crate) fn refuse_others(folder: &Path) -> Result<(), CliError> {
    let Some(other) = first_other(&resolved(folder)?)? else { return Ok(()) };
    Err(CliError::Refused(format!(
        "{} holds {other}, so no vault was made in it; nothing was changed. Give a folder that does not exist, or that is empty but for empty disks mounted as disk-1, disk-2 and so on",
        folder.display()
    )))
}

/// Something in the folder of a new vault that is neither a place for a disk nor empty.
fn first_other(vault: &Path) -> Result<Option<String>, CliError> {
    let list = |folder: &Path| match fs::read_dir(folder) {
        Ok(entries) => {
            let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
            names.collect::<io::Result<Vec<_>>>().map_err(CliError::file("list", folder))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(CliError::file("open the folder", folder)(error)),
    };
    for name in list(vault)? {
        let disk = vault.join(&name);
        if keepwell_storage::disk_number(&name).is_none() || !disk.is_dir() {
            return Ok(Some(name));
        }
        if let Some(file) = list(&disk)?.into_iter().find(|file| file != "lost+found") {
            return Ok(Some(format!("{name}/{file}")));
        }
    }
    Ok(None)
}

/// Where a path leads, of which the last parts may not exist yet.
fn resolved(path: &Path) -> Result<PathBuf, CliError> {
    let absolute = std::path::absolute(path).map_err(CliError::file("find", path))?;
    let there = absolute.ancestors().find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
    let resolved =
        there.and_then(|(ancestor, found)| Some(found.components().chain(absolute.strip_prefix(ancestor).ok()?.components()).collect()));
    Ok(resolved.unwrap_or(absolute))
}

/// The kit's files, each sheet as text and as PDF: made empty before there is a vault, so that a full or read-only disk stops `init` before
/// it begins.
struct Sheets {
    folder: PathBuf,
    texts: Vec<(PathBuf, File)>,
    pages: Vec<(PathBuf, File)>,
}

impl Sheets {
    fn reserve(folder: &Path) -> Result<Self, CliError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(CliError::file("make the folder", folder))?;
        let mut sheets = Self { folder: folder.into(), texts: Vec::new(), pages: Vec::new() };
        match sheets.open_all() {
            Ok(()) => Ok(sheets),
            Err(error) => {
                sheets.discard();
                Err(error)
            }
        }
    }

    fn open_all(&mut self) -> Result<(), CliError> {
        for number in 1..=3 {
            for (extension, files) in [("txt", &mut self.texts), ("pdf", &mut self.pages)] {
                let path = self.folder.join(format!("kit-{number}.{extension}"));
                match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                    Ok(file) => files.push((path, file)),
                    Err(error) => return Err(no_sheet(path, error)),
                }
            }
        }
        Ok(())
    }

    fn fill(&self, kit: &[KitFile; 3], owner: String) -> Result<(), CliError> {
        let facts = Facts { owner, made: text::time(opening::now().seconds) + " UTC", ..Facts::default() };
        for (number, sheet) in kit.iter().enumerate() {
            write(&self.texts[number], keepwell_paper::text(sheet, &facts).as_bytes())?;
            write(&self.pages[number], &keepwell_paper::pdf(sheet, &facts))?;
        }
        let folder = File::open(&self.folder).and_then(|folder| folder.sync_all());
        folder.map_err(CliError::file("make durable", &self.folder))
    }

    /// Takes back what `reserve` made; a half-written sheet is of no use to anybody.
    fn discard(&self) {
        for (path, _) in self.texts.iter().chain(&self.pages) {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "a useless kit file could not be removed");
            }
        }
    }
}

fn write((path, file): &(PathBuf, File), content: &[u8]) -> Result<(), CliError> {
    let mut file: &File = file;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(CliError::file("write", path))
}

fn no_sheet(path: PathBuf, error: io::Error) -> CliError {
    if error.kind() != io::ErrorKind::AlreadyExists {
        return CliError::file("make", path)(error);
    }
    CliError::Refused(format!(
        "{} exists already and may be the only way into another vault, so it was left alone. Give another --kit-out",
        path.display()
    ))
}

fn show(answer: &mut Answer, args: &InitArgs, layout: Layout, disks: u8) {
    answer.line(format_args!("A new vault is in {}: {}, layout {layout}.", args.vault.display(), text::count(disks.into(), "disk")));
    answer.line(match layout.m {
        0 => "If a disk fails, data is lost: this layout has no redundancy.".into(),
        1 => "Any one disk may fail without loss.".into(),
        m => format!("Any {m} disks may fail without loss."),
    });
    answer.line("");
}

fn show_kit(answer: &mut Answer, args: &InitArgs, sheets: &Sheets) {
    let [kit, pages] =
        [&sheets.texts, &sheets.pages].map(|files| files.iter().map(|(path, _)| path.display().to_string()).collect::<Vec<_>>());
    answer.field("kit", json!(kit));
    answer.field("pages", json!(pages));
    answer.line("Its recovery kit is three sheets, to print and as text:");
    kit.iter().zip(&pages).for_each(|(text, page)| answer.line(format_args!("  {page}  {text}")));
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
        InitArgs {
            vault: "v".into(),
            disks,
            layout,
            kit_out: Some("k".into()),
            keyd: None,
            owner: None,
            passphrase_file: None,
            test: false,
        }
    }

    #[test]
    fn disks_and_layout_complete_each_other() {
        let shape = |disks, layout: Option<&str>| shape(layout.map(|text| text.parse().unwrap()), disks).map(|(l, n)| (l.k, l.m, n)).ok();
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
            check_places(&InitArgs { vault: at("v"), kit_out: Some(at(kit)), ..args(None, None) }).is_err()
        };
        assert!(refused("v") && refused("v/new/kit") && refused("link/kit") && refused("v/../v/kit"));
        assert!(!refused("vk") && !refused("."));
    }
}

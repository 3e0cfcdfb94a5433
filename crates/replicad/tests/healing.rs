//! A box that lost a part of its vault asks the one that keeps it, over a line that is cut, and from one that has lost it as well.

#![allow(clippy::unwrap_used, dead_code, reason = "a test fails by panicking, and uses a part of what others use")]

mod fire;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fire::{Content, Home, Keeper, VAULT, holds, line, noise, send_all};
use keepwell_api::offsite::{Lacking, Pair};
use keepwell_api::{Client, ClientError};
use keepwell_replicad::house::House;
use keepwell_replicad::service::routes;
use keepwell_storage::{ObjectId, ObjectName};
use keepwell_vault::{Healed, NoProgress};

const WAIT: std::time::Duration = std::time::Duration::from_secs(120);

fn content() -> Content {
    Content::from([("images", vec![("ct", noise("ct", 9 << 20))]), ("records", vec![("patients", noise("patients", 300_000))])])
}

/// replicad's socket, as vaultd has it.
fn serve(house: &Arc<House>, folder: &Path) -> Client {
    let socket = folder.join("replicad.sock");
    let listener = keepwell_api::listen(&socket).unwrap();
    tokio::spawn(keepwell_api::serve(listener, routes(Arc::clone(house), nix::unistd::geteuid().as_raw())));
    Client::new("keepwell-replicad", socket, WAIT)
}

/// Waits beside the runtime.
async fn asked<T: Send + 'static>(
    client: &Client,
    ask: impl FnOnce(&Client) -> Result<T, ClientError> + Send + 'static,
) -> Result<T, String> {
    let client = client.clone();
    tokio::task::spawn_blocking(move || ask(&client)).await.unwrap().map_err(|error| match error {
        ClientError::Refused(refusal) => refusal.code,
        other => other.to_string(),
    })
}

async fn get(client: &Client, name: ObjectName) -> Result<Vec<u8>, String> {
    asked(client, move |client| client.get_bytes(&format!("/v1/objects/{name}")).map(|bytes| bytes.to_vec())).await
}

/// Files of packs below a folder, and what they belong to: the longest first.
fn packs(folder: &Path) -> Vec<(ObjectName, Vec<PathBuf>)> {
    let mut found: std::collections::BTreeMap<ObjectName, Vec<PathBuf>> = std::collections::BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.file_name().unwrap().to_str().unwrap().to_owned();
            match entry.parent().unwrap().file_name().unwrap().to_str().unwrap() {
                _ if entry.is_dir() => folders.push(entry),
                "packs" => {
                    let id = name.split('.').next().unwrap().to_owned();
                    found.entry(ObjectName::parse(&format!("packs/{id}")).unwrap()).or_default().push(entry);
                }
                _ => {}
            }
        }
    }
    let mut packs: Vec<_> = found.into_iter().collect();
    packs.sort_by_key(|(_, files)| std::cmp::Reverse(std::fs::metadata(&files[0]).unwrap().len()));
    packs
}

fn damage(files: &[PathBuf]) {
    for file in files {
        let mut bytes = std::fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(file, bytes).unwrap();
    }
}

/// Of all disks of a box but the tenants' folders.
fn own_packs(home: &Home) -> Vec<(ObjectName, Vec<PathBuf>)> {
    packs(&home.folder).into_iter().filter(|(_, files)| !files[0].to_string_lossy().contains("tenants")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_here_comes_back_from_there() {
    let (near, far, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(fire::new_pool(far.path(), keepwell_format::VaultId([9; 16])));
    let keeper = Keeper::start(&state.path().join("far"), far.path()).await;
    let content = content();
    let home = Home::make(near.path(), VAULT, &content, &[("images", 2), ("records", 1)]);
    let house = send_all(&home, &state.path().join("near"), &keeper).await;
    let client = serve(&house, state.path());

    let all = own_packs(&home);
    let (damaged, gone) = (all[0].clone(), all.last().unwrap().clone());
    let whole = get(&client, damaged.0).await.unwrap();
    assert_eq!(ObjectId::of(&whole), damaged.0.id);
    let lacking = asked(&client, |client| client.get::<Lacking>("/v1/lacking")).await;
    assert_eq!(lacking, Ok(Lacking::default()), "nothing is gone");

    // One pack is damaged on all disks, of another one nothing is left.
    damage(&damaged.1);
    gone.1.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    let lacking = asked(&client, |client| client.get::<Lacking>("/v1/lacking")).await.unwrap();
    assert_eq!(lacking.objects, [gone.0.to_string()], "what is damaged is listed here still");

    let vault = home.open();
    let report = vault.verify(true, &NoProgress).unwrap();
    assert!(!report.files_lost.is_empty());
    assert_eq!(vault.lost_objects().unwrap(), [damaged.0]);
    for name in [damaged.0, gone.0] {
        let bytes = get(&client, name).await.unwrap();
        let mut others = bytes.clone();
        others[100] ^= 1;
        assert!(vault.heal(name, &others).is_err(), "other bytes");
        assert_eq!(vault.heal(name, &bytes).unwrap(), Healed::Whole);
        assert_eq!(vault.heal(name, &bytes).unwrap(), Healed::NotNeeded);
    }
    assert_eq!(vault.lost_objects().unwrap(), []);
    assert!(vault.verify(true, &NoProgress).unwrap().is_clean());
    for snapshot in vault.snapshots().unwrap() {
        if let Some(files) = content.get(snapshot.body.name.as_str()) {
            assert!(holds(&vault, &snapshot, files), "{}", snapshot.body.name);
        }
    }
    let lacking = asked(&client, |client| client.get::<Lacking>("/v1/lacking")).await;
    assert_eq!(lacking, Ok(Lacking::default()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_costs_what_was_in_the_line_and_what_is_lost_there_too_is_said() {
    let (near, far, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(fire::new_pool(far.path(), keepwell_format::VaultId([9; 16])));
    let keeper = Keeper::start(&state.path().join("far"), far.path()).await;
    let home = Home::make(near.path(), VAULT, &content(), &[("images", 2), ("records", 1)]);
    let house = send_all(&home, &state.path().join("near"), &keeper).await;
    let client = serve(&house, state.path());
    let all = own_packs(&home);
    let (name, _) = all[0].clone();
    let length = get(&client, name).await.unwrap().len() as u64;

    // From now on over a line that is cut.
    let (address, passed, cuts) = line(keeper.address.clone(), vec![200_000, 40_000, 700_000, 3000]).await;
    let invited = keeper
        .house
        .invite(keepwell_api::offsite::Invite { address, quota_bytes: 1 << 40, place: "elsewhere".into(), second_key: None })
        .unwrap();
    // Pairing again has to come through first.
    let late = std::mem::take(&mut *cuts.lock().unwrap());
    let order = Pair { invitation: invited.invitation, slots: keepwell_api::Base64(home.slots().into()), practice: "a practice".into() };
    house.pair(order).await.unwrap();
    let opened = || keeper.house.status().unwrap().tenants.iter().all(|tenant| tenant.snapshots.is_some()).then_some(());
    fire::until("the tenant's disks are open again", opened).await;
    *cuts.lock().unwrap() = late;
    let before = passed.load(Ordering::Relaxed);
    let came = get(&client, name).await.unwrap();
    assert_eq!((came.len() as u64, ObjectId::of(&came)), (length, name.id));
    let passed = passed.load(Ordering::Relaxed) - before;
    assert!(passed < length + (1 << 20), "{passed} bytes for {length}");

    let there = packs(far.path()).into_iter().find(|(other, _)| *other == name).unwrap();
    damage(&there.1);
    assert_eq!(get(&client, name).await.unwrap_err(), "not-kept", "the other box found out when it was asked");
    let nowhere = ObjectName { class: keepwell_storage::Class::Pack, id: ObjectId([5; 32]) };
    assert_eq!(get(&client, nowhere).await.unwrap_err(), "not-kept");
    for bad in ["packs/00", "sets/0505050505050505050505050505050505050505050505050505050505050505"] {
        let refused = asked(&client, move |client| client.get_bytes(&format!("/v1/objects/{bad}")).map(|bytes| bytes.len())).await;
        assert_eq!(refused.unwrap_err(), "invalid", "{bad}");
    }
    keeper.kill().await;
    assert_eq!(get(&client, name).await.unwrap_err(), "unreachable");
}

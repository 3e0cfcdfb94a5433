//! How the box itself is: heat, fans, memory, load, file systems. Reads; keeps nothing, judges nothing.

use std::fs;
use std::path::Path;

use keepwell_api::disks::{Fan, FileSystem, Temperature, Vitals};
use sysinfo::{Components, Disks, LoadAvg, MemoryRefreshKind, RefreshKind, System};

/// The box now. File systems under `pool`, which are the pool's, are left out.
pub fn vitals(pool: &Path) -> Vitals {
    let refresh = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    // What this system does not tell is zero.
    let (total, available) =
        System::new_with_specifics(refresh).map_or((0, 0), |system| (system.total_memory(), system.available_memory()));
    let load = System::load_average().unwrap_or(LoadAvg { one: 0.0, five: 0.0, fifteen: 0.0 });
    Vitals {
        uptime_seconds: System::uptime().unwrap_or(0),
        load: [load.one, load.five, load.fifteen],
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        memory_total_bytes: total,
        memory_available_bytes: available,
        temperatures: temperatures(),
        fans: fans(Path::new("/sys/class/hwmon")),
        file_systems: file_systems(pool),
    }
}

fn temperatures() -> Vec<Temperature> {
    let Ok(components) = Components::new_with_refreshed_list() else { return Vec::new() };
    let readings = components.iter().filter_map(|component| {
        let celsius = component.temperature().filter(|celsius| celsius.is_finite())?;
        Some(Temperature {
            sensor: component.label().to_owned(),
            celsius,
            critical_celsius: component.critical().filter(|c| c.is_finite()),
        })
    });
    let mut readings: Vec<_> = readings.collect();
    readings.sort_by(|a, b| a.sensor.cmp(&b.sensor));
    readings
}

/// Fans as the kernel's hardware monitoring has them (`fanN_input`, turns a minute).
fn fans(hwmon: &Path) -> Vec<Fan> {
    let mut fans = Vec::new();
    for chip in fs::read_dir(hwmon).into_iter().flatten().flatten() {
        let chip_name = fs::read_to_string(chip.path().join("name")).unwrap_or_default();
        for entry in fs::read_dir(chip.path()).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(fan) = name.strip_suffix("_input").filter(|fan| fan.starts_with("fan")) else { continue };
            let rpm = fs::read_to_string(entry.path()).ok().and_then(|text| text.trim().parse().ok());
            fans.extend(rpm.map(|rpm| Fan { sensor: format!("{} {fan}", chip_name.trim()), rpm }));
        }
    }
    fans.sort_by(|a, b| a.sensor.cmp(&b.sensor));
    fans
}

fn file_systems(pool: &Path) -> Vec<FileSystem> {
    let Ok(disks) = Disks::new_with_refreshed_list() else { return Vec::new() };
    let own = disks.iter().filter(|disk| !disk.mount_point().starts_with(pool));
    let mut list: Vec<_> = own
        .map(|disk| FileSystem {
            at: disk.mount_point().display().to_string(),
            kind: disk.file_system().to_string_lossy().into_owned(),
            total_bytes: disk.total_space(),
            available_bytes: disk.available_space(),
        })
        .collect();
    list.sort_by(|a, b| a.at.cmp(&b.at));
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_vitals() {
        let vitals = vitals(Path::new("/run/keepwell/disks"));
        assert!(vitals.memory_total_bytes >= vitals.memory_available_bytes && vitals.memory_available_bytes > 0);
        assert!(vitals.uptime_seconds > 0 && vitals.cpus > 0);
        assert!(vitals.file_systems.iter().all(|fs| fs.total_bytes >= fs.available_bytes));
    }

    #[test]
    fn fans_are_found_where_the_kernel_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let chip = folder.path().join("hwmon0");
        fs::create_dir(&chip).unwrap();
        for (name, text) in [("name", "nct6775\n"), ("fan1_input", "1234\n"), ("fan2_input", "broken"), ("temp1_input", "40000")] {
            fs::write(chip.join(name), text).unwrap();
        }
        assert_eq!(fans(folder.path()), [Fan { sensor: "nct6775 fan1".into(), rpm: 1234 }]);
    }
}

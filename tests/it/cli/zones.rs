//! Time zones on machines that have none, or others than we have.

use crate::cli::kit::{HOPS, SOURCE, hopclock, scenario, told};
use jiff::tz::TimeZoneDatabase;
use std::path::Path;

/// A zone file of the first version, with one offset: that of UTC.
fn zone_file() -> Vec<u8> {
    let counts = [0_u32, 0, 0, 0, 1, 4].map(u32::to_be_bytes).concat();
    [b"TZif".as_slice(), &[0; 16], &counts, &[0; 6], b"UTC\0"].concat()
}

/// What `check` says to a calendar in a zone if the machine's zones are in `zones`.
async fn checked(folder: &Path, zones: &Path, zone: &str) -> (Option<i32>, String) {
    let schedule = format!("schedule: {{ cron: '30 9 * * *', timezone: {zone} }}\n");
    let text = scenario("canary", SOURCE, HOPS) + &schedule;
    std::fs::write(folder.join("a.yaml"), text).unwrap();
    let mut call = hopclock(folder, &["check", "a.yaml"]);
    call.env("TZDIR", zones);
    let told = told(call).await;
    (told.code, told.err)
}

#[tokio::test]
async fn zones_are_those_of_the_program_whatever_the_machine_has() {
    let folder = tempfile::tempdir().unwrap();
    let zones = folder.path().join("zones");
    std::fs::create_dir_all(zones.join("Mars")).unwrap();
    assert_eq!(checked(folder.path(), &zones, "Europe/Berlin").await, (Some(0), String::new()));
    std::fs::write(zones.join("Mars/Olympus"), zone_file()).unwrap();
    let of_the_machine = TimeZoneDatabase::from_dir(&zones).unwrap();
    assert!(of_the_machine.get("Mars/Olympus").is_ok(), "a zone that the machine's database has");
    let (code, said) = checked(folder.path(), &zones, "Mars/Olympus").await;
    assert_eq!(code, Some(2));
    assert!(said.contains("`Mars/Olympus` is no time zone"), "{said}");
}

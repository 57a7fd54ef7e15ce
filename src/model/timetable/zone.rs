//! Time zones, from the database that is part of the program.
//!
//! Never the system's: an image without zone files has none, and two machines with databases of
//! different years would disagree about when a run is due.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use std::sync::LazyLock;

static BUNDLED: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The zone of this name, such as `Europe/Berlin`; capitals do not matter.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    BUNDLED.get(name).ok()
}

/// The names of all zones.
#[must_use]
pub fn zones() -> Vec<String> {
    BUNDLED.available().map(|it| it.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_known_without_any_zone_file() {
        // The database itself says where it comes from.
        assert!(format!("{:?}", *BUNDLED).to_lowercase().contains("bundled"), "{:?}", *BUNDLED);
        for name in ["UTC", "Europe/Berlin", "america/new_york", "Australia/Lord_Howe"] {
            assert!(zone(name).is_some(), "{name}");
        }
        assert!(zones().len() > 500, "{}", zones().len());
        assert_eq!(zone("Europe/Berln"), None);
        assert_eq!(zone("localtime"), None);
    }
}

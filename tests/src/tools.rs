//! Running the real tools, and the dates that repository formats want.

use std::process::Command;

/// Runs `command` with `input` on its standard input and returns its standard output.
pub fn run(command: &mut Command) -> Vec<u8> {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// A command with a clean environment: only `PATH`, the C locale and a fixed `SOURCE_DATE_EPOCH`.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("SOURCE_DATE_EPOCH", EPOCH.to_string());
    command
}

/// The address of an archive in this host's own apt sources, by its last component: `debian`, `debian-security`.
///
/// # Panics
/// Where there is none.
pub fn host_archive(name: &str) -> String {
    let folder = std::fs::read_dir("/etc/apt/sources.list.d");
    let files = folder.into_iter().flatten().flatten();
    let files = files.map(|entry| entry.path());
    let files = files.chain(["/etc/apt/sources.list".into()]);
    let text: String = files
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .collect();
    let mut words = text.split_whitespace();
    let end = format!("/{name}");
    let found = words.find(|word| {
        let is_address = word.starts_with("http");
        is_address && word.trim_end_matches('/').ends_with(&end)
    });
    found
        .unwrap_or_else(|| panic!("no archive `{name}` in this host's apt sources"))
        .to_owned()
}

/// The time of everything that fixtures contain: 2026-01-01 00:00:00 UTC.
pub const EPOCH: i64 = 1_767_225_600;

/// Seconds of one day.
pub const DAY: i64 = 86_400;

/// `seconds` since 1970 as `Release` files and HTTP write them: `Thu, 01 Jan 2026 00:00:00 GMT`.
pub fn rfc_date(seconds: i64, zone: &str) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let days = seconds.div_euclid(DAY);
    let second = seconds.rem_euclid(DAY);
    // Counted from the year 0 in eras of 400 years; a year begins in March so that leap days come last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = year_of_era + era * 400 + i64::from(month < 2);
    let weekday = DAYS[usize::try_from(days.rem_euclid(7)).unwrap()];
    let month = MONTHS[usize::try_from(month).unwrap()];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} {zone}")
}

/// The SHA-256 of `bytes` in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(bytes);
    digest
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Unmounts what is mounted at `place`, however long others hold it for a moment: for the `Drop` of a fixture.
///
/// # Panics
/// Where it stays mounted, unless the thread panics already.
pub fn unmount(place: &std::path::Path) {
    let umount = |options: &[&str]| {
        let status = Command::new("umount").args(options).arg(place).status();
        status.is_ok_and(|status| status.success())
    };
    // Who makes a process just then has copies of what is open here, and the kernel may still end another.
    let gone = (0..50).any(|_| {
        let gone = umount(&[]);
        if !gone {
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        gone
    });
    let gone = gone || umount(&["-l"]);
    assert!(gone || std::thread::panicking(), "{}", place.display());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(rfc_date(0, "GMT"), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(rfc_date(EPOCH, "UTC"), "Thu, 01 Jan 2026 00:00:00 UTC");
        assert_eq!(
            rfc_date(1_709_210_096, "GMT"),
            "Thu, 29 Feb 2024 12:34:56 GMT"
        );
    }
}

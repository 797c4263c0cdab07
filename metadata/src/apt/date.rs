//! Dates of `Release` files and HTTP: RFC 1123 and RFC 2822 text to seconds since 1970. Nothing else about calendars.

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// Parses `Sat, 09 Nov 2024 10:04:41 UTC`, with or without the day of the week, with `UTC`, `GMT`, `Z` or a numeric
/// zone (`+0100`). The result is in seconds since 1970-01-01 UTC. `None` for anything else: a date that does not
/// exist, a wrong day of the week, a year before 1970 or after 9999.
///
/// ```
/// use vzpkg_metadata::apt::date::parse;
/// assert_eq!(parse("Thu, 01 Jan 1970 00:00:01 UTC"), Some(1));
/// assert_eq!(parse("Thu, 30 Feb 2023 00:00:00 UTC"), None);
/// ```
pub fn parse(text: &str) -> Option<i64> {
    let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    let mut word = words.next()?;
    let mut weekday = None;
    if let Some(name) = word.strip_suffix(',') {
        weekday = Some(WEEKDAYS.iter().position(|day| *day == name)?);
        word = words.next()?;
    }
    let day = digits(word, 1, 2)?;
    let month_name = words.next()?;
    let month = i64::try_from(MONTHS.iter().position(|name| *name == month_name)?).ok()?;
    let year = digits(words.next()?, 4, 4)?;
    let seconds = time_of_day(words.next()?)?;
    let offset = zone(words.next()?)?;
    let days = days_since_epoch(year, month, day)?;
    let is_weekday = |wanted| usize::try_from(days.rem_euclid(7)) == Ok(wanted);
    if words.next().is_some() || weekday.is_some_and(|wanted| !is_weekday(wanted)) {
        return None;
    }
    days.checked_mul(86400)?
        .checked_add(seconds)?
        .checked_sub(offset)
}

/// A number of `least` to `most` decimal digits.
fn digits(text: &str, least: usize, most: usize) -> Option<i64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    if plain && (least..=most).contains(&text.len()) {
        text.parse().ok()
    } else {
        None
    }
}

/// `10:04:41` or `10:04`. A leap second counts as the second after 59.
fn time_of_day(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let hours = digits(parts.next()?, 1, 2).filter(|&hours| hours < 24)?;
    let minutes = digits(parts.next()?, 2, 2).filter(|&minutes| minutes < 60)?;
    let seconds = match parts.next() {
        Some(part) => digits(part, 2, 2).filter(|&seconds| seconds <= 60)?,
        None => 0,
    };
    let total = hours.saturating_mul(3600);
    let total = total.saturating_add(minutes.saturating_mul(60));
    parts
        .next()
        .is_none()
        .then(|| total.saturating_add(seconds))
}

/// Seconds east of UTC.
fn zone(text: &str) -> Option<i64> {
    if matches!(text, "UTC" | "GMT" | "UT" | "Z") {
        return Some(0);
    }
    let (sign, number) = match text.split_at_checked(1)? {
        ("+", number) => (1, number),
        ("-", number) => (-1_i64, number),
        _ => return None,
    };
    let number = digits(number, 4, 4)?;
    let (hours, minutes) = (number.checked_div(100)?, number.rem_euclid(100));
    let minutes = hours.saturating_mul(60).saturating_add(minutes);
    (hours < 24).then(|| minutes.saturating_mul(60).saturating_mul(sign))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; `month` counts from 0. `None` where there is no such day.
fn days_since_epoch(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = |year: i64| {
        year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
    };
    let length = |month: i64| match month {
        1 if leap(year) => 29,
        1 => 28,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    };
    if year < 1970 || day < 1 || day > length(month) {
        return None;
    }
    let years: i64 = (1970..year)
        .map(|year| if leap(year) { 366 } else { 365 })
        .sum();
    let months: i64 = (0..month).map(length).sum();
    years.checked_add(months)?.checked_add(day.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_dates_of_release_files_are_read() {
        for (text, seconds) in [
            ("Sat, 09 Nov 2024 10:04:41 UTC", 1_731_146_681),
            ("Sat, 09 Nov 2024 10:04:41 +0000", 1_731_146_681),
            ("Sat, 9 Nov 2024 11:04:41 +0100", 1_731_146_681),
            ("9 Nov 2024 10:04:41 GMT", 1_731_146_681),
            ("Thu, 29 Feb 2024 00:00:00 UTC", 1_709_164_800),
            ("Fri, 31 Dec 9999 23:59:59 Z", 253_402_300_799),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn impossible_dates_are_refused() {
        for text in [
            "",
            "Sat, 09 Nov 2024",
            "Sun, 09 Nov 2024 10:04:41 UTC",
            "Sat, 09 Nov 2024 10:04:41",
            "Sat, 09 Nov 2024 10:04:41 UTC extra",
            "Sat, 09 Nov 2024 24:04:41 UTC",
            "Sat, 09 Nov 2024 10:60:41 UTC",
            "Sat, 09 Nov 2024 10:04:41 +2400",
            "Sat, 09 Nov 24 10:04:41 UTC",
            "29 Feb 2023 00:00:00 UTC",
            "0 Jan 2023 00:00:00 UTC",
            "01 Jan 1969 00:00:00 UTC",
            "+1 Jan 2023 00:00:00 UTC",
            "1 Jan 2023 00:00:00 \u{e9}000",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}

//! The list of findings that are known and have a date by which they must be gone.
//!
//! A line is `RULE PATH SIZE UNTIL REASON...`; SIZE is the size of the largest finding of that rule
//! in that file, or their number for rules without a size. The list may only shrink: a finding
//! above SIZE stays a finding, a SIZE above what is needed is one, and so is a line that is past
//! its day.

use super::Finding;

pub(super) const PATH: &str = "xtask/tidy-exceptions.txt";

struct Exception<'a> {
    rule: &'a str,
    path: &'a str,
    size: usize,
    until: &'a str,
    line: usize,
}

/// Takes what `list` allows out of `findings`, and adds what is wrong with the list itself.
pub(super) fn apply(list: &str, mut findings: Vec<Finding>, today: &str) -> Vec<Finding> {
    for (index, text) in list.lines().enumerate() {
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        let Some(exception) = parse(text, index + 1) else {
            let text = "a line is `RULE PATH SIZE YYYY-MM-DD REASON`";
            findings.push(Finding::new(PATH, index + 1, "exception", text));
            continue;
        };
        findings = apply_one(&exception, findings, today);
    }
    findings
}

fn parse(text: &str, line: usize) -> Option<Exception<'_>> {
    let mut words = text.split_whitespace();
    let exception = Exception {
        rule: words.next()?,
        path: words.next()?,
        size: words.next()?.parse().ok()?,
        until: words.next().filter(|word| word.len() == 10)?,
        line,
    };
    // The reason: it has to be there, nobody parses it.
    words.next().map(|_| exception)
}

fn apply_one(exception: &Exception<'_>, findings: Vec<Finding>, today: &str) -> Vec<Finding> {
    let Exception { rule, path, size, until, line } = *exception;
    let (covered, mut rest): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|found| found.rule == rule && found.path == path);
    let largest = covered.iter().map(|found| found.size).max().unwrap_or(0);
    let needed = if largest > 1 { largest } else { covered.len() };
    let mut complain = |text| rest.push(Finding::new(PATH, line, "exception", text));
    if until < today {
        complain(format!("the day for `{rule} {path}` was {until}"));
    } else if needed == 0 {
        complain(format!("`{rule} {path}` is needed no more: remove the line"));
    } else if needed < size {
        complain(format!("`{rule} {path}` needs only {needed}: lower it"));
    } else if needed > size {
        complain(format!("`{rule} {path}` grew to {needed}"));
    } else {
        return rest;
    }
    rest.extend(covered);
    rest
}

/// The date of a day since 1970-01-01, as `YYYY-MM-DD`.
pub(super) fn date(day: u64) -> String {
    // Civil date from days, with years that start in March, so that the leap day is a year's last.
    let day = day + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day_of_month:02}")
}

#[cfg(test)]
mod tests {
    use super::super::Finding;
    use super::{apply, date};

    fn rules(list: &str, sizes: &[usize]) -> Vec<&'static str> {
        let findings =
            sizes.iter().map(|size| Finding::new("a.rs", 1, "function", "b").sized(*size));
        apply(list, findings.collect(), "2026-11-21").iter().map(|found| found.rule).collect()
    }

    #[test]
    fn an_exception_covers_its_size_and_no_more() {
        let list = "# a comment\nfunction a.rs 80 2026-12-31 the parser, issue 3\n";
        assert!(rules(list, &[80]).is_empty());
        assert!(rules(list, &[75, 80]).is_empty());
        assert_eq!(rules(list, &[81]), ["exception", "function"]);
    }

    #[test]
    fn the_list_may_only_shrink() {
        let list = "function a.rs 80 2026-12-31 why";
        assert_eq!(rules(list, &[]), ["exception"]);
        assert_eq!(rules(list, &[79]), ["exception", "function"]);
        assert_eq!(rules("function a.rs 80 2026-11-20 why", &[80]), ["exception", "function"]);
        assert_eq!(rules("function a.rs 80 2026-12-31", &[80]), ["function", "exception"]);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(19_782), "2024-02-29");
        assert_eq!(date(20_778), "2026-11-21");
    }
}

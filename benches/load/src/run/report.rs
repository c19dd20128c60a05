//! The tables, as Markdown.

use std::fmt::Write as _;

use super::measure::Sample;
use super::results::Results;
use super::rows::{Figure, Goal, Row};
use super::server::Contender;
use super::stats::Spread;

/// The goals and what was reached, then a table for each row.
pub fn markdown(rows: &[&Row], results: &Results) -> String {
    let mut text = goals(rows, results);
    for row in rows {
        text += &table(row, results);
    }
    text
}

fn goals(rows: &[&Row], results: &Results) -> String {
    let mut text = "| what | against | goal | reached | quarters | verdict |\n\
                    | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for row in rows {
        for goal in row.goals {
            let reached = results.reached(row, goal);
            let (value, quarters, verdict) = match reached {
                Some(spread) => (
                    number(goal, spread.median),
                    format!("{} to {}", number(goal, spread.low), number(goal, spread.high)),
                    if spread.median <= goal.at_most { "reached" } else { "missed" },
                ),
                None => ("-".to_owned(), "-".to_owned(), "not measured"),
            };
            let (what, against) = (what(row, goal), against(goal));
            let at_most = number(goal, goal.at_most);
            line(&mut text, &[&what, &against, &at_most, &value, &quarters, verdict]);
        }
    }
    text
}

fn what(row: &Row, goal: &Goal) -> String {
    let figure = match goal.figure {
        Figure::Cpu => "CPU per request",
        Figure::Resident => "resident memory",
        Figure::AddedLatency => "added latency p50",
        Figure::IdleMiB => "resident MiB without a connection",
        Figure::BytesPerConnection => "resident bytes per connection",
        Figure::Allocations => "allocations per request",
        Figure::Copies => "copies of each byte",
    };
    format!("{}: {figure}", row.title)
}

fn against(goal: &Goal) -> String {
    let names: Vec<_> = goal.against.iter().map(|contender| contender.name()).collect();
    if names.is_empty() { "absolute".to_owned() } else { names.join(" or ") }
}

fn number(goal: &Goal, value: f64) -> String {
    match goal.figure {
        Figure::Cpu | Figure::Resident | Figure::AddedLatency => format!("{value:.2}"),
        Figure::IdleMiB => format!("{value:.1}"),
        Figure::BytesPerConnection => format!("{value:.0}"),
        Figure::Allocations | Figure::Copies => format!("{value:.3}"),
    }
}

fn table(row: &Row, results: &Results) -> String {
    let mut text = format!("\n#### {} (`{}`)\n\n", row.title, row.id);
    let base = row.contenders[0];
    if row.load.idle {
        line(&mut text, &["", "resident MB, idle", "with the connections", "bytes per connection"]);
        text += "| --- | --- | --- | --- |\n";
    } else if row.load.added {
        line(&mut text, &["", "direct p50 us (quarters)", "through p50 us", "added us"]);
        text += "| --- | --- | --- | --- |\n";
    } else if row.load.tally {
        line(&mut text, &["", "allocations per request", "copies of each byte of a body of 1 MiB"]);
        text += "| --- | --- | --- |\n";
    } else {
        let ratio = format!("ratio to {} (quarters)", base.name());
        line(
            &mut text,
            &[
                "",
                "CPU ns/request",
                &ratio,
                "behind it, ns",
                "requests/s",
                "p50 us",
                "p99 us",
                "MB",
            ],
        );
        text += "| --- | --- | --- | --- | --- | --- | --- | --- |\n";
    }
    for &contender in row.contenders {
        if let Some(reason) = results.failure(row, contender) {
            let _ = writeln!(text, "| {} | not measured: {} |", contender.name(), one_line(reason));
        } else if !results.is_measured(row, contender) {
            // Left out by `--contenders`.
        } else if row.load.idle {
            text += &idle_line(row, contender, results);
        } else if row.load.added {
            text += &added_line(row, contender, results);
        } else if row.load.tally {
            text += &tally_line(row, contender, results);
        } else {
            text += &load_line(row, contender, base, results);
        }
    }
    text
}

fn load_line(row: &Row, contender: Contender, base: Contender, results: &Results) -> String {
    let figure = |figure: fn(&Sample) -> f64| results.figure(row, contender, figure);
    let median = |spread: Option<Spread>, digits: usize| {
        spread.map_or_else(|| "-".to_owned(), |spread| format!("{:.digits$}", spread.median))
    };
    let ratio = results.ratio(row, contender, base, |sample| sample.server_ns);
    let ratio = ratio.map_or_else(
        || "-".to_owned(),
        |ratio| format!("{:.3} ({:.3} to {:.3})", ratio.median, ratio.low, ratio.high),
    );
    let mut text = String::new();
    line(
        &mut text,
        &[
            contender.name(),
            &median(figure(|sample| sample.server_ns), 0),
            &ratio,
            &median(figure(|sample| sample.worker_ns), 0),
            &median(figure(|sample| sample.per_second), 0),
            &median(figure(|sample| sample.p50_us), 1),
            &median(figure(|sample| sample.p99_us), 1),
            &median(figure(|sample| sample.resident / 1e6), 1),
        ],
    );
    text
}

fn idle_line(row: &Row, contender: Contender, results: &Results) -> String {
    let median = |figure: fn(&Sample) -> f64, digits: usize| {
        let spread = results.figure(row, contender, figure);
        spread.map_or_else(|| "-".to_owned(), |spread| format!("{:.digits$}", spread.median))
    };
    let mut text = String::new();
    line(
        &mut text,
        &[
            contender.name(),
            &median(|sample| sample.idle_resident / 1e6, 1),
            &median(|sample| sample.resident / 1e6, 1),
            &median(|sample| sample.per_connection, 0),
        ],
    );
    text
}

fn tally_line(row: &Row, contender: Contender, results: &Results) -> String {
    let median = |figure: fn(&Sample) -> f64| {
        let spread = results.figure(row, contender, figure);
        spread.map_or_else(|| "-".to_owned(), |spread| format!("{:.3}", spread.median))
    };
    let copies = median(|sample| sample.copies);
    let copies = if row.load.request == "post-echo-large" { copies } else { "-".to_owned() };
    let mut text = String::new();
    line(&mut text, &[contender.name(), &median(|sample| sample.allocations), &copies]);
    text
}

fn added_line(row: &Row, contender: Contender, results: &Results) -> String {
    let show = |figure: fn(&Sample) -> f64| {
        let spread = results.figure(row, contender, figure);
        spread.map_or_else(
            || "-".to_owned(),
            |spread| format!("{:.1} ({:.1} to {:.1})", spread.median, spread.low, spread.high),
        )
    };
    let mut text = String::new();
    let (direct, through) = (show(|sample| sample.direct_us), show(|sample| sample.p50_us));
    line(&mut text, &[contender.name(), &direct, &through, &show(|sample| sample.added_us)]);
    text
}

fn line(text: &mut String, cells: &[&str]) {
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '|'], " ")
}

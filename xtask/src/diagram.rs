//! Draws the transition tables of `core/http1` as a page: a diagram and the rows of each machine.

use core::fmt::Write as _;

use crate::session::Session;

/// The server's, then the client's.
const TABLES: [&str; 2] = ["core/http1/src/state.rs", "core/http1/src/client/state.rs"];
const PAGE: &str = "core/http1/STATES.md";

/// One machine: its name and its rows `(from, cause, to)`.
type Machine = (String, Vec<[String; 3]>);

/// Draws the page, or with `check` says whether it is as it would be drawn.
///
/// # Errors
/// When the page differs (with `check`), the table is not found, or a file cannot be read or
/// written.
pub(crate) fn draw(session: &Session, check: bool) -> Result<(), String> {
    let mut machines = Vec::new();
    for table in TABLES {
        let source = std::fs::read_to_string(session.root.join(table))
            .map_err(|error| format!("{table}: {error}"))?;
        machines.extend(parse(&source).map_err(|why| format!("{table}: {why}"))?);
    }
    let page = page(&machines);
    let path = session.root.join(PAGE);
    if check {
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        let behind = format!("{PAGE} is not what the tables say: `cargo xtask diagram`");
        return if there == page { Ok(()) } else { Err(behind) };
    }
    std::fs::write(&path, page).map_err(|error| format!("{PAGE}: {error}"))
}

/// Reads the calls `table! { next, ROWS, Machine: From, Cause => To; ... }`.
fn parse(source: &str) -> Result<Vec<Machine>, String> {
    let mut machines = Vec::new();
    for call in source.split("\ntable! {").skip(1) {
        let body = call.split_once("\n}").ok_or("a `table!` without an end")?.0;
        let (head, rows) = body.split_once(':').ok_or("a `table!` without a machine")?;
        let name = head.rsplit(',').next().unwrap_or_default().trim().to_owned();
        let rows = rows.split(';').map(str::trim).filter(|row| !row.is_empty());
        machines.push((name, rows.map(parse_row).collect::<Result<_, _>>()?));
    }
    if machines.is_empty() { Err("no `table!` in it".to_owned()) } else { Ok(machines) }
}

fn parse_row(row: &str) -> Result<[String; 3], String> {
    let parts = row.split_once("=>").and_then(|(before, to)| {
        let (from, cause) = before.split_once(',')?;
        Some([from, cause, to].map(|part| part.trim().to_owned()))
    });
    parts.ok_or_else(|| format!("`{row}` is no row `From, Cause => To`"))
}

fn page(machines: &[Machine]) -> String {
    let mut text = String::from(
        "# The states of a connection\n\n\
         Drawn by `cargo xtask diagram` from the tables in `src/state.rs` (server: Read, Write)\n\
         and `src/client/state.rs` (client: Response, Request); do not edit.\n\
         What is not drawn is not permitted.\n",
    );
    for (name, rows) in machines {
        let _ = write!(text, "\n## {name}\n\n```mermaid\nstateDiagram-v2\n");
        let _ = writeln!(text, "    [*] --> {}", rows[0][0]);
        for (from, to) in edges(rows) {
            let causes: Vec<_> = rows
                .iter()
                .filter(|row| row[0] == from && row[2] == to)
                .map(|row| row[1].as_str())
                .collect();
            let _ = writeln!(text, "    {from} --> {to}: {}", causes.join(", "));
        }
        text.push_str("```\n\n| from | cause | to |\n| --- | --- | --- |\n");
        for [from, cause, to] in rows {
            let _ = writeln!(text, "| {from} | {cause} | {to} |");
        }
    }
    text
}

/// The pairs of states that some cause joins, each once, in the order of the rows.
fn edges(rows: &[[String; 3]]) -> Vec<(&str, &str)> {
    let mut edges = Vec::new();
    for [from, _, to] in rows {
        if !edges.contains(&(from.as_str(), to.as_str())) {
            edges.push((from, to));
        }
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::{page, parse};

    const TABLE: &str = "
table! { next_read, READ_ROWS, Read:
    Idle, HeadByte => Head;
    Idle, Vanish => Closed;
    Head, Vanish => Closed;
    Head, Break => Closed;
}
";

    #[test]
    fn every_row_is_drawn() {
        let machines = parse(TABLE).expect("a table");
        let page = page(&machines);
        assert!(page.contains("    [*] --> Idle\n"), "{page}");
        assert!(page.contains("    Head --> Closed: Vanish, Break\n"), "{page}");
        assert!(page.contains("| Head | Break | Closed |"), "{page}");
    }

    #[test]
    fn what_is_no_table_is_an_error() {
        assert!(parse("fn a() {}").is_err());
        assert!(parse("\ntable! { a, B, C:\n    D => E;\n}").is_err());
    }
}

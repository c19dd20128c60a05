//! Lengths that a person can hold: functions, files, lines.

use super::Finding;
use super::source::Source;

const FUNCTION_LINES: usize = 70;
const FILE_LINES: usize = 600;
const LINE_CHARS: usize = 100;

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for function in source.functions() {
        let (name, lines) = (&function.name, function.line_count);
        if lines > FUNCTION_LINES {
            let text =
                format!("`{name}` has {lines} lines, {FUNCTION_LINES} are the most: split it");
            let finding = Finding::new(&source.path, function.line, "function", text);
            findings.push(finding.sized(lines));
        }
    }
    let lines = source.plain_line_count();
    if lines > FILE_LINES && !source.is_test() {
        let text =
            format!("{lines} lines outside tests, {FILE_LINES} are the most: one type, one file");
        findings.push(Finding::new(&source.path, 0, "file", text).sized(lines));
    }
    for (index, line) in source.text.lines().enumerate() {
        let chars = line.chars().count();
        if chars > LINE_CHARS && !is_one_piece(source, index + 1, line) {
            let text = format!("{chars} characters, {LINE_CHARS} are the most");
            findings.push(Finding::new(&source.path, index + 1, "line", text).sized(chars));
        }
    }
    findings
}

/// Whether a line cannot be cut: an address, or in tests bytes that are compared as they are.
fn is_one_piece(source: &Source, number: usize, line: &str) -> bool {
    let is_test = source.is_test_line(number) || source.path.starts_with("fuzz/");
    line.contains("://") || line.contains('"') && is_test
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::check;

    fn rules(path: &str, text: String) -> Vec<(&'static str, usize)> {
        check(&Source::new(path, text)).iter().map(|found| (found.rule, found.size)).collect()
    }

    #[test]
    fn long_functions_files_and_lines_are_found() {
        let function = format!("fn a() {{\n{}}}\n", "    b();\n".repeat(69));
        assert_eq!(rules("a.rs", function), [("function", 71)]);
        let shorter = format!("fn a() {{\n{}}}\n", "    b();\n".repeat(68));
        assert_eq!(rules("a.rs", shorter), []);
        assert_eq!(rules("a.rs", "const A: u8 = 0;\n".repeat(601)), [("file", 601)]);
        assert_eq!(rules("a/tests.rs", "const A: u8 = 0;\n".repeat(601)), []);
        assert_eq!(rules("a.rs", format!("// {}\n", "x".repeat(98))), [("line", 101)]);
    }
}

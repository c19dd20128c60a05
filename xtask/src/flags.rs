//! Every command and flag of `cargo xtask`, and the help that teaches them.

use core::fmt::Write as _;
use core::str::FromStr;

/// One command as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Help(Option<&'static Spec>),
    /// Rows of one of the lists, by the command's name.
    Rows {
        list: List,
        only: Vec<String>,
        show: bool,
    },
    Tidy,
    Fuzz {
        target: Option<String>,
        seconds: u64,
        input: Option<String>,
        asan: bool,
    },
    Sim {
        seed: u64,
        count: u64,
    },
    Bench {
        names: Vec<String>,
    },
    Diagram {
        check: bool,
    },
}

/// Which rows a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    Check,
    TestAll,
    Cross,
    Extended,
}

/// What the help says about one command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    usage: &'static str,
    detail: &'static str,
}

const ROW_FLAGS: &str = "[--only ROW[,ROW]] [--list]";

pub(crate) const SPECS: [Spec; 9] = [
    Spec {
        name: "check",
        about: "the fast subset: formatting, tidy, lints, docs, tests",
        usage: ROW_FLAGS,
        detail: "Run it before a commit. It installs nothing and needs only Rust.",
    },
    Spec {
        name: "test-all",
        about: "everything that CI demands; ends with one table",
        usage: ROW_FLAGS,
        detail: "\
Each row looks for its tools first. As root it installs what is missing (Debian packages with
apt-get, programs with cargo install) and says so; what cannot be had makes the row read
\"not possible here\" with the reason, never \"passed\".
--only runs the named rows (one that is not possible is a failure then), --list shows them.
The output of every row lies in <target>/xtask/logs/<row>.log, and is shown when the row fails.",
    },
    Spec {
        name: "extended",
        about: "what takes longer: cross, sanitizers, long fuzzing, more simulation",
        usage: ROW_FLAGS,
        detail: "The rows of `cross` too. Half an hour or more.",
    },
    Spec {
        name: "cross",
        about: "other systems and machines: macOS, FreeBSD, wasm, Windows, s390x, i686",
        usage: ROW_FLAGS,
        detail: "\
macOS and FreeBSD are type-checked, wasm is built; Windows runs under Wine, big-endian s390x under
qemu, 32-bit x86 natively. The compiler for them comes from Debian's rustc-web packages.",
    },
    Spec {
        name: "tidy",
        about: "rules that no compiler checks: sizes, names, layers, dead files",
        usage: "",
        detail: "\
Every finding names file, line and rule. Exceptions stand in xtask/tidy-exceptions.txt, with a date
by which they must be gone; one that is larger than needed is a finding too.",
    },
    Spec {
        name: "fuzz",
        about: "replay every corpus, then fuzz all targets or one",
        usage: "[TARGET] [--seconds N] [--input FILE] [--asan]",
        detail: "\
--seconds is the fuzzing time in all, shared by the targets (30 unless told); 0 only replays.
--input runs TARGET once on FILE, to see a crash again. New inputs go to <target>/xtask/corpus/,
crashes to fuzz/artifacts/. --asan adds the address sanitizer (slower by 4 to 5 times).",
    },
    Spec {
        name: "sim",
        about: "drive the whole brain in memory, from seeds",
        usage: "[--seed N] [--count N]",
        detail: "\
Runs seeds N, N+1, ... (from 0, 10000 of them, unless told), built optimised with assertions on.
`--seed N` alone runs that one seed, to see a failure again.",
    },
    Spec {
        name: "bench",
        about: "the benches, in their own workspace",
        usage: "[FLAG...]",
        detail: "\
Measures everything in interleaved rounds and prints tables; the flags are those of benches/load,
for example `--quick`. What is measured and how is in benches/README.md.",
    },
    Spec {
        name: "diagram",
        about: "draw the transition table of core/http1 into its docs",
        usage: "[--check]",
        detail: "--check changes nothing, and fails when docs and table differ.",
    },
];

/// Parses what follows `cargo xtask`.
///
/// # Errors
/// A sentence that says what was found and what is allowed.
pub(crate) fn parse(args: &[String]) -> Result<Command, String> {
    let Some((name, rest)) = args.split_first() else { return Ok(Command::Help(None)) };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        return Ok(Command::Help(rest.first().and_then(|name| spec(name))));
    }
    let spec = spec(name).ok_or_else(|| {
        let names: Vec<_> = SPECS.iter().map(|spec| spec.name).collect();
        format!("unknown command `{name}`; there are {}", names.join(", "))
    })?;
    let mut words = Words { spec, rest: rest.iter() };
    if rest.iter().any(|word| word == "--help" || word == "-h") {
        return Ok(Command::Help(Some(spec)));
    }
    match spec.name {
        "check" => words.rows(List::Check),
        "test-all" => words.rows(List::TestAll),
        "extended" => words.rows(List::Extended),
        "cross" => words.rows(List::Cross),
        "tidy" => words.none(Command::Tidy),
        "fuzz" => words.fuzz(),
        "sim" => words.sim(),
        "bench" => Ok(Command::Bench { names: words.rest.cloned().collect() }),
        "diagram" => words.diagram(),
        name => unreachable!("`{name}` stands in SPECS but is not parsed"),
    }
}

/// The help of one command, or of all.
pub(crate) fn help(spec: Option<&Spec>) -> String {
    let mut text = String::new();
    let written = match spec {
        Some(Spec { name, about, usage, detail }) => {
            writeln!(text, "cargo xtask {name} {usage}\n\n{about}\n\n{detail}")
        }
        None => writeln!(text, "cargo xtask COMMAND [FLAGS]\n").and_then(|()| {
            SPECS
                .iter()
                .try_for_each(|spec| writeln!(text, "  {:<10} {}", spec.name, spec.about))?;
            writeln!(
                text,
                "\n`cargo xtask COMMAND --help` says more. A first day: `check`, then `test-all`."
            )
        }),
    };
    written.expect("a String takes any text");
    text
}

fn spec(name: &str) -> Option<&'static Spec> {
    SPECS.iter().find(|spec| spec.name == name)
}

struct Words<'a> {
    spec: &'static Spec,
    rest: core::slice::Iter<'a, String>,
}

impl Words<'_> {
    fn rows(&mut self, list: List) -> Result<Command, String> {
        let (mut only, mut show) = (Vec::new(), false);
        while let Some(word) = self.rest.next() {
            match word.as_str() {
                "--only" => only.extend(self.value(word)?.split(',').map(str::to_owned)),
                "--list" => show = true,
                _ => return Err(self.unexpected(word)),
            }
        }
        Ok(Command::Rows { list, only, show })
    }

    fn none(&mut self, command: Command) -> Result<Command, String> {
        match self.rest.next() {
            None => Ok(command),
            Some(word) => Err(self.unexpected(word)),
        }
    }

    fn fuzz(&mut self) -> Result<Command, String> {
        let (mut target, mut seconds, mut input, mut asan) = (None, 30, None, false);
        while let Some(word) = self.rest.next() {
            match word.as_str() {
                "--seconds" => seconds = self.number(word)?,
                "--input" => input = Some(self.value(word)?.clone()),
                "--asan" => asan = true,
                flag if flag.starts_with('-') || target.is_some() => {
                    return Err(self.unexpected(word));
                }
                name => target = Some(name.to_owned()),
            }
        }
        if input.is_some() && target.is_none() {
            return Err("`--input` needs the TARGET that runs it".into());
        }
        Ok(Command::Fuzz { target, seconds, input, asan })
    }

    fn sim(&mut self) -> Result<Command, String> {
        let (mut seed, mut count) = (None, None);
        while let Some(word) = self.rest.next() {
            match word.as_str() {
                "--seed" => seed = Some(self.number(word)?),
                "--count" => count = Some(self.number(word)?),
                _ => return Err(self.unexpected(word)),
            }
        }
        let count = count.unwrap_or(if seed.is_some() { 1 } else { 10_000 });
        Ok(Command::Sim { seed: seed.unwrap_or(0), count })
    }

    fn diagram(&mut self) -> Result<Command, String> {
        match self.rest.next().map(String::as_str) {
            None => Ok(Command::Diagram { check: false }),
            Some("--check") => self.none(Command::Diagram { check: true }),
            Some(word) => Err(self.unexpected(word)),
        }
    }

    fn value(&mut self, flag: &str) -> Result<&String, String> {
        self.rest.next().ok_or_else(|| format!("`{flag}` needs a value"))
    }

    fn number<T: FromStr>(&mut self, flag: &str) -> Result<T, String> {
        let word = self.value(flag)?;
        word.parse().map_err(|_| format!("`{flag}` takes a whole number, not `{word}`"))
    }

    fn unexpected(&self, word: &str) -> String {
        let Spec { name, usage, .. } = self.spec;
        match *usage {
            "" => format!("`{word}` is not known here; `{name}` takes nothing"),
            usage => format!("`{word}` is not known here; `{name}` takes {usage}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, List, SPECS, help, parse};

    fn parse_line(line: &str) -> Result<Command, String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn every_command_parses_bare_and_helps() {
        for spec in &SPECS {
            assert!(parse_line(spec.name).is_ok(), "{}", spec.name);
            assert_eq!(parse_line(&format!("{} --help", spec.name)), Ok(Command::Help(Some(spec))));
            assert!(help(None).contains(spec.about));
            assert!(help(Some(spec)).contains(spec.name));
        }
    }

    #[test]
    fn flags_take_their_values() {
        let only = vec!["fmt".to_owned(), "tidy".to_owned()];
        let rows = Command::Rows { list: List::TestAll, only, show: false };
        assert_eq!(parse_line("test-all --only fmt,tidy"), Ok(rows));
        assert_eq!(parse_line("sim --seed 7"), Ok(Command::Sim { seed: 7, count: 1 }));
        assert_eq!(parse_line("sim --count 5"), Ok(Command::Sim { seed: 0, count: 5 }));
        assert_eq!(parse_line("diagram --check"), Ok(Command::Diagram { check: true }));
        let fuzz = |target: Option<&str>, seconds| Command::Fuzz {
            target: target.map(str::to_owned),
            seconds,
            input: None,
            asan: false,
        };
        assert_eq!(parse_line("fuzz"), Ok(fuzz(None, 30)));
        assert_eq!(parse_line("fuzz frame --seconds 3"), Ok(fuzz(Some("frame"), 3)));
    }

    #[test]
    fn a_wrong_word_is_named_with_what_is_allowed() {
        assert!(parse_line("tset").expect_err("unknown").contains("test-all"));
        assert!(parse_line("tidy --fast").expect_err("unknown").contains("takes nothing"));
        assert!(parse_line("sim --seed x").expect_err("no number").contains("whole number"));
        assert!(parse_line("fuzz --input f").expect_err("no target").contains("TARGET"));
    }
}

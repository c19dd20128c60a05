//! Command line flags: `--name value` and `--name`.

use std::collections::HashMap;
use std::str::FromStr;

/// Flags by name, without the dashes.
#[derive(Debug)]
pub struct Flags(HashMap<String, Option<String>>);

impl Flags {
    /// Reads the arguments; only the names in `known` may occur.
    pub fn parse(arguments: impl Iterator<Item = String>, known: &[&str]) -> Result<Self, String> {
        let mut arguments = arguments.peekable();
        let mut flags = HashMap::new();
        while let Some(argument) = arguments.next() {
            let name = argument.strip_prefix("--").filter(|name| known.contains(name));
            let name =
                name.ok_or_else(|| format!("{argument}: known are --{}", known.join(", --")))?;
            let value = arguments.next_if(|next| !next.starts_with("--"));
            flags.insert(name.to_owned(), value);
        }
        Ok(Self(flags))
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn text(&self, name: &str) -> Result<&str, String> {
        let value = self.0.get(name).and_then(Option::as_deref);
        value.ok_or_else(|| format!("--{name} VALUE is missing"))
    }

    pub fn parsed<T: FromStr>(&self, name: &str) -> Result<T, String> {
        self.text(name)?.parse().map_err(|_| format!("--{name} has no such value"))
    }

    pub fn number(&self, name: &str, default: usize) -> Result<usize, String> {
        if self.is_set(name) { self.parsed(name) } else { Ok(default) }
    }

    pub fn float(&self, name: &str, default: f64) -> Result<f64, String> {
        if self.is_set(name) { self.parsed(name) } else { Ok(default) }
    }
}

//! Typed access to a TOML table that reports what it cannot use.

use core::cell::RefCell;
use core::ops::{Range, RangeInclusive};
use core::time::Duration;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Report;
use super::units::{self, DURATION_FORM, DURATION_MAX, SIZE_FORM};

/// A table of the file, or the absence of one. Every key that is asked for is known; what is left
/// when it is finished is not.
#[derive(Debug)]
pub(super) struct Section<'r, 't> {
    report: &'r Report<'t>,
    table: Option<&'r DeTable<'t>>,
    span: Range<usize>,
    path: String,
    known: RefCell<Vec<&'static str>>,
}

/// A value of the file with its place.
#[derive(Debug, Clone)]
pub(super) struct Item<'r, 't> {
    report: &'r Report<'t>,
    value: &'r Spanned<DeValue<'t>>,
    /// The key with the tables it is in.
    pub(super) key: String,
}

impl<'r, 't> Section<'r, 't> {
    pub(super) fn root(report: &'r Report<'t>, document: &'r Spanned<DeTable<'t>>) -> Self {
        Self::new(report, Some(document.as_ref()), 0..0, String::new())
    }

    fn new(
        report: &'r Report<'t>,
        table: Option<&'r DeTable<'t>>,
        span: Range<usize>,
        path: String,
    ) -> Self {
        Self { report, table, span, path, known: RefCell::default() }
    }

    pub(super) fn report(&self) -> &'r Report<'t> {
        self.report
    }

    /// Where the table begins.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The table's name with those it is in.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether the file has the table.
    pub(super) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The value of a key, if it has one.
    pub(super) fn item(&self, name: &'static str) -> Option<Item<'r, 't>> {
        self.known.borrow_mut().push(name);
        let value = self.table?.get(name)?;
        Some(Item { report: self.report, value, key: self.key(name) })
    }

    /// The value of a key as `read` understands it; `default` if there is none, or none that can
    /// be used.
    pub(super) fn read<T>(
        &self,
        name: &'static str,
        default: T,
        read: impl FnOnce(&Item<'r, 't>) -> Option<T>,
    ) -> T {
        self.item(name).and_then(|item| read(&item)).unwrap_or(default)
    }

    /// The table inside this one.
    pub(super) fn section(&self, name: &'static str) -> Self {
        let table = self.item(name).and_then(|item| item.section());
        table.unwrap_or_else(|| Self::new(self.report, None, self.span(), self.key(name)))
    }

    /// All entries of a table whose keys are chosen by the user.
    pub(super) fn entries(&self) -> Vec<(&'r str, Item<'r, 't>)> {
        let entries = self.table.into_iter().flat_map(DeTable::iter);
        entries
            .map(|(name, value)| {
                let name: &'r str = name.as_ref();
                (name, Item { report: self.report, value, key: self.key(name) })
            })
            .collect()
    }

    /// Reports every key that was not asked for.
    pub(super) fn finish(&self) {
        let known = self.known.borrow();
        let unknown = self.table.into_iter().flat_map(DeTable::keys);
        for key in unknown.filter(|key| !known.contains(&key.as_ref().as_ref())) {
            let allowed = format!("one of {}", known.join(", "));
            self.report.error(key.span(), &self.key(key.as_ref()), "an unknown key", &allowed);
        }
    }
}

impl<'r, 't> Item<'r, 't> {
    pub(super) fn span(&self) -> Range<usize> {
        self.value.span()
    }

    /// Reports the value and gives nothing.
    pub(super) fn refuse<T>(&self, allowed: &str) -> Option<T> {
        self.report.error(self.span(), &self.key, &self.found(), allowed);
        None
    }

    /// Reports the value, with a remark about it, and gives nothing.
    pub(super) fn refuse_since<T>(&self, remark: &str, allowed: &str) -> Option<T> {
        let found = format!("{}, {remark}", self.found());
        self.report.error(self.span(), &self.key, &found, allowed);
        None
    }

    pub(super) fn warn(&self, message: &str) {
        self.report.warning(self.span(), &self.key, message);
    }

    /// The value as a message shows it: long ones are cut.
    fn found(&self) -> String {
        match self.value.as_ref() {
            DeValue::String(text) if text.chars().count() > 60 => {
                format!("{:?}…", text.chars().take(60).collect::<String>())
            }
            DeValue::String(text) => format!("{text:?}"),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
            DeValue::Integer(_) => "an integer".to_owned(),
            DeValue::Float(number) => number.as_str().to_owned(),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Datetime(_) => "a date or time".to_owned(),
            DeValue::Array(array) if array.is_empty() => "an empty array".to_owned(),
            DeValue::Array(_) => "an array".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        }
    }

    /// The value as a table.
    pub(super) fn section(&self) -> Option<Section<'r, 't>> {
        match self.value.as_ref() {
            DeValue::Table(table) => {
                Some(Section::new(self.report, Some(table), self.span(), self.key.clone()))
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => self.refuse("a table"),
        }
    }

    /// The elements of an array.
    pub(super) fn elements(&self, allowed: &str) -> Option<Vec<Self>> {
        let Some(array) = self.value.as_ref().as_array() else {
            return self.refuse(allowed);
        };
        let element = |(index, value): (usize, &'r Spanned<DeValue<'t>>)| Self {
            report: self.report,
            value,
            key: format!("{}[{index}]", self.key),
        };
        Some(array.iter().enumerate().map(element).collect())
    }

    /// An array of texts, each of which `check` accepts, and no two of them equal. What is wrong is
    /// reported and left out.
    pub(super) fn texts(
        &self,
        allowed: &str,
        check: impl Fn(&str) -> bool,
    ) -> Option<Vec<(String, Self)>> {
        let mut texts: Vec<(String, Self)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for element in self.elements(&format!("an array, each {allowed}"))? {
            let Some(text) = element.text(allowed) else { continue };
            if !check(text) {
                element.refuse::<()>(allowed);
            } else if !seen.insert(text.to_owned()) {
                element.refuse_since::<()>("which came before", "each one once");
            } else {
                texts.push((text.to_owned(), element));
            }
        }
        Some(texts)
    }

    pub(super) fn text(&self, allowed: &str) -> Option<&'r str> {
        self.value.as_ref().as_str().or_else(|| self.refuse(allowed))
    }

    pub(super) fn non_empty_text(&self) -> Option<String> {
        const ALLOWED: &str = "a text that is not empty";
        let text = self.text(ALLOWED)?;
        if text.is_empty() { self.refuse(ALLOWED) } else { Some(text.to_owned()) }
    }

    pub(super) fn bool(&self) -> Option<bool> {
        self.value.as_ref().as_bool().or_else(|| self.refuse("true or false"))
    }

    /// One of a few names.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.value.as_ref().as_str();
        let chosen = choices.iter().find(|(name, _)| Some(*name) == text);
        chosen.map(|(_, value)| *value).or_else(|| {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
            self.refuse(&names.join(", "))
        })
    }

    fn integer(&self) -> Option<i128> {
        let number = self.value.as_ref().as_integer()?;
        i128::from_str_radix(number.as_str(), number.radix()).ok()
    }

    /// An integer inside a range.
    pub(super) fn int<T>(&self, range: RangeInclusive<T>) -> Option<T>
    where
        T: Copy + PartialOrd + TryFrom<i128> + core::fmt::Display,
    {
        let value = self.integer().and_then(|number| T::try_from(number).ok());
        value.filter(|value| range.contains(value)).or_else(|| {
            self.refuse(&format!("an integer from {} to {}", range.start(), range.end()))
        })
    }

    /// A number from 0 to 1, in thousandths.
    pub(super) fn permille(&self) -> Option<u16> {
        let text = match self.value.as_ref() {
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) => number.as_str(),
            DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => "",
        };
        let number = text.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
        match number {
            // In the range of the target: at most 1,000.
            Some(number) => Some((number * 1000.0).round() as u16),
            None => self.refuse("a number from 0 to 1"),
        }
    }

    /// A duration inside a range.
    pub(super) fn duration(&self, min: Duration) -> Option<Duration> {
        let zero = self.integer() == Some(0);
        let text = if zero { Some("0") } else { self.value.as_ref().as_str() };
        let Some(duration) = text.and_then(units::duration) else {
            return self.refuse(DURATION_FORM);
        };
        if duration < min {
            return self.refuse(&format!("{DURATION_FORM}, at least {min:?}"));
        }
        if duration > DURATION_MAX {
            return self.refuse(&format!("{DURATION_FORM}, at most 720h"));
        }
        Some(duration)
    }

    /// A size in bytes inside a range.
    pub(super) fn size(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let size = match self.value.as_ref().as_str() {
            Some(text) => units::size(text),
            None => self.integer().and_then(|number| u64::try_from(number).ok()),
        };
        size.filter(|size| range.contains(size)).or_else(|| {
            let (min, max) = (units::show_size(*range.start()), units::show_size(*range.end()));
            self.refuse(&format!("{SIZE_FORM}, from {min} to {max}"))
        })
    }

    /// A size that fits 32 bits.
    pub(super) fn size32(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let size = self.size(u64::from(*range.start())..=u64::from(*range.end()))?;
        u32::try_from(size).ok()
    }

    /// A path; a relative one is relative to the folder of the file.
    pub(super) fn path(&self) -> Option<PathBuf> {
        self.non_empty_text().map(|text| self.relative(&text))
    }

    /// A path that is part of the value.
    pub(super) fn relative(&self, path: &str) -> PathBuf {
        self.report.folder().join(path)
    }

    /// Whether the value is this text.
    pub(super) fn is_text(&self, text: &str) -> bool {
        self.value.as_ref().as_str() == Some(text)
    }

    /// Whether the value is an array.
    pub(super) fn is_array(&self) -> bool {
        self.value.as_ref().is_array()
    }
}

//! What the fronts of one core have in common.

use forebay_core_http1::{Template, UsageError};
use forebay_core_route::Table;

/// What a front has to know of the configuration and of the moment.
#[derive(Debug)]
pub struct Site<'s, S, T> {
    /// The routes.
    pub routes: &'s Table<S, T>,
    /// For each service, in the order of the routes, whether the namespace has a worker for it.
    pub deployed: &'s [bool],
    /// The environment in lower case.
    pub environment: &'s str,
    /// Whether the environment has a namespace. Without one every request is answered with row 3.
    pub has_namespace: bool,
    /// Whether clients may read why a call failed.
    pub expose_errors: bool,
    /// Counts configurations, so that what was remembered under an older one is not used.
    pub generation: u32,
    /// The current date as `Date` gives it.
    pub date: &'s [u8; 29],
    /// Heads of the usual error answers, with that date.
    pub templates: &'s Templates,
}

/// Heads of the error answers that have no field of their own.
#[derive(Debug, Clone)]
pub struct Templates {
    pub(super) not_found: Template,
    pub(super) configuration: Template,
    pub(super) internal: Template,
    pub(super) timeout: Template,
}

impl Templates {
    /// The heads with this date.
    ///
    /// # Errors
    /// None in practice: statuses and fields are constants.
    pub fn new(date: &[u8; 29]) -> Result<Self, UsageError> {
        let json = [("Content-Type", "application/json")];
        let text = [("Content-Type", "text/plain;charset=UTF-8")];
        let mut templates = Self {
            not_found: Template::new(404, &json)?,
            configuration: Template::new(500, &text)?,
            internal: Template::new(500, &json)?,
            timeout: Template::new(504, &json)?,
        };
        templates.set_date(date);
        Ok(templates)
    }

    /// Changes the date of all of them.
    pub fn set_date(&mut self, date: &[u8; 29]) {
        let Self { not_found, configuration, internal, timeout } = self;
        for template in [not_found, configuration, internal, timeout] {
            template.set_date(date);
        }
    }
}

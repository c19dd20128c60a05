//! What the gateway would do with a request, and why.

use core::fmt;

use forebay_core_http1 as http1;
use forebay_core_route::{
    BuildError, Decision, ErrorBody, Host, HostBuf, NormalPath, ServiceId, authority,
};
use forebay_core_time::Instant;
use serde::Serialize;

use crate::config::{Config, RouteTable};

/// Explains what one configuration does with requests, without a socket or a worker. The checks are
/// those of the server itself: the same machine reads the request.
#[derive(Debug)]
pub struct Explainer {
    routes: RouteTable,
    /// For each service, whether the namespace has a worker for it; none without a namespace.
    deployed: Option<Vec<bool>>,
    environment: String,
    limits: http1::Config,
}

/// A request to explain: any bytes.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "the three parts of a request that matter")]
pub struct Request<'r> {
    /// The method.
    pub method: &'r [u8],
    /// The target, as it stands in the request line.
    pub target: &'r [u8],
    /// The value of `Host`.
    pub host: &'r [u8],
}

/// What would happen to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The method, target and host that were asked about; what is no UTF-8 in them is replaced.
    pub method: String,
    /// The target.
    pub target: String,
    /// The host.
    pub host: String,
    /// `configuration`, `subdomain`, `path`, `default` or `none`; absent for a bad request.
    pub rule: Option<&'static str>,
    /// The service that the rule leads to.
    pub service: Option<String>,
    /// The path in normal form; absent for a bad request.
    pub path: Option<String>,
    /// The status of the gateway's own answer; 200 where a worker would answer.
    pub status: u16,
    /// The HTTP rule that a bad request breaks.
    pub violation: Option<&'static str>,
    /// The body of the gateway's own answer.
    pub body: Option<String>,
}

impl<'r> Request<'r> {
    /// A line `METHOD TARGET HOST`. The host is the rest of the line and may be empty.
    #[must_use]
    pub fn parse(line: &'r [u8]) -> Self {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut words = line.splitn(3, |&byte| byte == b' ');
        let mut word = || words.next().unwrap_or_default();
        Self { method: word(), target: word(), host: word() }
    }

    /// The request as a client would send it.
    fn head(&self) -> Vec<u8> {
        let parts =
            [self.method, b" ", self.target, b" HTTP/1.1\r\nHost: ", self.host, b"\r\n\r\n"];
        parts.concat()
    }

    /// Whether a part would end its line.
    fn has_line_end(&self) -> bool {
        [self.method, self.target, self.host]
            .iter()
            .any(|part| part.iter().any(|byte| b"\r\n".contains(byte)))
    }
}

impl Explainer {
    /// For requests to a gateway with this configuration.
    ///
    /// # Errors
    /// [`BuildError`] if a name is not allowed; never for a configuration that was parsed.
    pub fn new(config: &Config) -> Result<Self, BuildError> {
        let routes = config.dispatch.routes()?;
        let deployed = config.namespace().map(|namespace| {
            let deployed =
                |service: &String| namespace.workers.iter().any(|it| it.service == *service);
            config.dispatch.services.iter().map(deployed).collect()
        });
        let environment = config.environment.clone();
        Ok(Self { routes, deployed, environment, limits: config.http.limits })
    }

    /// What would happen to this request.
    #[must_use]
    pub fn explain(&self, request: &Request<'_>) -> Explanation {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let blank = Explanation {
            method: text(request.method),
            target: text(request.target),
            host: text(request.host),
            rule: None,
            service: None,
            path: None,
            status: 200,
            violation: None,
            body: None,
        };
        let input = request.head();
        let mut fields = [const { http1::FieldSlot::uninit() }; 8];
        let mut connection = http1::Connection::new(Instant::ZERO, self.limits);
        // A line end inside a part would make another request of it than the one that was asked.
        let step = match request.has_line_end() {
            true => Err(http1::PeerError::LineEnd),
            false => connection.handle_bytes(Instant::ZERO, &input, &mut fields),
        };
        let result = match step {
            Ok(http1::Step { event: Some(http1::Event::Request(head)), .. }) => {
                self.explain_head(&head, &blank)
            }
            Ok(_) => Err(http1::PeerError::RequestLine),
            Err(error) => Err(error),
        };
        result.unwrap_or_else(|error| refused(connection, error, blank))
    }

    fn explain_head(
        &self,
        head: &http1::Head<'_, '_>,
        blank: &Explanation,
    ) -> Result<Explanation, http1::PeerError> {
        let path = NormalPath::parse(head.target().path().as_bytes())
            .map_err(|_| http1::PeerError::Target)?;
        let mut buf: HostBuf = [0; _];
        let host = match head.authority() {
            Some(text) => {
                authority::parse(text, &mut buf).map_err(|_| http1::PeerError::HostSyntax)?.host
            }
            None => self.routes.home(),
        };
        let text = path.pieces().flatten().copied().collect();
        let blank = Explanation { path: String::from_utf8(text).ok(), ..blank.clone() };
        Ok(self.decide(&host, &path, blank))
    }

    fn decide(&self, host: &Host<'_>, path: &NormalPath<'_>, blank: Explanation) -> Explanation {
        let Some(deployed) = &self.deployed else {
            let blank = Explanation { rule: Some("configuration"), ..blank };
            return answered(&ErrorBody::Configuration, blank);
        };
        let decision = self.routes.decide(host, path);
        let blank = Explanation { rule: Some(decision.rule()), ..blank };
        let id: ServiceId = match decision {
            Decision::Subdomain(id) | Decision::Path(id) | Decision::Default(id) => id,
            Decision::None => return answered(&self.routes.not_found(host, path), blank),
        };
        let name = self.routes.service_name(id);
        let service = Some(String::from_utf8_lossy(name).into_owned());
        let blank = Explanation { service, ..blank };
        match deployed.get(usize::from(id.index())) {
            Some(true) => blank,
            Some(false) | None => {
                let environment = self.environment.as_bytes();
                answered(&ErrorBody::ServiceNotDeployed { service: name, environment }, blank)
            }
        }
    }
}

/// The gateway refuses the request before it looks where it should go.
fn refused(
    mut connection: http1::Connection,
    error: http1::PeerError,
    blank: Explanation,
) -> Explanation {
    if !connection.owes_refusal() {
        connection.refuse(error);
    }
    let mut answer = vec![0; 1024];
    let len = connection.write_refusal(&[b' '; 29], &mut answer).unwrap_or(0);
    answer.truncate(len);
    let head_end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let body = head_end.map(|end| String::from_utf8_lossy(&answer[end + 4..]).into_owned());
    let status = error.status().unwrap_or(400);
    Explanation { status, violation: Some(error.rule()), body, ..blank }
}

/// The gateway answers itself.
fn answered(body: &ErrorBody<'_>, blank: Explanation) -> Explanation {
    let mut bytes = vec![0; body.len()];
    // Never too small: the buffer has the length of the body.
    let _ = body.emit(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Explanation { status: body.status(), body: Some(text), ..blank }
}

impl Explanation {
    /// One line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        // Strings and numbers under text keys: nothing that JSON could not hold.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, target, host, rule, service, path, status, violation, body } = self;
        write!(f, "{method} {target} at {host}")?;
        if let Some(violation) = violation {
            write!(f, "\n  refused  by rule {violation} of HTTP")?;
        }
        if let Some(rule) = rule {
            let reason = match *rule {
                "configuration" => "the environment has no namespace",
                "subdomain" => "the host is below a zone, its first label is a service",
                "path" => "the path has a service behind the prefix",
                "default" => "the host is a zone, or its first label means the default service",
                _ => "nothing in the host or the path leads to a service",
            };
            write!(f, "\n  rule     {rule}: {reason}")?;
        }
        for (name, value) in [("service", service), ("path", path)] {
            if let Some(value) = value {
                write!(f, "\n  {name:<8} {value}")?;
            }
        }
        match body {
            Some(body) => write!(f, "\n  status   {status}\n  body     {body}"),
            None => write!(f, "\n  status   {status}, or what the worker answers"),
        }
    }
}

//! The routing tests of the dispatcher that this one follows, by their categories. Selecting an
//! environment and forwarding a request need the whole gateway: end to end, under `tests/e2e`.

use forebay_core_route::{
    ErrorBody, Failure, MultiLevel, Names, NormalPath, PathServices, Slot, Table, authority,
};

const NAMES: Names<'_> = Names {
    zones: &["do"],
    services: &["gateway", "db", "auth", "schedule", "webhooks", "email", "mcp", "queue"],
    default_service: "gateway",
    default_labels: &["api"],
    path_prefix: "/api/",
    path_services: PathServices::Listed(&["db", "auth", "schedule"]),
    multi_level: MultiLevel::Leftmost,
};

type RouteTable = Table<[Slot; 16], [u8; 256]>;

fn table() -> RouteTable {
    Table::build(&NAMES, [Slot::default(); 16], [0; 256]).expect("allowed names that fit")
}

/// The service that answers.
fn answers(host: &str, path: &str) -> String {
    let table = table();
    let mut buf = [0; _];
    let host = authority::parse(host.as_bytes(), &mut buf).expect("a host").host;
    let path = NormalPath::parse(path.as_bytes()).expect("a path");
    let service = table.decide(&host, &path).service().expect("a rule matches");
    String::from_utf8(table.service_name(service).to_vec()).expect("ASCII")
}

fn body(error: &ErrorBody<'_>) -> (u16, String) {
    let mut bytes = vec![0; error.len()];
    error.emit(&mut bytes).expect("it has that length");
    (error.status(), String::from_utf8(bytes).expect("UTF-8"))
}

mod subdomain_routing {
    use super::answers;

    #[test]
    fn gateway() {
        assert_eq!(answers("gateway.do", "/health"), "gateway");
    }

    #[test]
    fn db() {
        assert_eq!(answers("db.do", "/query"), "db");
    }

    #[test]
    fn auth() {
        assert_eq!(answers("auth.do", "/login"), "auth");
    }

    #[test]
    fn schedule() {
        assert_eq!(answers("schedule.do", "/jobs"), "schedule");
    }

    #[test]
    fn webhooks() {
        assert_eq!(answers("webhooks.do", "/stripe"), "webhooks");
    }

    #[test]
    fn email() {
        assert_eq!(answers("email.do", "/send"), "email");
    }

    #[test]
    fn mcp() {
        assert_eq!(answers("mcp.do", "/tools"), "mcp");
    }

    #[test]
    fn queue() {
        assert_eq!(answers("queue.do", "/messages"), "queue");
    }
}

mod path_routing {
    use super::answers;

    #[test]
    fn db() {
        assert_eq!(answers("api.do", "/api/db/query"), "db");
    }

    #[test]
    fn auth() {
        assert_eq!(answers("api.do", "/api/auth/login"), "auth");
    }

    #[test]
    fn schedule() {
        assert_eq!(answers("api.do", "/api/schedule/jobs"), "schedule");
    }

    #[test]
    fn no_partial_match() {
        assert_eq!(answers("api.do", "/api/notdb/something"), "gateway");
    }
}

mod default_routing {
    use super::answers;

    #[test]
    fn api_subdomain() {
        assert_eq!(answers("api.do", "/health"), "gateway");
    }

    #[test]
    fn zone_itself() {
        assert_eq!(answers("do", "/health"), "gateway");
    }
}

mod error_handling {
    use super::*;

    #[test]
    fn unknown_service_lists_the_others() {
        let table = table();
        let mut buf = [0; _];
        let host = authority::parse(b"unknown.do", &mut buf).expect("a host").host;
        let path = NormalPath::parse(b"/test").expect("a path");
        assert_eq!(table.decide(&host, &path).service(), None);
        let expected = r#"{"error":"Service not found","message":"No worker found for unknown.do/test","available_services":["gateway","db","auth","schedule","webhooks","email","mcp","queue"]}"#;
        assert_eq!(body(&table.not_found(&host, &path)), (404, expected.into()));
    }

    #[test]
    fn service_that_is_not_deployed() {
        let error = ErrorBody::ServiceNotDeployed { service: b"queue", environment: b"staging" };
        let expected = r#"{"error":"Service not deployed","message":"Worker \"queue\" not found in staging namespace","hint":"Service may not be deployed yet. Deploy via Deploy API."}"#;
        assert_eq!(body(&error), (404, expected.into()));
    }

    #[test]
    fn environment_without_namespace() {
        assert_eq!(body(&ErrorBody::Configuration), (500, "Configuration error".into()));
    }

    #[test]
    fn dispatch_failure() {
        let error = ErrorBody::Dispatch(Failure::Worker(b"Connection refused"));
        let expected = r#"{"error":"Internal server error","message":"Connection refused"}"#;
        assert_eq!(body(&error), (500, expected.into()));
    }
}

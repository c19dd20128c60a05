//! The routing decision: host checked and lowercased, path normalised, table asked.

use std::hint::black_box;

use forebay_core_route::{MultiLevel, Names, NormalPath, PathServices, Slot, Table, authority};

use super::Case;

pub type ServiceTable = Table<Vec<Slot>, Vec<u8>>;

/// Inputs of one batch.
const BATCH: usize = 256;

/// Host and path from raw bytes to a decision, with so many services.
pub struct Route {
    table: ServiceTable,
    requests: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Route {
    pub fn new(count: usize) -> Self {
        let names: Vec<String> = (0..count).map(|index| format!("service-{index:04}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let requests = (0..BATCH).map(|index| request(index, names[index * 97 % count]));
        let requests = requests.collect();
        Self { table: table(&names, PathServices::All), requests }
    }
}

/// By subdomain, by path, the default, and none, in turns.
fn request(index: usize, service: &str) -> (Vec<u8>, Vec<u8>) {
    let (host, path) = match index % 4 {
        0 => (format!("{service}.do"), format!("/query/{index:03}")),
        1 => ("api.do".to_owned(), format!("/api/{service}/items/{index:03}")),
        2 => ("api.do:8787".to_owned(), format!("/a/../health/{index:03}")),
        _ => (format!("Unknown-{index:03}.do"), format!("/x/{index:03}")),
    };
    (host.into_bytes(), path.into_bytes())
}

impl Case for Route {
    fn run(&mut self) -> usize {
        for (host, path) in &self.requests {
            let mut buf = [0; 256];
            let host = authority::parse(black_box(host), &mut buf).expect("valid").host;
            let path = NormalPath::parse(black_box(path)).expect("valid");
            black_box(self.table.decide(&host, &path));
        }
        BATCH
    }
}

/// The table of the shipped configuration.
pub fn shipped_table() -> ServiceTable {
    let names = ["gateway", "db", "auth", "schedule", "webhooks", "email", "mcp", "queue"];
    table(&names, PathServices::Listed(&["db", "auth", "schedule"]))
}

fn table(services: &[&str], path_services: PathServices<'_>) -> ServiceTable {
    let names = Names {
        zones: &["do"],
        services,
        default_service: services[0],
        default_labels: &["api"],
        path_prefix: "/api/",
        path_services,
        multi_level: MultiLevel::Leftmost,
    };
    let (slots, text) = (vec![Slot::default(); names.slot_count()], vec![0; names.text_len()]);
    Table::build(&names, slots, text).expect("the names are valid")
}

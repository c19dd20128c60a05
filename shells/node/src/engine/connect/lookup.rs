//! Names to addresses.

use core::net::{IpAddr, SocketAddr};
use std::io;

use tokio::net::lookup_host;

use crate::engine::ask::Asker;
use crate::engine::event::Question;
use crate::engine::failure::{Failure, Kind};
use crate::engine::options::ClientOptions;

/// The addresses of a host, in the order in which the system, or the caller's function, gives
/// them.
pub(super) async fn lookup(
    asker: &Asker<'_>,
    host: &str,
    port: u16,
    options: &ClientOptions,
) -> Result<Vec<SocketAddr>, Box<Failure>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    if options.asks_lookup {
        let found = asker.ask(Question::Lookup { host }).await?;
        let addresses: Vec<_> =
            found.addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        return if addresses.is_empty() { Err(Box::new(not_found(host))) } else { Ok(addresses) };
    }
    let wanted = |address: &SocketAddr| match options.family {
        4 => address.is_ipv4(),
        6 => address.is_ipv6(),
        _ => true,
    };
    match lookup_host((host, port)).await {
        Ok(found) => {
            let mut addresses: Vec<SocketAddr> = Vec::new();
            found.filter(wanted).for_each(|address| {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            });
            if addresses.is_empty() { Err(Box::new(not_found(host))) } else { Ok(addresses) }
        }
        Err(error) => Err(Box::new(failed(host, &error))),
    }
}

fn failed(host: &str, error: &io::Error) -> Failure {
    // The standard library gives the system's number as text alone.
    if error.to_string().contains("emporary failure") {
        let failure = Failure::new(Kind::System).with_code("EAI_AGAIN");
        return Failure { errno: -3001, ..about(host, failure) };
    }
    not_found(host)
}

fn not_found(host: &str) -> Failure {
    let failure = Failure::new(Kind::System).with_code("ENOTFOUND");
    Failure { errno: -3008, ..about(host, failure) }
}

fn about(host: &str, failure: Failure) -> Failure {
    Failure { syscall: "getaddrinfo", address: host.to_owned().into(), ..failure }
}

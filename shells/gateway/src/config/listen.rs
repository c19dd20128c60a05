//! Where the gateway listens, and what one connection may do.

use core::net::SocketAddr;
use core::ops::RangeInclusive;
use core::time::Duration;

use super::reader::{Item, Section};
use super::{AdminBind, HttpConfig};

/// The shortest time that a limit may be: the resolution of timers.
const TIME_MIN: Duration = Duration::from_millis(10);
/// Bytes of a request line or of all field lines.
const HEAD_LEN: RangeInclusive<u32> = 256..=1 << 20;
/// Field lines. The head machine keeps one bit for each.
const FIELD_COUNT: RangeInclusive<u8> = 1..=128;
/// Connections over all cores.
const CONNECTIONS: RangeInclusive<u32> = 1..=1_000_000;
/// Addresses of one listener.
const BIND_COUNT_MAX: usize = 64;

const ADDRESS_FORM: &str = "an IP address and a port, such as \"127.0.0.1:8787\" or \"[::1]:8787\"";
const ADMIN_FORM: &str =
    "\"unix:\" and a path, or a loopback address and a port together with token_file";

/// The HTTP/1.1 listeners and the addresses of HBTP.
pub(super) fn read(section: &Section<'_, '_>) -> (HttpConfig, Vec<SocketAddr>) {
    let http = http(&section.section("http"));
    let hbtp = section.section("hbtp");
    let hbtp_bind = hbtp.read("bind", vec![], |item| addresses(item));
    hbtp.finish();
    if hbtp.is_present() {
        let message = "HBTP is not served in this version: nothing listens there";
        hbtp.report().warning(hbtp.span(), hbtp.path(), message);
    }
    section.finish();
    (http, hbtp_bind)
}

fn http(section: &Section<'_, '_>) -> HttpConfig {
    let bind = vec![SocketAddr::from(([127, 0, 0, 1], 8787))];
    let bind = section.read("bind", bind, |item| addresses(item));
    let mut limits = forebay_core_http1::Config::new();
    for (name, value) in [
        ("header_timeout", &mut limits.header_timeout_ms),
        ("idle_timeout", &mut limits.idle_timeout_ms),
        ("body_timeout", &mut limits.body_timeout_ms),
    ] {
        *value = section.read(name, *value, |item| item.duration(TIME_MIN).map(millis));
    }
    limits.half_close_grace_ms =
        section.read("half_close_grace", limits.half_close_grace_ms, |item| match item {
            item if item.is_text("never") => Some(u32::MAX),
            item => item.duration(Duration::ZERO).map(millis),
        });
    limits.fields_len = section.read("max_head", limits.fields_len, |item| item.size32(HEAD_LEN));
    limits.request_line_len =
        section.read("max_target", limits.request_line_len, |item| item.size32(HEAD_LEN));
    limits.field_count =
        section.read("max_fields", limits.field_count, |item| item.int(FIELD_COUNT));
    limits.body_len = section.read("max_body", limits.body_len, |item| {
        let len = item.size(0..=u64::MAX)?;
        Some(if len == 0 { u64::MAX } else { len })
    });
    let max_connections = section.read("max_connections", 10_000, |item| item.int(CONNECTIONS));
    section.finish();
    HttpConfig { bind, limits, max_connections }
}

/// Whole milliseconds, rounded up so that no time becomes "none".
fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(u32::MAX - 1)
}

fn addresses(item: &Item<'_, '_>) -> Option<Vec<SocketAddr>> {
    let form = format!("an array of 1 to {BIND_COUNT_MAX} addresses, each {ADDRESS_FORM}");
    let count = item.elements(&form)?.len();
    if !(1..=BIND_COUNT_MAX).contains(&count) {
        return item.refuse_since(&format!("with {count} elements"), &form);
    }
    let texts = item.texts(ADDRESS_FORM, |text| text.parse::<SocketAddr>().is_ok())?;
    Some(texts.iter().filter_map(|(text, _)| text.parse().ok()).collect())
}

/// The admin interface, if the file has one.
pub(super) fn admin(section: &Section<'_, '_>) -> Option<AdminBind> {
    let token_file = section.item("token_file").and_then(|item| item.path());
    let bind = section.item("bind").and_then(|item| {
        let text = item.text(ADMIN_FORM)?;
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Some(AdminBind::Unix(item.relative(path)));
        }
        let addr = text.parse::<SocketAddr>().ok().filter(|addr| addr.ip().is_loopback());
        match (addr, token_file) {
            (Some(addr), Some(token_file)) => Some(AdminBind::Loopback { addr, token_file }),
            (Some(_), None) | (None, _) => item.refuse(ADMIN_FORM),
        }
    });
    section.finish();
    if section.is_present() {
        let message = "there is no admin interface in this version: nothing listens there";
        section.report().warning(section.span(), section.path(), message);
    }
    bind
}

//! A head borrows the bytes it was read from: they cannot change while it is in use.

use forebay_core_http1::{Config, Connection, Event, FieldSlot};
use forebay_core_time::Instant;

fn main() {
    let now = Instant::from_millis(1);
    let mut input = *b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut connection = Connection::new(now, Config::default());
    let mut fields = [const { FieldSlot::uninit() }; 8];
    let step = connection.handle_bytes(now, &input, &mut fields).expect("a head");
    input[0] = b'P'; //~ E0506
    if let Some(Event::Request(head)) = step.event {
        assert_eq!(head.method(), "GET");
    }
}

//! Control lines: however they are cut, and what was read is written and read again.
#![no_main]

use forebay_core_procwire::control::{LineSplitter, Message, MethodDecl, write_error, write_init};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (bytes, pieces) = forebay_fuzz::cut(data);
    let whole = lines(&[bytes]);
    assert_eq!(lines(&pieces), whole);
    for line in whole.iter().flatten() {
        read(line);
    }
});

/// The lines up to one that is too long.
fn lines(pieces: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
    let mut splitter = LineSplitter::new([0; 512]);
    let mut found = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        loop {
            let Ok(step) = splitter.handle_bytes(input) else {
                found.push(None);
                return found;
            };
            let Some(line) = step.line else { break };
            assert_eq!(line.first(), Some(&b'{'));
            found.push(Some(line.to_vec()));
            input = &input[step.used..];
        }
    }
    found.extend(splitter.handle_eof().map(|line| Some(line.to_vec())));
    found
}

fn read(line: &[u8]) {
    let mut out = vec![0; 8192];
    match Message::parse(line) {
        Some(Message::Init(Ok(init))) => {
            let names: Vec<_> = init.methods().map(|method| method.name.to_string()).collect();
            let methods = init.methods().zip(&names).map(|(method, name)| MethodDecl {
                name,
                id: method.id,
                response: method.response,
            });
            let pipe = init.pipe().to_string();
            let len = write_init(&mut out, &pipe, methods, []).expect("it fits");
            let Some(Message::Init(Ok(again))) = Message::parse(&out[..len - 1]) else {
                panic!("what was written is not read")
            };
            assert!(again.pipe() == *pipe.as_str());
            assert!(
                again
                    .methods()
                    .map(|m| (m.id, m.response))
                    .eq(init.methods().map(|m| (m.id, m.response)))
            );
        }
        Some(Message::Error(Some(text))) => {
            let text = text.to_string();
            let len = write_error(&mut out, &text).expect("it fits");
            let again = Message::parse(&out[..len - 1]);
            assert!(matches!(again, Some(Message::Error(Some(found))) if found == *text.as_str()));
        }
        Some(Message::Init(Err(_)) | Message::Error(None)) | None => {}
        Some(Message::Ping | Message::Pong | Message::Shutdown) => {}
    }
}

//! Responses: their forms, their order, and what is neither.

use super::*;

fn waiting(init: &str) -> (Bench, InstanceId, RequestId) {
    let mut bench = Bench::new(CONFIG);
    bench.call(1).unwrap();
    let instance = bench.ready(init);
    let request = bench.take_call(instance);
    bench.actions();
    (bench, instance, request)
}

/// What was told, with pieces of bodies joined.
fn joined(told: Vec<Told>) -> Vec<Told> {
    let mut out: Vec<Told> = Vec::new();
    for one in told {
        match (out.last_mut(), one) {
            (Some(Told::Head { body, last, .. }), Told::Body { bytes, last: ends, .. }) => {
                body.extend(bytes);
                *last |= ends;
            }
            (_, one) => out.push(one),
        }
    }
    out
}

/// One line of the vectors: name, response type, frames, what is told.
struct Vector {
    name: &'static str,
    init: &'static str,
    bytes: Vec<u8>,
    told: &'static str,
}

fn vectors() -> Vec<Vector> {
    let lines = include_str!("../../../../../tests/vectors/dispatch/responses.tsv").lines();
    let vector = |line: &'static str| {
        let [name, kind, frames, told] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("four columns: {line}")
        };
        let request = RequestId::new(1).unwrap();
        let one = |text: &str| {
            let (flags, payload) = text.split_once(':').expect("flags and payload");
            let flags = Flags::new(hex(flags)[0]).expect("flags");
            frame(request, flags, &hex(payload))
        };
        let bytes = frames.split(' ').flat_map(one).collect();
        Vector { name, init: if kind == "result" { RESULT_INIT } else { INIT }, bytes, told }
    };
    lines.filter(|line| !line.starts_with('#')).map(vector).collect()
}

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// In the words of the vectors.
fn words(told: &[Told]) -> String {
    let mut words = Vec::new();
    for one in told {
        match one {
            Told::Informational { fields, .. } => words.push(std::format!("info 103{fields}")),
            Told::Head { status, fields, length, body, last, .. } => {
                words.push(std::format!("head {status}{fields}"));
                words.extend(length.map(|length| std::format!("length={length}")));
                let body: String = body.iter().map(|byte| std::format!("{byte:02x}")).collect();
                words.push(std::format!("body={body}"));
                words.extend(last.then(|| "end".into()));
            }
            Told::Body { last: true, .. } => words.push("end".into()),
            Told::Body { .. } => panic!("a body without a head"),
            Told::Trailers { fields, .. } => words.push(std::format!("trailers{fields}")),
            Told::Refused { refusal: Refusal::WorkerError, detail, .. } => {
                words.push(std::format!("refused error {detail}").trim_end().into());
            }
            Told::Refused { .. } => words.push("refused invalid".into()),
            Told::Broken(_) => words.push("broken".into()),
        }
    }
    words.join(" ")
}

/// dispatch 6 and 7.4: forms, order and violations; whole, at every cut, in single bytes.
#[test]
fn the_vectors_mean_the_same_however_they_are_cut() {
    for Vector { name, init, bytes, told } in vectors() {
        let run = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let (mut bench, instance, _) = waiting(init);
            let events = pieces.flat_map(|piece| bench.receive(instance, piece)).collect();
            while bench.transmit(instance).is_some() {}
            assert_eq!(bench.home.call_count(), 0, "{name}");
            words(&joined(events))
        };
        assert_eq!(run(&mut [&bytes[..]].into_iter()), told, "{name}");
        assert_eq!(run(&mut bytes.chunks(1)), told, "{name} in single bytes");
        for cut in 1..bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(run(&mut [head, tail].into_iter()), told, "{name} cut at {cut}");
        }
    }
}

#[test]
fn a_complete_frame_tells_its_length_however_it_is_cut() {
    let (_, _, request) = waiting(INIT);
    let bytes = frame(request, Flags::RESULT, &map(200, &[("a", "b")], Some(&[5; 300])));
    for cut in 1..bytes.len() {
        let (mut bench, instance, _) = waiting(INIT);
        let mut told = bench.receive(instance, &bytes[..cut]);
        told.extend(bench.receive(instance, &bytes[cut..]));
        let body = vec![5; 300];
        let expected = Told::Head {
            origin: 1,
            status: 200,
            fields: " a=b".into(),
            length: Some(300),
            body,
            last: true,
        };
        assert_eq!(joined(told), [expected], "cut at {cut}");
    }
}

#[test]
fn a_worker_error_is_told_in_its_own_words() {
    let cases: [(&[u8], &str); 6] = [
        (b"\xa4boom", "boom"),
        (b"\x82\xa4code\x07\xa7message\xa4boom", "boom"),
        (b"\x81\xa4code\x07", ""),
        (b"\xc0", ""),
        (b"", ""),
        (b"\xc1", ""),
    ];
    for (payload, detail) in cases {
        for flags in [Flags::ERROR, Flags::STREAM_ERROR] {
            for cut in 0..payload.len() {
                let (mut bench, instance, request) = waiting(INIT);
                let bytes = frame(request, flags, payload);
                let (head, tail) = bytes.split_at(HEADER_LEN + cut);
                let mut told = bench.receive(instance, head);
                told.extend(bench.receive(instance, tail));
                let refusal = Refusal::WorkerError;
                assert_eq!(told, [Told::Refused { origin: 1, refusal, detail: detail.into() }]);
                assert_eq!(bench.status().violations, 0);
            }
        }
    }
}

#[test]
fn an_error_behind_the_head_breaks_the_response_off() {
    let (mut bench, instance, request) = waiting(INIT);
    bench.respond(instance, request, Flags::CHUNK, &map(200, &[], None));
    let told = bench.respond(instance, request, Flags::STREAM_ERROR, b"\xa1x");
    assert_eq!(told, [Told::Broken(1)]);
    assert_eq!(bench.transmit(instance), None, "the worker ended it itself");
}

/// dispatch 6 and 7.4: limits that would make vectors long.
#[test]
fn a_head_beyond_its_limits_is_a_violation() {
    let long = "v".repeat(33 << 10);
    let many: Vec<(&str, &str)> = vec![("a", "b"); 97];
    for payload in [map(200, &[("a", &long)], None), map(200, &many, None)] {
        for piece in [1, 1000, usize::MAX] {
            let (mut bench, instance, request) = waiting(INIT);
            let bytes = frame(request, Flags::CHUNK, &payload);
            let told = bytes.chunks(piece).flat_map(|piece| bench.receive(instance, piece));
            assert_eq!(words(&told.collect::<Vec<_>>()), "refused invalid");
            assert_eq!(bench.status().violations, 1);
            assert_eq!(bench.transmit(instance).unwrap().id, WireId::ABORT);
        }
    }
    let (mut bench, instance, request) = waiting(INIT);
    let told = bench.respond(instance, request, Flags::RESULT, &map(200, &many[..96], None));
    assert!(matches!(told[..], [Told::Head { .. }]));
}

/// procwire 4.4: a header that breaks the protocol costs the connection.
#[test]
fn a_frame_over_the_limit_breaks_the_connection() {
    let (mut bench, instance, request) = waiting(INIT);
    bench.home.handle_sent(instance, 1);
    let header = Header {
        id: WireId::new(1).unwrap(),
        flags: Flags::RESULT,
        request: Some(request),
        payload_len: CONFIG.max_frame + 1,
    };
    assert_eq!(bench.receive(instance, &header.emit()), []);
    let actions = bench.actions();
    assert!(actions.contains(&Action::Disconnect { instance }), "{actions:?}");
    assert!(actions.contains(&Action::Kill { instance, signal: Signal::Kill }), "{actions:?}");
    assert_eq!(answered(&actions), [(1, Refusal::Exited)]);
}

/// dispatch 7.4: three violations in 60 s cost the instance its place.
#[test]
fn three_violations_recycle_the_instance() {
    let mut bench = Bench::new(CONFIG);
    bench.call(0).unwrap();
    let instance = bench.ready(INIT);
    for gap in [0, 30_000, 40_000, 10_000] {
        bench.pass(gap);
        if gap > 0 {
            bench.call(1).unwrap();
        }
        let request = bench.take_call(instance);
        bench.actions();
        bench.respond(instance, request, Flags::END, b"");
        let spawns = bench.actions().iter().any(|action| matches!(action, Action::Spawn { .. }));
        assert_eq!(spawns, gap == 10_000, "after {gap}");
        while bench.transmit(instance).is_some() {}
    }
}

//! Every way to answer, and every way not to.

use forebay_core_procwire::ResponseKind;
use forebay_tests::parent::Of;

use crate::{assert_fails, event, message, on_each_runtime, text, until_waiting};

const NIL: &[u8] = &[0xC0];

#[test]
fn results_come_back() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        assert_eq!(parent.ask("echo", &text("hello")), (ResponseKind::Result, text("hello")));
        assert_eq!(parent.ask("through_context", &[7]), (ResponseKind::Result, vec![7]));
        assert_eq!(
            parent.ask("echo_raw", b"\x00\xFF"),
            (ResponseKind::Result, b"\x00\xFF".to_vec())
        );
        assert_eq!(parent.ask("echo_raw", b""), (ResponseKind::Result, Vec::new()));
        assert_eq!(parent.ask("later", &[20]), (ResponseKind::Result, text("later")));
        // An empty payload would be no value to a parent that speaks MessagePack.
        assert_eq!(parent.ask("null", NIL), (ResponseKind::Result, NIL.to_vec()));
    });
}

/// Whole in one read, cut by the end of a read, read into its own memory.
#[test]
fn payloads_of_any_length_come_back() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        for len in [1, 8191, 8192, 65_525, 65_536, 65_537, 1 << 20, 10 << 20] {
            let payload: Vec<u8> =
                (0..len).map(|i: u32| i.to_le_bytes()[0] ^ i.to_le_bytes()[1]).collect();
            for method in ["echo_raw", "pieces"] {
                let (kind, echoed) = parent.ask(method, &payload);
                assert_eq!(kind, ResponseKind::Result);
                assert!(echoed == payload, "{method}: {len} bytes came back changed");
            }
        }
    });
}

/// Types with a `Buffer`, a `Date`, an integer for a float and a float for an integer.
#[test]
fn javascript_values_fit_rust_types() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let person = [
            b"\x88\xA4name\xA3Ada\xA3age\xCB\x40\x42\x00\x00\x00\x00\x00\x00\xA6height\x02"
                .as_slice(),
            b"\xA4born\xD7\x02\x42\x78\xBC\xFE\x56\x80\x00\x00\xA5photo\xC7\x03\x01\x01\x02\x03",
            b"\xA4tags\x91\xA1x\xA6scores\x81\xA17\x01\xA5other\xC0",
        ]
        .concat();
        let expected = [
            b"\x88\xA4name\xA3Ada\xA3age\x24\xA6height\x02".as_slice(),
            b"\xA4born\xD6\xFF\x65\x53\xF1\x00\xA5photo\xC4\x03\x01\x02\x03\xA4nick\xC0",
            b"\xA4tags\x91\xA1x\xA6scores\x81\x07\x01",
        ]
        .concat();
        assert_eq!(parent.ask("person", &person), (ResponseKind::Result, expected));
    });
}

#[test]
fn streams_end_once() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        for method in ["count", "counted"] {
            let request = parent.call(method, &[3]);
            for n in 0..3 {
                assert_eq!(parent.answer(request), (ResponseKind::Chunk, vec![n]));
            }
            assert_eq!(parent.answer(request), (ResponseKind::End, Vec::new()));
        }
        let request = parent.call("count", &[0]);
        assert_eq!(parent.answer(request), (ResponseKind::End, Vec::new()));
    });
}

#[test]
fn acks_are_never_empty() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        for method in ["ack_empty", "ack_late"] {
            assert_eq!(parent.ask(method, &[1]), (ResponseKind::Ack, NIL.to_vec()));
        }
        assert_eq!(parent.ask("ack_data", &[5]), (ResponseKind::Ack, vec![5]));
    });
}

#[test]
fn methods_without_an_answer_emit_events() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        parent.notice("note", &text("seen"));
        assert_eq!(event(&mut parent, "progress"), text("seen"));
        parent.notice("note_raw", b"raw");
        assert_eq!(event(&mut parent, "raw_progress"), b"raw");
        parent.notice("unknown_event", NIL);
        assert_eq!(
            event(&mut parent, "progress"),
            [b"\x81\xA3Err".to_vec(), text("unknown event")].concat()
        );
    });
}

#[test]
fn failures_are_error_answers() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        assert_fails(&mut parent, "fail", &text("boom"), "boom");
        let (kind, payload) = parent.ask("fail_structured", &[42]);
        assert_eq!(kind, ResponseKind::Error);
        assert_eq!(payload, b"\x82\xA4code\x2A\xA7message\xA3bad");
        assert_fails(&mut parent, "panic", NIL, "the handler panicked");
        assert_fails(&mut parent, "panic_at_once", NIL, "the handler panicked");
        assert_fails(&mut parent, "forget", NIL, "the handler ended without answering it");
    });
}

#[test]
fn a_stream_that_fails_says_so_as_a_stream() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        for (method, expected) in [("fail_midway", "mid"), ("panic_midway", "the handler panicked")]
        {
            let request = parent.call(method, NIL);
            assert_eq!(parent.answer(request), (ResponseKind::Chunk, vec![1]));
            let (kind, payload) = parent.answer(request);
            assert_eq!((kind, message(&payload)), (ResponseKind::StreamError, expected));
        }
    });
}

/// The npm child would die of it.
#[test]
fn undecodable_input_is_an_error_answer() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        for payload in [
            b"".as_slice(),
            b"\xC1",
            b"\xC0\xC0",
            b"\x93",
            b"\xDD\xFF\xFF\xFF\xFF",
            b"\xA5no",
            b"\x81\xC3\x01",
        ] {
            let (kind, answer) = parent.ask("echo", payload);
            assert_eq!(kind, ResponseKind::Error, "{payload:?}");
            assert!(message(&answer).starts_with("invalid payload"), "{}", message(&answer));
        }
        let deep = [vec![0x91; 200], vec![0xC0]].concat();
        assert_eq!(parent.ask("echo", &deep).0, ResponseKind::Error);
        let (kind, answer) = parent.ask("count", &text("three"));
        assert_eq!(kind, ResponseKind::StreamError);
        assert!(message(&answer).contains("invalid type"), "{}", message(&answer));
        assert_eq!(parent.ask("echo", &[1]), (ResponseKind::Result, vec![1]));
    });
}

#[test]
fn only_one_final_frame_leaves() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        assert_eq!(parent.ask("twice", NIL), (ResponseKind::Result, text("first")));
        let expected = [b"\x81\xA3Err\xBD".as_slice(), b"the response was already sent"].concat();
        assert_eq!(event(&mut parent, "progress"), expected);
        // Whatever comes next is an answer to the next request.
        assert_eq!(parent.ask("echo", &[2]), (ResponseKind::Result, vec![2]));
    });
}

#[test]
fn an_unknown_method_is_answered() {
    on_each_runtime(|start| {
        use std::io::Write;

        let mut parent = start(&[]);
        // A request that was sent through the session, so that the answer finds it.
        let request = parent.call("park", NIL);
        let mut frame = b"\x00\x63\x00\x00\x00\x00\x00\x00\x00\x00\x00".to_vec();
        frame[3..7].copy_from_slice(&request.to_be_bytes());
        parent.socket.write_all(&frame).expect("the worker reads");
        let (kind, payload) = parent.answer(request);
        assert_eq!((kind, message(&payload)), (ResponseKind::Error, "Unknown method ID: 99"));
    });
}

#[test]
fn an_abort_cancels_its_request_only() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let (first, second) = (parent.call("park", NIL), parent.call("park", NIL));
        parent.abort(first);
        forebay_tests::until("the handler is told", forebay_tests::parent::PATIENCE, || {
            (parent.ask("cancelled", NIL).1 == [1]).then_some(())
        });
        until_waiting(&mut parent, 1);
        parent.ask("release", NIL);
        assert_eq!(parent.answer(second), (ResponseKind::Result, text("released")));
    });
}

#[test]
fn many_requests_may_wait() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let parked: Vec<u32> = (0..1000).map(|_| parent.call("park", NIL)).collect();
        until_waiting(&mut parent, 1000);
        parent.ask("release", NIL);
        let mut open: std::collections::HashSet<u32> = parked.into_iter().collect();
        while !open.is_empty() {
            let Of::Request(id, kind) = parent.receive().source else {
                panic!("no event was asked for")
            };
            assert_eq!(kind, ResponseKind::Result);
            assert!(open.remove(&id), "answered twice");
        }
    });
}

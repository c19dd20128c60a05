//! Any order of events: credit that the two ends agree on, and an exchange that ends once.
#![no_main]

use forebay_core_flow::{Credit, CreditWindow, Exchange, Watermark};

libfuzzer_sys::fuzz_target!(|data: (u16, Vec<(u8, u16)>)| {
    let (window, ops) = data;
    let mut credit = Credit::new(window.into());
    let mut receiver = CreditWindow::new(window.into(), 0);
    let mut mark = Watermark::new(u64::from(window) / 2, u64::from(window) / 4);
    let mut exchange = Exchange::new();
    let mut ends = 0;
    for (op, amount) in ops {
        let end = match op % 8 {
            0 => {
                let sent = credit.spend_up_to(amount.into());
                receiver.handle_received(sent).expect("credit covers it");
                mark.add(sent);
                None
            }
            1 => {
                let drained = receiver.held().min(amount.into());
                let grant = receiver.handle_drained(drained).expect("it is held");
                credit.grant(grant.unwrap_or(0)).expect("never more than a window");
                mark.remove(drained);
                None
            }
            2 => exchange.handle_request_end().unwrap_or(None),
            3 => exchange.handle_response_head().map_or(None, |()| None),
            4 => exchange.handle_response_end().unwrap_or(None),
            5 => exchange.abort(),
            6 => exchange.handle_request_part().map_or(None, |()| None),
            _ => exchange.handle_response_part().map_or(None, |()| None),
        };
        ends += u32::from(end.is_some());
        assert_eq!(ends, u32::from(exchange.end().is_some()));
        assert_eq!(credit.available(), receiver.room());
        assert_eq!(mark.level(), receiver.held());
        assert!(window == 0 || receiver.held() > 0 || credit.available() > 0, "stalled");
    }
});

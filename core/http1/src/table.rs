//! How a transition table is written: as rows, which become a function and a list.

macro_rules! table {
    ($next:ident, $rows:ident, $machine:ident: $($from:ident, $cause:ident => $to:ident;)*) => {
        const fn $next(state: $machine, cause: Cause) -> Option<$machine> {
            match (state, cause) {
                $(($machine::$from, Cause::$cause) => Some($machine::$to),)*
                _ => None,
            }
        }

        const $rows: &[crate::Transition] = &[$(crate::Transition {
            machine: stringify!($machine),
            from: stringify!($from),
            cause: stringify!($cause),
            to: stringify!($to),
        }),*];
    };
}

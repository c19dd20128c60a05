//! One suite for every backend: what an operation promises does not depend on what runs it.
//!
//! Each test runs on epoll, on io_uring as the kernel has it, and on io_uring held at each lower
//! tier. Where io_uring does not work, its rows say so and why, and pass.

mod bench;
mod buffers;
mod cancel;
mod life;
mod receive;
mod remote;
mod send;

use bench::Bench;
use forebay_reactor::{Backend, Config, Tier};

/// Makes a module of all tests for one configuration.
macro_rules! suite {
    ($($backend:ident = $config:expr;)*) => { $(
        mod $backend {
            use super::*;

            fn config() -> Config {
                $config
            }

            tests! {
                life: accepts_and_echoes, five_hundred_connections, half_close_is_a_read_of_zero,
                    reset_is_seen_while_not_reading, both_directions_gone_is_seen_while_not_reading,
                    half_close_is_no_hang_up, closing_ends_what_runs,
                    stale_handles_and_operations_name_nothing, connects_to_a_unix_socket,
                    the_operation_table_has_an_end, handles_not_taken_are_closed,
                    dropping_a_busy_reactor_closes_everything, a_child_is_seen_through_its_pipe,
                    backend_tells_what_it_is;
                receive: stopping_and_starting_again_loses_nothing,
                    a_receive_behind_another_waits_for_it, bulk_buffers_take_large_reads,
                    a_single_receive_ends_with_its_bytes, single_receives_wait_side_by_side,
                    a_burst_on_many_sockets_keeps_no_buffers,
                    a_pipe_is_received_like_a_socket,
                    an_empty_pool_ends_receives_until_buffers_return,
                    buffers_of_another_thread_wake_the_reactor,
                    pipelined_bytes_before_a_reset_arrive;
                send: every_piece_arrives_although_the_reader_is_slow, sends_keep_their_order,
                    many_pieces_in_one_send, a_send_to_nobody_fails_with_its_count,
                    bad_lists_are_refused_and_come_back, a_buffer_goes_to_several_sockets,
                    a_peer_that_reads_wakes_nobody, a_full_socket_is_writable_again;
                cancel: a_receive, an_accept, a_send_that_is_stuck, an_operation_in_the_queue,
                    a_poll, what_has_ended, deadlines_cancel, timeouts_fire;
                remote: wakes_a_sleeping_reactor, messages_arrive_in_order_from_many_threads,
                    a_full_inbox_says_so, a_gone_reactor_says_so, spinning_finds_messages;
                buffers: loans_end_on_any_thread, loans_outlive_the_reactor,
                    memory_is_bounded_by_the_configuration, nothing_is_lost_in_a_long_run,
                    tiny_queues_lose_nothing;
            }
        }
    )* };
}

macro_rules! tests {
    ($($group:ident: $($name:ident),+;)*) => { $(
        mod $group {
            $(
                #[test]
                fn $name() {
                    if let Some(bench) = crate::Bench::new(&super::config()) {
                        crate::$group::$name(bench);
                    }
                }
            )+
        }
    )* };
}

fn uring(tier_max: Tier) -> Config {
    Config { backend: Backend::IoUring, tier_max, entries: 64, ..Config::default() }
}

suite! {
    epoll = Config { backend: Backend::Epoll, entries: 64, ..Config::default() };
    uring_3 = uring(Tier::Three);
    uring_2 = uring(Tier::Two);
    uring_1 = uring(Tier::One);
    uring_single_accept = Config { multishot_accept: false, ..uring(Tier::Three) };
}

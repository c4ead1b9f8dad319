//! The contract suite: what every engine must do, case by case.
//!
//! Each case takes an empty store. [`contract_tests!`](crate::contract_tests) makes one test of
//! each; [`run_all`] runs them one after the other. [`Model`] is a store in memory that passes
//! them, and with which [`random_steps_agree_with_the_model`] compares an engine.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a suite of tests: every failure is a panic"
)]

use std::future::Future;
use std::sync::Arc;

use crate::Database;

mod attention;
mod checks;
mod deliveries;
mod directory;
mod events;
mod journal;
mod model;
mod model_books;
mod model_directory;
mod model_leases;
mod model_personal;
mod model_search;
mod model_upkeep;
mod payments;
mod personal;
mod random;
mod reclaim;
mod reconciliations;
mod refunds;
mod samples;
mod search;
mod settlements;
mod shards;
mod upkeep;
mod whole;

pub use attention::*;
pub use checks::*;
pub use deliveries::*;
pub use directory::*;
pub use events::*;
pub use journal::*;
pub use model::Model;
pub use payments::*;
pub use personal::*;
pub use random::random_steps_agree_with_the_model;
pub use reclaim::*;
pub use reconciliations::*;
pub use refunds::*;
pub use search::*;
pub use settlements::*;
pub use shards::*;
pub use upkeep::*;
pub use whole::*;

/// A store under test.
pub type UnderTest = Arc<dyn Database>;

/// Names every case once, for [`run_all`], for the macro and for the test that none is left out.
macro_rules! cases {
    ($dollar:tt $($case:ident,)+) => {
        /// The names of all cases.
        pub const CASES: &[&str] = &[$(stringify!($case)),+];

        /// Runs every case, each on a store of its own.
        pub async fn run_all<F, Fut>(open: F)
        where
            F: Fn() -> Fut,
            Fut: Future<Output = UnderTest>,
        {
            $($case(open().await).await;)+
        }

        /// Makes a `#[tokio::test]` of every case. The argument is an async function that makes an
        /// empty store and something to keep until the test is over: `async fn() -> (Arc<dyn
        /// Database>, T)`.
        #[macro_export]
        macro_rules! contract_tests {
            ($dollar open:path) => {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        let (store, kept) = $dollar open().await;
                        $dollar crate::contract::$case(store).await;
                        drop(kept);
                    }
                )+
            };
        }
    };
}

cases! { $
    a_payment_is_stored_whole,
    extreme_values_are_stored,
    a_taken_id_is_a_conflict_and_changes_nothing,
    a_nonce_is_used_once_per_contract,
    payments_that_are_not_there_are_named_in_their_order,
    nonces_that_race_make_one_payment,
    references_are_found_without_case_within_a_contract,
    events_move_a_payment_and_leave_records,
    an_answer_is_kept_only_with_a_nonce_and_a_move,
    an_answer_that_missed_the_move_is_kept_once,
    an_event_that_changes_nothing_leaves_only_notes,
    what_is_noted_is_stored_without_a_delivery,
    the_trail_keeps_the_order_of_steps,
    rows_that_are_not_there_are_missing,
    due_payments_are_claimed_oldest_first,
    claims_that_race_share_no_row,
    a_check_is_only_ever_moved_forward,
    paid_events_that_race_move_once,
    final_states_owe_deliveries,
    deliveries_of_a_payment_go_in_order,
    deliveries_are_claimed_oldest_first_under_a_lease,
    tries_of_a_delivery_end_as_told,
    a_try_that_outlived_its_lease_only_confirms,
    a_delivery_can_be_sent_again,
    refunds_are_admitted_or_recorded_as_refused,
    a_refund_of_a_foreign_payment_leaves_no_trace,
    a_refund_is_resolved_once,
    a_refund_that_was_taken_over_is_not_refused_by_another,
    refunds_that_race_never_exceed_the_payment,
    refunds_are_found_without_case_within_a_contract,
    due_refunds_are_claimed_oldest_first,
    calls_refused_early_are_recorded_as_failed_refunds,
    refunds_that_nobody_asked_for_are_recorded_once,
    money_events_are_entered_with_what_is_known_of_them,
    nothing_else_is_entered,
    refunds_are_entered_beside_their_payment,
    what_a_refused_refund_names_is_not_told,
    shards_are_read_together_in_pages,
    a_reader_that_follows_writers_misses_nothing,
    what_a_dead_holder_had_claimed_is_due_at_once,
    a_check_that_was_under_way_after_the_session_is_due_at_once,
    payments_are_listed_by_what_they_are,
    refunds_are_listed_by_what_they_are,
    deliveries_are_listed_by_what_they_are,
    a_list_looks_at_so_many_rows_and_goes_on,
    money_that_does_not_fit_is_listed_until_it_is_decided,
    orders_that_are_not_known_are_kept_until_they_are_decided,
    settlements_are_closed_in_a_chain_for_each_account,
    closings_that_race_leave_one,
    an_adjustment_is_used_once,
    decisions_and_approvals_are_acts_of_their_own,
    runs_of_reconciliation_are_recorded_whole,
    runs_that_race_leave_one,
    entries_of_the_directory_are_added_whole_and_in_order,
    entries_of_the_directory_are_found_by_name,
    changes_of_the_directory_that_race_leave_one,
    totals_count_every_row,
    what_still_owes_something_is_not_archivable,
    what_is_over_leaves_its_call_and_trail_to_an_archive,
    what_is_no_longer_over_stays,
    an_archive_begins_after_the_one_before_has_ended,
    what_waits_is_counted_by_age,
    a_ping_can_be_repeated,
    claims_go_through_all_shards,
    a_refund_is_found_by_its_id_whatever_its_payments_shard,
    lists_go_through_all_shards,
    what_a_dead_holder_had_claimed_in_other_shards_is_due,
    a_caller_that_goes_away_leaves_whole_steps,
    random_steps_agree_with_the_model,
}

/// Makes a test of each case about personal data, which need a bare engine, and runs all other cases
/// through the layer that seals. The argument is that of [`contract_tests!`](crate::contract_tests).
#[macro_export]
macro_rules! sealing_tests {
    ($open:path) => {
        $crate::sealing_tests! { $open =>
            personal_data_is_replaced_only_as_it_was_read,
            data_keys_are_kept_listed_and_wrapped_anew,
            proofs_of_keys_stay_while_they_are_used,
            what_is_sealed_is_read_as_it_was_written,
            a_value_in_the_place_of_another_does_not_open,
            the_directory_is_sealed_wrapped_anew_and_never_opens_elsewhere,
        }

        mod sealed {
            use super::*;

            async fn behind_the_layer() -> ($crate::contract::UnderTest, impl Sized) {
                let (engine, kept) = $open().await;
                ($crate::contract::behind_the_layer(engine), kept)
            }

            $crate::contract_tests!(behind_the_layer);
        }
    };
    ($open:path => $($case:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (engine, kept) = $open().await;
                $crate::contract::$case(engine).await;
                drop(kept);
            }
        )+
    };
}

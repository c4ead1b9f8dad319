//! The literal lists of columns, as engines use them, and the tables are of one making.

use gopay_store::rows::{
    DELIVERIES, EVENTS, PAYMENT_REQUESTS, PAYMENTS, RECONCILIATION_BREAKS, RECONCILIATION_INPUTS,
    RECONCILIATION_RUNS, REFUNDS, REVIEW_ACTS, SETTLEMENT_ADJUSTMENTS, SETTLEMENTS,
};

#[test]
fn literals_name_the_columns_that_are_read() {
    let read = [
        (PAYMENTS, gopay_store::payment_columns!(), ", merchant_tx_key"),
        (PAYMENT_REQUESTS, gopay_store::payment_request_columns!(), ", archive"),
        (EVENTS, gopay_store::event_columns!(), ""),
        (REFUNDS, gopay_store::refund_columns!(), ", merchant_refund_key"),
        (DELIVERIES, gopay_store::delivery_columns!(), ", receiver"),
        (SETTLEMENTS, gopay_store::settlement_columns!(), ""),
        (SETTLEMENT_ADJUSTMENTS, gopay_store::settlement_adjustment_columns!(), ""),
        (REVIEW_ACTS, gopay_store::review_act_columns!(), ""),
        (RECONCILIATION_RUNS, gopay_store::reconciliation_run_columns!(), ""),
        (RECONCILIATION_INPUTS, gopay_store::reconciliation_input_columns!(), ""),
        (RECONCILIATION_BREAKS, gopay_store::reconciliation_break_columns!(), ""),
    ];
    for (table, columns, written) in read {
        assert_eq!(table.read, columns);
        assert_eq!(table.names(), format!("{columns}{written}"), "{}", table.name);
    }
}

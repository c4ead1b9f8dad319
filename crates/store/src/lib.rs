//! The store of payments: its trait, records, errors and contract suite.

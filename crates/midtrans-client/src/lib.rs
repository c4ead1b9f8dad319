//! One method per Midtrans endpoint, and whether money may have moved.

//! A GoPay and Midtrans stand-in with scripted faults and a movable clock.

//! The HTTP face: the Simple API, shopper pages, Midtrans notifications, health.

//! How the program calls others over HTTP.

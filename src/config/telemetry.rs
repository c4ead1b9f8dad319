//! `[telemetry]`

use url::Url;

use super::host::{self, Reach};
use super::section::Section;

/// Spans name PSPs and payments, so they should not cross the internet in clear text.
pub(super) fn read_telemetry(telemetry: &mut Section<'_>, to: &mut Option<String>) {
    const KEY: &str = "otlp";
    const WANTED: &str = "scheme, host and port of a collector, such as \"http://127.0.0.1:4318\"";
    let Some(url) = telemetry.url(KEY) else { return };
    let Ok(parsed) = Url::parse(&url) else { return };
    if !cfg!(feature = "otlp") {
        telemetry.problem(KEY, "this program was built without the feature otlp", "no such key");
    } else if parsed.query().is_some() || parsed.fragment().is_some() {
        telemetry.problem(KEY, "has a query or fragment", WANTED);
    } else if url.ends_with("/v1/traces") {
        telemetry.problem(KEY, "ends with the path, which is added", WANTED);
    } else if parsed.scheme() == "http" && host::of_url(&parsed) == Reach::Public {
        telemetry.warn(KEY, "http on a public host: ids of payments can be read", "https");
    }
    *to = Some(url);
}

//! `[public]`

use super::section::Section;

/// REDIRECTURL may have 255 characters, of which path and parameters take 137.
pub(super) fn check_base_url(root: &mut Section<'_>, url: &str) {
    const BASE_MAX: usize = 255 - 137;
    if url.ends_with('/') {
        root.problem("public.base_url", "ends with a slash", "without a slash at the end");
    } else if url.contains(['?', '#']) {
        root.problem("public.base_url", "has a query or fragment", "scheme, host and path only");
    } else if url.len() > BASE_MAX {
        root.problem(
            "public.base_url",
            "too long",
            "at most 118 characters, since REDIRECTURL may have 255",
        );
    }
}

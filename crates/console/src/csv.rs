//! Lists as files, page by page, so that a long one takes no memory. No cell runs as a formula.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use gopay_core::text::defused;
use gopay_service::StoreError;

use crate::answer;

/// Rows of a file as they are written.
fn written(rows: &[Vec<String>]) -> std::io::Result<Bytes> {
    let mut out = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(vec![]);
    for row in rows {
        out.write_record(row.iter().map(|cell| defused(cell).into_owned()))?;
    }
    Ok(out.into_inner().map_err(csv::IntoInnerError::into_error)?.into())
}

/// A part of a list: its rows, and where it goes on.
pub(crate) type Part<K> = Result<(Vec<Vec<String>>, Option<K>), StoreError>;

/// A file of all pages of a list. If one cannot be read the answer breaks off, so that nobody takes
/// a part for the whole.
pub(crate) fn file<K, F, Fut>(name: &str, titles: &[&str], read: F) -> Response
where
    K: Send + 'static,
    F: Fn(Option<K>) -> Fut + Send + 'static,
    Fut: Future<Output = Part<K>> + Send,
{
    enum Next<K> {
        Titles(Vec<String>),
        Page(Option<K>),
        End,
    }
    let first = Next::Titles(titles.iter().map(|title| (*title).to_owned()).collect());
    let pages = stream::try_unfold((first, read), |(next, read)| async move {
        match next {
            Next::End => Ok::<_, std::io::Error>(None),
            Next::Titles(titles) => Ok(Some((written(&[titles])?, (Next::Page(None), read)))),
            Next::Page(after) => {
                let (rows, next) = read(after).await.map_err(std::io::Error::other)?;
                let next = next.map_or(Next::End, |key| Next::Page(Some(key)));
                Ok(Some((written(&rows)?, (next, read))))
            }
        }
    });
    answer::file(name, Body::from_stream(pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_defused() {
        let rows = [vec!["=1+1".to_owned(), "a,\"b\"\nc".to_owned(), "-12.50".to_owned()]];
        assert_eq!(written(&rows).unwrap(), "'=1+1,\"a,\"\"b\"\"\nc\",-12.50\r\n");
    }
}

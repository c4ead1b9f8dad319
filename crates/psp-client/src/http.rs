//! Sending calls over HTTP.

use std::time::Duration;

use crate::call::{Call, Credentials};
use crate::pairs::AnswerError;

/// The adapter answers within 30 seconds (`docs/psp-guide.md`, "Transport"); the rest is the way.
const TIMEOUT: Duration = Duration::from_secs(35);

/// No answer is longer than a few addresses and a message, each escaped.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The call did not leave: it may be sent again.
    #[error("the call could not be sent")]
    NotSent(#[source] reqwest::Error),
    /// The call may have been carried out: look it up before anything else.
    #[error("no answer to the call; it may have been carried out")]
    OutcomeUnknown(#[source] reqwest::Error),
    /// Something answered that is not the adapter, or the answer is cut off: as before.
    #[error("the answer with HTTP status {status} cannot be read")]
    Unreadable {
        /// The HTTP status.
        status: u16,
        /// What is wrong with it.
        source: AnswerError,
    },
}

impl SendError {
    /// Whether the call may have been carried out: it must not be repeated then, unless it is a
    /// question or a TRANSACTION with a nonce.
    #[must_use]
    pub const fn may_have_arrived(&self) -> bool {
        !matches!(self, Self::NotSent(_))
    }
}

/// What came back, as it is.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body; [`Call::read`] says what it means.
    pub body: Vec<u8>,
}

/// An adapter, and the PSP that calls it.
///
/// ```no_run
/// use gopay_psp_client::http::Client;
/// use gopay_psp_client::{Credentials, GetTxStatus, StatusAnswer};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
/// let psp = Credentials::new("testclient", "test123", "TESTCONTRACT");
/// let adapter = Client::new(http, "http://127.0.0.1:8080/", psp);
/// match adapter.send(&GetTxStatus { tx_id: "123887123".parse()? }).await? {
///     StatusAnswer::Found(payment) => println!("{:?}", payment.state),
///     StatusAnswer::Failed(failure) => println!("{}", failure.message),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    psp: Credentials,
}

impl Client {
    /// Calls the adapter at `url` by this HTTP client, which brings certificates and proxies. It
    /// must not follow redirects: the adapter never sends any.
    #[must_use]
    pub fn new(http: reqwest::Client, url: impl Into<String>, psp: Credentials) -> Self {
        Self { http, url: url.into(), psp }
    }

    /// Makes a call once; nothing is repeated here.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send<C: Call>(&self, call: &C) -> Result<C::Answer, SendError> {
        let Reply { status, body } = self.post(call.body(&self.psp)).await?;
        // The answer is in the body whatever the status is.
        call.read(&body).map_err(|source| SendError::Unreadable { status, source })
    }

    /// Sends a body that was written by [`Call::body`], for who wants to keep both sides as they went
    /// over the wire.
    ///
    /// # Errors
    /// [`SendError`]; of [`SendError::Unreadable`], an answer that is too long.
    pub async fn post(&self, body: String) -> Result<Reply, SendError> {
        const FORM: &str = "application/x-www-form-urlencoded";
        let request = self.http.post(&self.url).timeout(TIMEOUT).body(body);
        let sent = request.header(reqwest::header::CONTENT_TYPE, FORM).send().await;
        let mut response = sent.map_err(|error| {
            if error.is_connect() || error.is_builder() {
                SendError::NotSent(error)
            } else {
                SendError::OutcomeUnknown(error)
            }
        })?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(SendError::OutcomeUnknown)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(SendError::Unreadable { status, source: AnswerError::NotPairs });
            }
        }
        Ok(Reply { status, body })
    }
}

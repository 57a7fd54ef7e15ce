//! Answers of a bucket server: what succeeds, and what is refused with S3's codes.

use bytes::Bytes;
use http::response::Builder;
use http::{Response, StatusCode, header};
use http_body_util::Full;

use crate::loopback::Answer;

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// One page of a list.
pub(super) struct Page {
    pub(super) bucket: String,
    pub(super) prefix: String,
    /// Key, tag, size and time of each object.
    pub(super) objects: Vec<(String, String, usize, String)>,
    /// Behind which key the next page begins.
    pub(super) next: Option<String>,
}

/// Begins an answer.
pub(super) fn status(status: u16) -> Builder {
    Response::builder().status(status).header(header::SERVER, "sandbox-bucket")
}

/// Ends an answer.
pub(super) fn finish(answer: Builder, body: impl Into<Bytes>) -> Answer {
    answer.body(Full::new(body.into())).unwrap_or_else(|_| {
        let mut answer = Response::new(Full::new(Bytes::new()));
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        answer
    })
}

/// Ends an answer with XML in it.
pub(super) fn xml(answer: Builder, body: &str) -> Answer {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}");
    finish(answer.header(header::CONTENT_TYPE, "application/xml"), text)
}

/// A refusal with its code, and further elements that some of them have.
pub(super) fn refuse(number: u16, code: &str, message: &str, more: &str) -> Answer {
    refuse_with(status(number), code, message, more)
}

/// The same on an answer that was begun.
pub(super) fn refuse_with(answer: Builder, code: &str, message: &str, more: &str) -> Answer {
    let request = "<RequestId>0000000000000000</RequestId>";
    let body = format!(
        "<Error><Code>{}</Code><Message>{}</Message>{more}{request}</Error>",
        escape(code),
        escape(message)
    );
    xml(answer, &body)
}

/// Where a bucket is; the first region of all has no name there.
pub(super) fn location(region: &str) -> String {
    let region = if region == "us-east-1" { "" } else { region };
    format!("<LocationConstraint xmlns=\"{NAMESPACE}\">{}</LocationConstraint>", escape(region))
}

impl Page {
    pub(super) fn to_xml(&self) -> String {
        let objects: Vec<String> = self
            .objects
            .iter()
            .map(|(key, etag, size, modified)| {
                format!(
                    "<Contents><Key>{}</Key><LastModified>{modified}</LastModified>\
                     <ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size>\
                     <StorageClass>STANDARD</StorageClass></Contents>",
                    escape(key)
                )
            })
            .collect();
        let next = self.next.as_deref().map_or(String::new(), |it| {
            format!("<NextContinuationToken>{}</NextContinuationToken>", escape(it))
        });
        format!(
            "<ListBucketResult xmlns=\"{NAMESPACE}\"><Name>{}</Name><Prefix>{}</Prefix>\
             <KeyCount>{}</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>{}</IsTruncated>\
             {next}{}</ListBucketResult>",
            escape(&self.bucket),
            escape(&self.prefix),
            self.objects.len(),
            self.next.is_some(),
            objects.concat()
        )
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

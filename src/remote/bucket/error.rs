//! Why a bucket could not be used: one sentence each, with what to do.

use crate::model::Moment;
use std::fmt;
use std::time::Duration;

/// A bucket that could not be used. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The endpoint cannot be one.
    #[error(
        "`{address}` is no endpoint of a bucket: {why}; give a host like `s3.eu-central-1.amazonaws.com`"
    )]
    BadAddress {
        /// The endpoint.
        address: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The bucket cannot be called so.
    #[error("`{name}` is no name of a bucket: use letters, digits, `-`, `_` and `.`")]
    BadName {
        /// The name.
        name: String,
    },
    /// The object cannot be called so.
    #[error(
        "`{key}` cannot be the name of an object: write it without empty parts, `.` and `..`, such \
         as `canary/configmap.yaml`"
    )]
    BadKey {
        /// The name.
        key: String,
    },
    /// The authority given for the server is no certificate.
    #[error(
        "the certificate authority given for {bucket} is not PEM: give a file that begins with \
         `-----BEGIN CERTIFICATE-----`"
    )]
    BadAuthority {
        /// The bucket.
        bucket: String,
    },
    /// Nothing can be signed with them.
    #[error(
        "the credentials for {bucket} cannot be used: check that they are complete and without \
         line breaks, and that a key file is the one that was downloaded"
    )]
    UnusableCredentials {
        /// The bucket.
        bucket: String,
    },
    /// They are those of another cloud.
    #[error("the credentials for {bucket} are of another sort than it takes: give {wanted}")]
    UnfitCredentials {
        /// The bucket.
        bucket: String,
        /// What would do.
        wanted: &'static str,
    },
    /// Credentials that a cloud makes for a workload.
    #[error(
        "{what} proves itself with a workload identity of its cloud (`spec.provider: {provider}`), \
         which hopclock cannot use yet: give the trigger credentials of its own in `push_auth`"
    )]
    WorkloadIdentity {
        /// The object.
        what: String,
        /// Its provider.
        provider: String,
    },
    /// The host's name is not known.
    #[error("{bucket} has an unknown host name: check the endpoint and the DNS of this machine")]
    UnknownHost {
        /// The bucket.
        bucket: String,
    },
    /// Nobody listens there, or the way there is cut.
    #[error(
        "{bucket} cannot be connected to ({why}): check that its server is up and that a firewall \
         or proxy lets hopclock through"
    )]
    Unreachable {
        /// The bucket.
        bucket: String,
        /// What the system said.
        why: String,
    },
    /// The server's certificate is not signed by an authority that we trust.
    #[error(
        "the server of {bucket} shows a certificate that is not trusted ({why}): give its authority \
         in `ca_file` or under `ca.crt` of the Bucket's `certSecretRef`"
    )]
    UntrustedCertificate {
        /// The bucket.
        bucket: String,
        /// What is wrong with the certificate.
        why: String,
    },
    /// No answer in time.
    #[error(
        "the server of {bucket} did not answer within {} s: check the network or give it more time",
        .after.as_secs_f64()
    )]
    Timeout {
        /// The bucket.
        bucket: String,
        /// How long we waited.
        after: Duration,
    },
    /// The connection ended within an answer.
    #[error(
        "the server of {bucket} ended the connection before its answer was complete ({why}): check \
         proxies and load balancers on the way"
    )]
    Broken {
        /// The bucket.
        bucket: String,
        /// What happened.
        why: String,
    },
    /// More than anything that we have to do with is long.
    #[error(
        "{bucket} answers with more than {longest} bytes, which is not read in part: let an object \
         or an index be smaller, by taking old entries out of it"
    )]
    TooLarge {
        /// The bucket.
        bucket: String,
        /// What is read at most.
        longest: usize,
    },
    /// It answers, but not as a bucket's server.
    #[error(
        "what answers for {bucket} is no server of buckets (status {status}): check the endpoint, \
         and any proxy in front of it"
    )]
    NotABucket {
        /// The bucket.
        bucket: String,
        /// The HTTP status.
        status: u16,
    },
    /// There is no such bucket.
    #[error("there is no {bucket}: check its name, its endpoint and its region, or make it")]
    NoBucket {
        /// The bucket.
        bucket: String,
    },
    /// There is no such object. Operations answer it without an error.
    #[error("{bucket} has no such object")]
    NoObject {
        /// The bucket.
        bucket: String,
    },
    /// Refused, and nothing was sent that could prove who we are.
    #[error(
        "{bucket} asks for credentials and none were given: give some in `auth`, or in the Secret \
         that the Bucket names in `secretRef`"
    )]
    NoCredentials {
        /// The bucket.
        bucket: String,
    },
    /// The keys are not good.
    #[error(
        "{bucket} does not accept the credentials ({code}): check the access key and the secret \
         key, and whether they are still good"
    )]
    Unauthorized {
        /// The bucket.
        bucket: String,
        /// The server's word for it.
        code: String,
    },
    /// The signature is of another time than the server's.
    #[error(
        "{bucket} refuses the signature because the clocks differ{}: set the clock of this machine, \
         or that of the server, by NTP",
        apart(*.ahead)
    )]
    ClockSkew {
        /// The bucket.
        bucket: String,
        /// How far our clock is ahead, in seconds.
        ahead: Option<i64>,
    },
    /// The keys are good, but not for this.
    #[error("{bucket} forbids {deed} to these credentials (403): {}", .deed.advice())]
    Forbidden {
        /// The bucket.
        bucket: String,
        /// What was tried.
        deed: Deed,
    },
    /// The bucket is in another region than was said.
    #[error("{bucket} is in region `{wanted}`, not `{region}`: say so in `region`")]
    WrongRegion {
        /// The bucket.
        bucket: String,
        /// What was said.
        region: String,
        /// What the server says.
        wanted: String,
    },
    /// The server asks for more patience than we have.
    #[error(
        "the server of {bucket} is too busy and asks to be left alone{}: run less often, or raise \
         its limits",
        for_how_long(*.retry_after)
    )]
    Throttled {
        /// The bucket.
        bucket: String,
        /// For how long.
        retry_after: Option<Duration>,
    },
    /// The object is not what it was when we read it.
    #[error(
        "somebody else wrote to our object of {bucket} at the same time: let only one scenario write \
         to an object"
    )]
    Changed {
        /// The bucket.
        bucket: String,
    },
    /// The server sends us elsewhere.
    #[error(
        "the server of {bucket} sends us to another address: give that one as the endpoint, for \
         signatures hold for one host only"
    )]
    Redirected {
        /// The bucket.
        bucket: String,
    },
    /// Any other refusal.
    #[error(
        "{bucket} answered {deed} with status {status}{}: look into the log of its server",
        in_brackets(.code)
    )]
    Status {
        /// The bucket.
        bucket: String,
        /// What was tried.
        deed: Deed,
        /// The HTTP status.
        status: u16,
        /// The server's word for it.
        code: String,
    },
}

/// Why an object was not written, as far as we know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// It was sent, and no answer came: it may be there.
    #[error("the upload got no answer: {why}")]
    NoAnswer {
        /// When it was sent.
        sent: Moment,
        /// What happened.
        why: Error,
    },
    /// It is not there.
    #[error(transparent)]
    Failed(Error),
}

/// What was asked of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Listing objects.
    List,
    /// Reading an object.
    Read,
    /// Writing one.
    Write,
    /// Removing one.
    Delete,
}

/// An operation that came to nothing.
pub(super) struct Lost {
    /// When it was sent, if it may have been carried out.
    pub(super) sent: Option<Moment>,
    pub(super) why: Error,
}

// === impl Error ===

impl Error {
    /// The bounded word for labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadAddress { .. } | Self::BadName { .. } => "bucket_bad_address",
            Self::BadKey { .. } => "bucket_bad_key",
            Self::BadAuthority { .. } => "bucket_bad_authority",
            Self::UnusableCredentials { .. } | Self::UnfitCredentials { .. } => {
                "bucket_bad_credentials"
            }
            Self::WorkloadIdentity { .. } => "unsupported_workload_identity",
            Self::UnknownHost { .. } => "bucket_unknown_host",
            Self::Unreachable { .. } => "bucket_unreachable",
            Self::UntrustedCertificate { .. } => "bucket_untrusted_certificate",
            Self::Timeout { .. } => "bucket_timeout",
            Self::Broken { .. } => "bucket_broken",
            Self::TooLarge { .. } => "bucket_too_large",
            Self::NotABucket { .. } => "bucket_not_a_bucket",
            Self::NoBucket { .. } => "bucket_missing",
            Self::NoObject { .. } => "bucket_no_object",
            Self::NoCredentials { .. } | Self::Unauthorized { .. } => "bucket_unauthorized",
            Self::ClockSkew { .. } => "bucket_clock_skew",
            Self::Forbidden { .. } => "bucket_forbidden",
            Self::WrongRegion { .. } => "bucket_wrong_region",
            Self::Throttled { .. } => "bucket_throttled",
            Self::Changed { .. } => "second_writer",
            Self::Redirected { .. } => "bucket_redirected",
            Self::Status { .. } => "bucket_status",
        }
    }
}

impl Deed {
    fn advice(self) -> &'static str {
        match self {
            Self::List => "give their owner the right to list the bucket",
            Self::Read => {
                "give their owner the right to read objects, and to list, for without that a server \
                 hides what is missing"
            }
            Self::Write => {
                "they lack the right to write, as Flux's own often do; give others in `push_auth`"
            }
            Self::Delete => "they lack the right to delete; canaries stay behind",
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::List => "listing",
            Self::Read => "reading",
            Self::Write => "writing",
            Self::Delete => "deleting",
        })
    }
}

fn apart(ahead: Option<i64>) -> String {
    match ahead {
        None | Some(0) => String::new(),
        Some(ahead) => {
            let (minutes, seconds) = (ahead.abs() / 60, ahead.abs() % 60);
            let which = if ahead > 0 { "ahead" } else { "behind" };
            format!(", ours is {minutes} min {seconds} s {which}")
        }
    }
}

fn for_how_long(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |it| format!(" for {} s", it.as_secs_f64()))
}

fn in_brackets(code: &str) -> String {
    if code.is_empty() { String::new() } else { format!(" ({code})") }
}

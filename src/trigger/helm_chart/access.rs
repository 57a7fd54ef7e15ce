//! Finds the bucket of a chart repository, and what to prove ourselves with there.

use crate::model::ProbeError;
use crate::remote::bucket::{self, Bucket, BucketAddress, BucketOptions};
use crate::trigger::Site;
use crate::trigger::helm_chart::ChartBucket;
use crate::trigger::registry_access::{PATIENCE, TIMEOUT};

/// Opens the bucket of a chart repository. Asks nothing of its server.
pub(super) async fn open_bucket(
    site: &dyn Site,
    wanted: &ChartBucket,
) -> Result<Bucket, ProbeError> {
    let ChartBucket { provider, endpoint, name, region, .. } = wanted;
    let bad =
        |it: bucket::Error| ProbeError { reason: it.reason().to_owned(), message: it.to_string() };
    let address = BucketAddress::new(*provider, endpoint, false, name, region.as_deref());
    let credentials = match &wanted.secret {
        Some(secret) => bucket::Credentials::of_secret(*provider, &site.secret(secret).await?)?,
        None => bucket::Credentials::Anonymous,
    };
    let ca = wanted.ca_file.as_ref();
    let ca = ca.map(|it| site.file(it, "certificate authority")).transpose()?;
    let (timeout, patience) = (TIMEOUT, PATIENCE);
    let address = address.map_err(bad)?;
    let options = BucketOptions { address, credentials, ca, timeout, patience };
    Bucket::open(&options, site.clock(), &site.clients()).map_err(bad)
}

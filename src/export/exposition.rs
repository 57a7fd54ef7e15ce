//! Which form a scraper gets, by what it says it accepts (RFC 9110, section 12.5.1).

/// A form of the scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus protobuf, delimited: the only one with native histograms. Never sent unasked.
    Protobuf,
    /// OpenMetrics 1.0 text: classic histograms with exemplars. Sent where nothing else is asked.
    OpenMetrics,
    /// Prometheus text 0.0.4: classic histograms without exemplars, and what a browser can show.
    Plain,
}

/// One thing that a scraper accepts.
struct Accepted<'a> {
    kind: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

// === impl Format ===

impl Format {
    /// Every form; the richer first, which decides between equally welcome ones.
    pub const ALL: [Self; 3] = [Self::Protobuf, Self::OpenMetrics, Self::Plain];

    /// The form for a scraper that sent this `Accept` header, or none. Where nothing that it
    /// accepts can be had, it gets what others get by default.
    #[must_use]
    pub fn negotiate(accept: Option<&str>) -> Self {
        let accepted: Vec<_> = accept.unwrap_or("*/*").split(',').filter_map(parse).collect();
        let mut best = (Self::OpenMetrics, 0.0);
        for format in Self::ALL {
            let quality = format.quality(&accepted);
            if quality > best.1 {
                best = (format, quality);
            }
        }
        best.0
    }

    /// The value of `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                 encoding=delimited"
            }
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// How welcome the form is: the quality of the most specific thing accepted that covers it.
    fn quality(self, accepted: &[Accepted<'_>]) -> f32 {
        let matching = accepted.iter().filter_map(|it| Some((self.match_with(it)?, it.quality)));
        matching
            .max_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)))
            .map_or(0.0, |it| it.1)
    }

    /// How specifically something accepted covers the form; none if it does not.
    fn match_with(self, accepted: &Accepted<'_>) -> Option<u8> {
        match (self, accepted.kind) {
            (Self::Protobuf, "application/vnd.google.protobuf") => {
                let fits = accepted.is("proto", &["io.prometheus.client.MetricFamily"])
                    && accepted.is("encoding", &["delimited"]);
                fits.then_some(3)
            }
            (Self::OpenMetrics, "application/openmetrics-text") => {
                accepted.is("version", &["1.0.0"]).then_some(3)
            }
            (Self::Plain, "text/plain") => accepted.is("version", &["0.0.4"]).then_some(3),
            (Self::Plain, "text/html") => Some(3),
            (Self::Plain, "text/*") | (Self::OpenMetrics, "application/*") => Some(2),
            (Self::Plain | Self::OpenMetrics, "*/*") => Some(1),
            _ => None,
        }
    }
}

// === impl Accepted ===

impl Accepted<'_> {
    /// Whether a parameter, if it is there, has one of these values.
    fn is(&self, name: &str, values: &[&str]) -> bool {
        let mut named = self.parameters.iter().filter(|it| it.0.eq_ignore_ascii_case(name));
        named.all(|it| values.contains(&it.1))
    }
}

fn parse(range: &str) -> Option<Accepted<'_>> {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next().filter(|it| !it.is_empty())?;
    let all = parts.filter_map(|it| it.split_once('='));
    let (quality, parameters): (Vec<_>, Vec<_>) = all
        .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
        .partition(|it| it.0.eq_ignore_ascii_case("q"));
    let quality = quality.first().map_or(Some(1.0), |it| it.1.parse::<f32>().ok())?;
    Some(Accepted { kind, parameters, quality: quality.clamp(0.0, 1.0) })
}

#[cfg(test)]
mod tests {
    use super::Format::{OpenMetrics, Plain, Protobuf};
    use super::*;

    const PROTOBUF: &str = "application/vnd.google.protobuf;\
                            proto=io.prometheus.client.MetricFamily;encoding=delimited";

    #[test]
    fn what_prometheus_asks_for_is_what_it_gets() {
        let text = "application/openmetrics-text;version=1.0.0,\
                    application/openmetrics-text;version=0.0.1;q=0.75,\
                    text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Format::negotiate(Some(text)), OpenMetrics);
        assert_eq!(Format::negotiate(Some(&format!("{PROTOBUF},{text};q=0.8"))), Protobuf);
        let escaping = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                        text/plain;version=0.0.4;q=0.4,*/*;q=0.1";
        assert_eq!(Format::negotiate(Some(escaping)), OpenMetrics);
        assert_eq!(Format::negotiate(Some("text/plain;version=0.0.4;q=0.5,*/*;q=0.1")), Plain);
    }

    #[test]
    fn protobuf_is_sent_only_when_asked_for() {
        for accept in [None, Some("*/*"), Some("application/*"), Some(""), Some("image/png")] {
            assert_eq!(Format::negotiate(accept), OpenMetrics, "{accept:?}");
        }
        let refused = format!("{PROTOBUF};q=0, */*");
        assert_eq!(Format::negotiate(Some(&refused)), OpenMetrics);
        let other = "application/vnd.google.protobuf;proto=other;encoding=delimited, text/plain";
        assert_eq!(Format::negotiate(Some(other)), Plain);
    }

    #[test]
    fn a_browser_gets_what_it_can_show() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        assert_eq!(Format::negotiate(Some(browser)), Plain);
    }

    #[test]
    fn the_quality_decides_and_a_refusal_counts() {
        let accept = "application/openmetrics-text;q=0.3, text/plain;q=0.7";
        assert_eq!(Format::negotiate(Some(accept)), Plain);
        let accept = "application/openmetrics-text;q=0, */*;q=0.5";
        assert_eq!(Format::negotiate(Some(accept)), Plain);
        assert_eq!(Format::negotiate(Some("text/plain;q=often")), OpenMetrics);
        assert_eq!(
            Format::negotiate(Some("application/openmetrics-text;version=9.0")),
            OpenMetrics
        );
    }
}

//! Metrics as text that Prometheus reads: <https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4.

use std::fmt::Write as _;

/// What the samples of a metric are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A number that only grows, as long as the process runs.
    Counter,
    /// A number that goes up and down.
    Gauge,
    /// Buckets, sum and count.
    Histogram,
}

/// The text, while it is written. A metric is [`family`](Self::family), then all of its samples.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
    family: &'static str,
}

impl Exposition {
    /// The `Content-Type` of the text.
    pub(super) const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Begins a metric; the help is one line.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.family = name;
        // Writing to a string does not fail; nor does it below.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A sample of the metric.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.write("", labels, None, value);
    }

    /// A metric that has one sample.
    pub fn single(&mut self, name: &'static str, kind: Kind, help: &'static str, value: f64) {
        self.family(name, kind, help);
        self.sample(&[], value);
    }

    /// A sample of a histogram: how many values were at most the bound, for each bound; the sum of all values, and
    /// their number.
    pub fn histogram(
        &mut self,
        labels: &[(&str, &str)],
        buckets: impl Iterator<Item = (f64, u64)>,
        sum: f64,
        count: u64,
    ) {
        for (bound, count) in buckets {
            self.write("_bucket", labels, Some(&bound.to_string()), count as f64);
        }
        self.write("_bucket", labels, Some("+Inf"), count as f64);
        self.write("_sum", labels, None, sum);
        self.write("_count", labels, None, count as f64);
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn write(&mut self, suffix: &str, labels: &[(&str, &str)], le: Option<&str>, value: f64) {
        self.text.push_str(self.family);
        self.text.push_str(suffix);
        let labels = labels.iter().copied().chain(le.map(|le| ("le", le)));
        let mut before = '{';
        for (name, value) in labels {
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let _ = write!(self.text, "{before}{name}=\"{value}\"");
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_as_documented() {
        let mut text = Exposition::default();
        text.single("up", Kind::Gauge, "Whether it is.", 1.0);
        text.family("asked", Kind::Counter, "How often.");
        text.sample(&[("path", "/a\"b\\c\nd"), ("code", "200")], 3.0);
        text.family("took", Kind::Histogram, "Seconds.");
        text.histogram(&[("path", "/")], [(0.5, 1), (1.0, 2)].into_iter(), 4.25, 3);
        let expected = "\
# HELP up Whether it is.
# TYPE up gauge
up 1
# HELP asked How often.
# TYPE asked counter
asked{path=\"/a\\\"b\\\\c\\nd\",code=\"200\"} 3
# HELP took Seconds.
# TYPE took histogram
took_bucket{path=\"/\",le=\"0.5\"} 1
took_bucket{path=\"/\",le=\"1\"} 2
took_bucket{path=\"/\",le=\"+Inf\"} 3
took_sum{path=\"/\"} 4.25
took_count{path=\"/\"} 3
";
        assert_eq!(text.into_text(), expected);
    }
}

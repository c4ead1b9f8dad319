//! Metrics as they are recorded and exposed: counters and gauges by the exporter for Prometheus,
//! histograms here.
//!
//! That exporter keeps each single value of a histogram, with its moment, until somebody asks or sums
//! them up: some megabytes under load. Here a value is counted in its bucket at once.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use gopay_service::meters;
use metrics::{
    Counter, Gauge, GaugeFn as _, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SetRecorderError, SharedString, Unit,
};
use metrics_exporter_prometheus::formatting::{
    write_help_line, write_metric_line, write_type_line,
};
use metrics_exporter_prometheus::{
    LabelSet, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

/// What was recorded, for whoever asks. Cheap to clone.
#[derive(Clone)]
pub struct Exposition {
    rest: PrometheusHandle,
    histograms: Arc<Histograms>,
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition").finish_non_exhaustive()
    }
}

impl Exposition {
    /// Makes the recorder that of the process.
    ///
    /// # Errors
    /// If the process has one already.
    pub fn install() -> Result<Self, SetRecorderError<impl Recorder>> {
        let (recorder, exposition) = new();
        metrics::set_global_recorder(recorder)?;
        Ok(exposition)
    }

    /// Everything in Prometheus' text form (0.0.4).
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.rest.render();
        for family in self.histograms.read().iter().filter(|family| !family.series.is_empty()) {
            family.render(&mut text);
        }
        text
    }
}

fn new() -> (Kept, Exposition) {
    let rest = PrometheusBuilder::new().build_recorder();
    let histograms = Arc::<Histograms>::default();
    let exposition = Exposition { rest: rest.handle(), histograms: Arc::clone(&histograms) };
    (Kept { rest, histograms }, exposition)
}

/// The recorder.
struct Kept {
    rest: PrometheusRecorder,
    histograms: Arc<Histograms>,
}

impl Recorder for Kept {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.rest.describe_counter(name, unit, help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.rest.describe_gauge(name, unit, help);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.histograms.family(name.as_str(), |family| family.help = Some(help));
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.rest.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.rest.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.histograms.family(key.name(), |family| family.series(key)))
    }
}

/// All histograms.
#[derive(Default)]
struct Histograms(RwLock<Vec<Family>>);

impl Histograms {
    fn read(&self) -> impl std::ops::Deref<Target = Vec<Family>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn family<T>(&self, name: &str, with: impl FnOnce(&mut Family) -> T) -> T {
        let mut families = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = families.iter_mut().find(|family| family.name == name) {
            return with(known);
        }
        let mut family = Family { name: name.to_owned(), help: None, series: Vec::new() };
        let done = with(&mut family);
        families.push(family);
        done
    }
}

/// The histograms of one name.
struct Family {
    name: String,
    help: Option<SharedString>,
    series: Vec<(LabelSet, Arc<Buckets>)>,
}

impl Family {
    fn series(&mut self, key: &Key) -> Arc<Buckets> {
        let labels = LabelSet::from_key_and_global(key, &Default::default());
        if let Some((_, known)) = self.series.iter().find(|(found, _)| *found == labels) {
            return Arc::clone(known);
        }
        let buckets = Arc::new(Buckets::new(meters::buckets(&self.name)));
        self.series.push((labels, Arc::clone(&buckets)));
        buckets
    }

    fn render(&self, text: &mut String) {
        let name = self.name.as_str();
        if let Some(help) = &self.help {
            write_help_line(text, name, None, None, help);
        }
        write_type_line(text, name, None, None, "histogram");
        for (labels, buckets) in &self.series {
            let mut below = 0_u64;
            for (bound, count) in buckets.bounds.iter().zip(&buckets.counts) {
                below = below.wrapping_add(count.load(Ordering::Relaxed));
                let le = Some(("le", bound));
                write_metric_line(text, name, Some("bucket"), labels, le, below, None);
            }
            let all = below.wrapping_add(buckets.above.load(Ordering::Relaxed));
            let le = Some(("le", "+Inf"));
            write_metric_line(text, name, Some("bucket"), labels, le, all, None);
            let sum = f64::from_bits(buckets.sum.load(Ordering::Relaxed));
            let none = None::<(&str, &str)>;
            write_metric_line(text, name, Some("sum"), labels, none, sum, None);
            write_metric_line(text, name, Some("count"), labels, none, all, None);
        }
        text.push('\n');
    }
}

/// One histogram.
struct Buckets {
    /// Upper bounds, growing; each belongs to its bucket.
    bounds: &'static [f64],
    counts: Vec<AtomicU64>,
    /// Values above the last bound.
    above: AtomicU64,
    /// The bits of a float: what all values come to.
    sum: AtomicU64,
}

impl Buckets {
    fn new(bounds: &'static [f64]) -> Self {
        let counts = bounds.iter().map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, above: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        self.counts.get(place).unwrap_or(&self.above).fetch_add(1, Ordering::Relaxed);
        self.sum.increment(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata<'static> {
        Metadata::new("test", metrics::Level::INFO, None)
    }

    fn lines(text: &str, of: &str) -> Vec<String> {
        text.lines().filter(|line| line.contains(of)).map(str::to_owned).collect()
    }

    #[test]
    fn a_value_counts_in_its_bucket_and_in_all_above() {
        let (recorder, exposition) = new();
        recorder.describe_histogram("took_seconds".into(), None, "How long.".into());
        let key = Key::from_parts("took_seconds", vec![metrics::Label::new("call", "a\"b")]);
        let histogram = recorder.register_histogram(&key, &metadata());
        for value in [0.0, 0.0005, 0.000_500_1, 25.0, 25.1] {
            histogram.record(value);
        }
        // The same series by another handle.
        recorder.register_histogram(&key, &metadata()).record(1.0);
        let text = exposition.render();
        assert_eq!(
            lines(&text, "# "),
            ["# HELP took_seconds How long.", "# TYPE took_seconds histogram"]
        );
        let buckets = lines(&text, "_bucket");
        assert_eq!(buckets.len(), meters::buckets("took_seconds").len() + 1);
        let has = |line: &str| assert!(text.lines().any(|found| found == line), "{line} in {text}");
        has(r#"took_seconds_bucket{call="a\"b",le="0.0005"} 2"#);
        has(r#"took_seconds_bucket{call="a\"b",le="0.001"} 3"#);
        has(r#"took_seconds_bucket{call="a\"b",le="0.5"} 3"#);
        has(r#"took_seconds_bucket{call="a\"b",le="1"} 4"#);
        has(r#"took_seconds_bucket{call="a\"b",le="25"} 5"#);
        has(r#"took_seconds_bucket{call="a\"b",le="+Inf"} 6"#);
        has(r#"took_seconds_count{call="a\"b"} 6"#);
        let sum = lines(&text, "_sum").concat();
        let sum: f64 = sum.rsplit(' ').next().and_then(|sum| sum.parse().ok()).unwrap();
        assert!((sum - 51.101_000_1).abs() < 1e-9, "{sum}");
    }

    const STEPS: &str = "gopay_store_commit_steps";

    #[test]
    fn steps_of_a_commit_have_buckets_of_their_own_and_unused_names_are_left_out() {
        let (recorder, exposition) = new();
        recorder.describe_histogram("unused_seconds".into(), None, "Nothing.".into());
        let key = Key::from_name(STEPS);
        recorder.register_histogram(&key, &metadata()).record_many(256.0, 3);
        let text = exposition.render();
        assert!(!text.contains("unused"), "{text}");
        assert!(text.contains(&format!("{STEPS}_bucket{{le=\"256\"}} 3")), "{text}");
        assert!(!text.contains("le=\"0.5\""), "{text}");
    }

    #[test]
    fn counters_and_gauges_stand_beside() {
        let (recorder, exposition) = new();
        recorder.register_counter(&Key::from_name("counts_total"), &metadata()).increment(7);
        recorder.register_gauge(&Key::from_name("depth"), &metadata()).set(1.5);
        let text = exposition.render();
        assert!(text.contains("counts_total 7\n") && text.contains("depth 1.5\n"), "{text}");
    }
}

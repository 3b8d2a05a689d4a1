//! The figures, and the tables that show them: the same on the terminal and in `docs/benchmarks.md`.
//!
//! Invariant: a ratio is a median over a median of the same run. Below 1, Sealmark needs less; of rates, it does less.

use super::measure::Cost;

/// What is compared with what, under one heading.
#[derive(Debug)]
pub(super) struct Table {
    /// The heading.
    pub(super) title: String,
    /// What Sealmark is compared with.
    pub(super) other: String,
    /// The figures.
    pub(super) rows: Vec<Row>,
}

/// One figure of both.
#[derive(Debug)]
pub(super) struct Row {
    what: String,
    sealmark: Series,
    other: Series,
    aim: Option<Aim>,
}

/// What a figure should be at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Aim {
    /// The ratio to the other program.
    Ratio(f64),
    /// Sealmark's own figure, in the unit of the row.
    Own(f64),
    /// The ratio to the other, at least: for figures of which more is better.
    AtLeast(f64),
}

/// What is counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unit {
    Microseconds,
    Milliseconds,
    Seconds,
    Bytes,
    Mebibytes,
    Count,
    PerSecond,
}

/// The same figure of several runs; none where there is nothing to compare with.
#[derive(Debug)]
struct Series {
    unit: Unit,
    sorted: Vec<f64>,
}

/// What is aimed at, for the three figures of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Aims {
    pub(super) wall: Option<Aim>,
    pub(super) cpu: Option<Aim>,
    pub(super) peak: Option<Aim>,
}

impl Row {
    /// Wall time, processor time and peak memory of the runs of both.
    pub(super) fn costs(sealmark: &[Cost], other: &[Cost], aims: Aims) -> [Self; 3] {
        let row = |what: &str, unit, figure: &dyn Fn(&Cost) -> f64, aim| Self {
            what: what.to_owned(),
            sealmark: Series::new(unit, sealmark.iter().map(figure)),
            other: Series::new(unit, other.iter().map(figure)),
            aim,
        };
        #[expect(clippy::cast_precision_loss, reason = "no program has 2^52 KiB")]
        let mebibytes = |cost: &Cost| cost.peak_kib as f64 / 1024.0;
        [
            row(
                "wall time",
                Unit::Milliseconds,
                &|cost| cost.wall.as_secs_f64() * 1e3,
                aims.wall,
            ),
            row(
                "CPU time",
                Unit::Milliseconds,
                &|cost| cost.cpu.as_secs_f64() * 1e3,
                aims.cpu,
            ),
            row("peak memory", Unit::Mebibytes, &mebibytes, aims.peak),
        ]
    }

    /// Numbers of HTTP requests.
    pub(super) fn requests(what: String, sealmark: usize, other: usize, aim: Option<Aim>) -> Self {
        let series = |count: usize| {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            Series::new(Unit::Count, [f64::from(count)].into_iter())
        };
        Self {
            what,
            sealmark: series(sealmark),
            other: series(other),
            aim,
        }
    }

    /// Any figure, of several rounds. Without one of the other there is no ratio.
    pub(super) fn figures(
        what: impl Into<String>,
        unit: Unit,
        sealmark: &[f64],
        other: &[f64],
        aim: Option<Aim>,
    ) -> Self {
        Self {
            what: what.into(),
            sealmark: Series::new(unit, sealmark.iter().copied()),
            other: Series::new(unit, other.iter().copied()),
            aim,
        }
    }

    /// How often something is done in a second, in several rounds.
    pub(super) fn rates(
        what: String,
        sealmark: impl Iterator<Item = f64>,
        other: impl Iterator<Item = f64>,
        aim: Option<Aim>,
    ) -> Self {
        Self {
            what,
            sealmark: Series::new(Unit::PerSecond, sealmark),
            other: Series::new(Unit::PerSecond, other),
            aim,
        }
    }

    /// The row in a table of several others: `CPU time, cosign-3.1.1`.
    pub(super) fn beside(mut self, other: &str) -> Self {
        self.what = format!("{}, {other}", self.what);
        self
    }

    fn ratio(&self) -> f64 {
        self.sealmark.median() / self.other.median()
    }

    fn aim_text(&self) -> String {
        let (text, met) = match self.aim {
            None => return String::new(),
            Some(Aim::Ratio(most)) => (format!("ratio ≤ {}", ratio(most)), self.ratio() <= most),
            Some(Aim::Own(most)) => {
                let text = format!("≤ {}", self.sealmark.unit.text(most));
                (text, self.sealmark.median() <= most)
            }
            Some(Aim::AtLeast(least)) => {
                (format!("ratio ≥ {}", ratio(least)), self.ratio() >= least)
            }
        };
        format!("{text}: {}", if met { "met" } else { "not met" })
    }
}

impl Series {
    fn new(unit: Unit, values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        Self { unit, sorted }
    }

    fn median(&self) -> f64 {
        let middle = self.sorted.len() / 2;
        match self.sorted[..] {
            [] => f64::NAN,
            _ if self.sorted.len() % 2 == 1 => self.sorted[middle],
            _ => f64::midpoint(self.sorted[middle - 1], self.sorted[middle]),
        }
    }

    /// `3.4 ms (3.1–5.0)`.
    fn text(&self) -> String {
        let median = self.unit.text(self.median());
        match self.sorted[..] {
            [] => String::new(),
            [least, .., most] => {
                format!(
                    "{median} ({}–{})",
                    self.unit.number(least),
                    self.unit.number(most)
                )
            }
            _ => median,
        }
    }
}

impl Unit {
    fn number(self, value: f64) -> String {
        match self {
            Self::Count | Self::PerSecond | Self::Bytes => format!("{value:.0}"),
            Self::Microseconds if value < 10.0 => format!("{value:.1}"),
            Self::Microseconds => format!("{value:.0}"),
            Self::Seconds => format!("{value:.2}"),
            Self::Mebibytes => format!("{value:.1}"),
            Self::Milliseconds if value < 10.0 => format!("{value:.2}"),
            Self::Milliseconds if value < 100.0 => format!("{value:.1}"),
            Self::Milliseconds => format!("{value:.0}"),
        }
    }

    fn text(self, value: f64) -> String {
        let number = self.number(value);
        match self {
            Self::Count => number,
            Self::PerSecond => format!("{number}/s"),
            Self::Bytes => format!("{number} bytes"),
            Self::Mebibytes => format!("{number} MiB"),
            Self::Microseconds => format!("{number} µs"),
            Self::Seconds => format!("{number} s"),
            Self::Milliseconds => format!("{number} ms"),
        }
    }
}

fn ratio(value: f64) -> String {
    if value.is_nan() {
        String::new()
    } else if value < 0.1 {
        format!("{value:.3}")
    } else {
        format!("{value:.2}")
    }
}

impl Table {
    /// The heading and the table, in Markdown whose columns are aligned.
    pub(super) fn markdown(&self) -> String {
        let head = ["", "Sealmark", &self.other, "ratio", "aim"].map(str::to_owned);
        let mut lines = vec![head];
        for row in &self.rows {
            lines.push([
                row.what.clone(),
                row.sealmark.text(),
                row.other.text(),
                ratio(row.ratio()),
                row.aim_text(),
            ]);
        }
        let mut widths = [0; 5];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = format!("### {}\n\n", self.title);
        for (at, line) in lines.iter().enumerate() {
            for (width, cell) in widths.iter().zip(line) {
                text += &format!("| {cell:<width$} ");
            }
            text += "|\n";
            if at == 0 {
                for width in widths {
                    text += &format!("|{}", "-".repeat(width + 2));
                }
                text += "|\n";
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn cost(milliseconds: u64, peak_kib: u64) -> Cost {
        let wall = Duration::from_millis(milliseconds);
        Cost {
            wall,
            cpu: wall * 2,
            peak_kib,
        }
    }

    #[test]
    fn a_table_shows_medians_ranges_ratios_and_aims() {
        let sealmark = [cost(9, 2048), cost(3, 1024), cost(5, 1536)];
        let other = [cost(100, 10_240), cost(400, 10_240)];
        let aims = Aims {
            wall: Some(Aim::Ratio(0.1)),
            peak: Some(Aim::Own(1.0)),
            cpu: None,
        };
        let mut rows = Vec::from(Row::costs(&sealmark, &other, aims));
        rows.push(Row::requests(
            "requests".to_owned(),
            7,
            14,
            Some(Aim::Ratio(0.5)),
        ));
        rows.push(Row::rates(
            "bundles".to_owned(),
            [700.0, 800.0, 750.0].into_iter(),
            [1000.0].into_iter(),
            Some(Aim::AtLeast(0.7)),
        ));
        let table = Table {
            title: "Sign".to_owned(),
            other: "cosign".to_owned(),
            rows,
        };
        let expected = "\
### Sign

|             | Sealmark            | cosign               | ratio | aim                |
|-------------|---------------------|----------------------|-------|--------------------|
| wall time   | 5.00 ms (3.00–9.00) | 250 ms (100–400)     | 0.020 | ratio ≤ 0.10: met  |
| CPU time    | 10.0 ms (6.00–18.0) | 500 ms (200–800)     | 0.020 |                    |
| peak memory | 1.5 MiB (1.0–2.0)   | 10.0 MiB (10.0–10.0) | 0.15  | ≤ 1.0 MiB: not met |
| requests    | 7                   | 14                   | 0.50  | ratio ≤ 0.50: met  |
| bundles     | 750/s (700–800)     | 1000/s               | 0.75  | ratio ≥ 0.70: met  |
";
        assert_eq!(table.markdown(), expected);
    }
}

//! LATENCY GRAPH: the samples of an event as columns of characters, the oldest on the left.
//!
//! ```text
//!   #      the top of the longest
//!   |
//! _#|      the bottom line is the shortest
//!
//! 973      how long ago, written downwards
//! sss
//! ```

use crate::server::latency::Series;
use std::fmt::Write;

/// Columns of a line.
const COLUMNS: usize = 80;
/// Lines of the drawing.
const ROWS: u64 = 4;

/// Draws the newest samples that fit a line.
pub(super) fn draw(event: &str, series: &Series, now_s: i64) -> String {
    let samples = &series.samples[series.samples.len().saturating_sub(COLUMNS)..];
    let took = || samples.iter().map(|&(_, took_ms)| took_ms);
    let (low, high) = (took().min().unwrap_or(0), took().max().unwrap_or(0));
    let mut text = format!(
        "{event} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n",
        series.max_ms,
        "-".repeat(COLUMNS)
    );
    for row in (0..ROWS).rev() {
        text.extend(took().map(|took_ms| cell(row, height(took_ms, low, high))));
        text.push('\n');
    }
    text.push('\n');
    let labels: Vec<String> = samples.iter().map(|&(at_s, _)| ago(now_s - at_s)).collect();
    let longest = labels.iter().map(String::len).max().unwrap_or(0);
    for line in 0..longest {
        text.extend(
            labels
                .iter()
                .map(|label| label.as_bytes().get(line).map_or(' ', |&b| b as char)),
        );
        text.push('\n');
    }
    text
}

/// The height of a column, in twice as many steps as there are rows.
fn height(took_ms: u64, low: u64, high: u64) -> u64 {
    match high - low {
        0 => 0,
        range => (took_ms - low) * (2 * ROWS - 1) / range,
    }
}

/// What a row shows of a column: its upper end, what is below it, or nothing.
fn cell(row: u64, height: u64) -> char {
    match (height / 2).cmp(&row) {
        std::cmp::Ordering::Less => ' ',
        std::cmp::Ordering::Equal if height.is_multiple_of(2) => '_',
        std::cmp::Ordering::Equal => '#',
        std::cmp::Ordering::Greater => '|',
    }
}

/// A time in the past, in the largest unit of which it is more than one.
fn ago(seconds: i64) -> String {
    let mut text = String::new();
    let (count, unit) = match seconds.max(0) {
        s @ 0..60 => (s, 's'),
        s @ 60..3600 => (s / 60, 'm'),
        s @ 3600..86_400 => (s / 3600, 'h'),
        s => (s / 86_400, 'd'),
    };
    write!(text, "{count}{unit}").expect("a string takes what is written");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_rise_from_the_shortest_to_the_longest() {
        let series = Series {
            samples: vec![(100, 20), (110, 50), (3_700, 200)],
            max_ms: 300,
            ..Series::default()
        };
        let text = draw("command", &series, 3_709);
        let mut lines = text.lines();
        assert_eq!(
            lines.next(),
            Some("command - high 200 ms, low 20 ms (all time high 300 ms)")
        );
        assert_eq!(lines.next().map(str::len), Some(COLUMNS));
        assert_eq!(
            lines.collect::<Vec<_>>(),
            ["  #", "  |", "  |", "_#|", "", "159", "h9s", " m "]
        );
    }

    #[test]
    fn a_single_sample_lies_on_the_ground() {
        let series = Series {
            samples: vec![(5, 20)],
            ..Series::default()
        };
        assert!(draw("fork", &series, 5).ends_with(" \n \n \n_\n\n0\ns\n"));
    }
}

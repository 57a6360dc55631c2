//! A latency histogram: log-linear buckets over nanoseconds, 16 to an octave, so that a figure is
//! off by less than 6.25 %.

const SUB_BITS: u32 = 4;
const SUB: usize = 1 << SUB_BITS;
/// Values from 2^36 ns (69 s) on fall into the last bucket.
const OCTAVES: usize = 36 - SUB_BITS as usize;
const BUCKETS: usize = SUB * (OCTAVES + 1);

/// Counts of durations.
pub struct Histogram {
    counts: [u64; BUCKETS],
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            counts: [0; BUCKETS],
            total: 0,
        }
    }
}

impl Histogram {
    /// Counts a duration.
    #[inline]
    pub fn record(&mut self, nanoseconds: u64) {
        self.counts[index(nanoseconds)] += 1;
        self.total += 1;
    }

    /// How many were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The duration that `percent` of those counted do not exceed, in nanoseconds.
    pub fn percentile(&self, percent: f64) -> u64 {
        let wanted = ((percent / 100.0 * self.total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (i, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return highest(i);
            }
        }
        0
    }

    /// Cumulative counts as LATENCY HISTOGRAM shows them: at bounds in microseconds that double, those
    /// where the count grows.
    pub fn cumulative_us(&self) -> Vec<(u64, u64)> {
        let mut rows = Vec::new();
        let (mut bound_ns, mut seen, mut i) = (1024u64, 0, 0);
        while seen < self.total {
            let before = seen;
            while i < BUCKETS && highest(i) < bound_ns {
                seen += self.counts[i];
                i += 1;
            }
            if i == BUCKETS {
                seen = self.total;
            }
            if seen > before {
                // Redis names the upper end of the bucket that a bound falls into, of 128 to an octave.
                rows.push(((bound_ns + bound_ns / 128 - 1) / 1000, seen));
            }
            bound_ns *= 2;
        }
        rows
    }
}

#[inline]
fn index(ns: u64) -> usize {
    if ns < SUB as u64 {
        return ns as usize;
    }
    let octave = 63 - ns.leading_zeros() - SUB_BITS;
    let sub = (ns >> octave) as usize - SUB;
    (SUB * (octave as usize + 1) + sub).min(BUCKETS - 1)
}

/// The highest duration that falls into a bucket.
fn highest(index: usize) -> u64 {
    if index < SUB {
        return index as u64;
    }
    let octave = index / SUB - 1;
    (((SUB + index % SUB + 1) as u64) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_in_its_bucket() {
        for ns in (0..5000).chain([1 << 20, (1 << 20) - 1, 123_456_789, (1 << 36) - 1]) {
            let i = index(ns);
            assert!(ns <= highest(i), "{ns} above bucket {i}");
            assert!(i == 0 || ns > highest(i - 1), "{ns} below bucket {i}");
        }
        assert_eq!(index(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_and_powers() {
        let mut h = Histogram::default();
        (1..=1000u64).for_each(|us| h.record(us * 1000));
        assert_eq!(h.total(), 1000);
        let p50 = h.percentile(50.0);
        assert!((500_000..540_000).contains(&p50), "{p50}");
        let rows = h.cumulative_us();
        assert_eq!(rows.last().map(|r| r.1), Some(1000));
        assert!(rows.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1));
        let bounds: Vec<u64> = rows.iter().map(|row| row.0).collect();
        // As Valkey 8.1 names them.
        assert_eq!(bounds, [1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1056]);
    }
}

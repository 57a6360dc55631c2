//! Registers of a byte each, for unions: 16 KiB that live only while a command runs.

use super::{Body, Corrupted, HyperLogLog, REGISTERS, dense, estimate, sparse};

/// The union of some HyperLogLogs.
pub struct Registers([u8; REGISTERS]);

impl Registers {
    /// The union of none.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Registers {
        Registers([0; REGISTERS])
    }

    /// Takes another one in. After an error the union is of no use.
    pub fn merge(&mut self, other: HyperLogLog<'_>) -> Result<(), Corrupted> {
        match other.body {
            Body::Dense(packed) => dense::merge(packed, &mut self.0),
            Body::Sparse(body) => {
                let mut rest = &mut self.0[..];
                for run in sparse::runs(body) {
                    let run = run?;
                    let (covered, after) = rest.split_at_mut(run.len);
                    if run.value > 0 {
                        covered.iter_mut().for_each(|v| *v = run.value.max(*v));
                    }
                    rest = after;
                }
            }
        }
        Ok(())
    }

    /// Estimates the number of different elements that any of them has seen.
    pub fn count(&self) -> u64 {
        let words = self.0.as_chunks::<8>().0.iter();
        estimate::count(&estimate::histogram(words.map(|w| u64::from_le_bytes(*w))))
    }

    /// The registers' values.
    pub fn values(&self) -> &[u8; REGISTERS] {
        &self.0
    }
}

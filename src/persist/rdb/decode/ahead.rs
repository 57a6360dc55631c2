//! Elements of a big collection, read before they are put: what it takes to find their places is fetched for many of
//! them at once then, instead of being waited for each time.

use super::super::input::{Fault, Input, Scratch};

/// How many elements are read ahead.
pub const AHEAD_MAX: usize = 64;

/// How many bytes are read ahead, if there are long ones among them.
const BYTES_MAX: usize = 256 << 10;

/// Strings that were read.
#[derive(Default)]
pub struct Ahead {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Ahead {
    /// Has up to `max` of the elements that are `left` read in the place of those before; says how many.
    pub fn read(
        &mut self,
        left: u64,
        max: usize,
        mut read: impl FnMut(&mut Ahead) -> Result<(), Fault>,
    ) -> Result<u64, Fault> {
        self.bytes.clear();
        self.ends.clear();
        let mut count = 0;
        while count < left.min(max as u64) && self.bytes.len() < BYTES_MAX {
            read(self)?;
            count += 1;
        }
        Ok(count)
    }

    /// Reads a string.
    #[inline]
    pub fn string(&mut self, input: &mut Input<'_>, scratch: &mut Scratch) -> Result<(), Fault> {
        let text = input.string(scratch)?;
        let mut digits = itoa::Buffer::new();
        self.bytes.extend_from_slice(text.bytes(&mut digits));
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// The strings.
    pub fn strings(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let mut from = 0;
        self.ends.iter().map(move |&to| {
            let string = &self.bytes[from..to];
            from = to;
            string
        })
    }

    /// The strings, two by two.
    pub fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let strings = self.strings();
        strings.clone().step_by(2).zip(strings.skip(1).step_by(2))
    }
}

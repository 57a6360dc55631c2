//! The longest common subsequence of two byte strings, as the LCS command answers it.
//!
//! Owns the computation; limits are Redis's but their error texts are the command's. Among several
//! longest subsequences the one that Redis's walk finds is found.
//!
//! Redis fills a table of lengths, `L(row, column)` for each pair of prefixes, and walks it from the
//! end: equal bytes belong to the result, else it goes to the row above if that holds the greater
//! length and one column back if not. The walk needs one bit a cell: where the bytes differ,
//! the row above is greater exactly if `L(row, column) - L(row, column - 1)` is 1. And a row
//! of these differences follows from the row above with one addition, 64 columns a
//! word (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004). Kept inverted, with ones
//! where the length stays the same:
//!
//! ```text
//! common = above & columns_equal_to(byte)
//! row    = (above + common) | (above - common)
//! ```
//!
//! So time and memory are 1/64 and 1/32 of what the table takes.

use std::ops::Range;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A string is so long that Redis could not count its bytes in 32 bits.
    TooLong,
    /// Redis's table would be larger than the caller allows.
    OverLimit,
    /// The system refused the memory.
    OutOfMemory,
}

/// Where the same bytes are in both strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The bytes of the first string.
    pub first: Range<usize>,
    /// The bytes of the second string.
    pub second: Range<usize>,
}

/// The longest common subsequence of two strings.
pub struct Lcs<'a> {
    first: &'a [u8],
    second: &'a [u8],
    length: usize,
    /// The rows one after the other, `words_in_row` each; a bit is 0 where the length grows.
    rows: Vec<u64>,
    words_in_row: usize,
}

/// The length alone, with memory for a single row.
///
/// `table_bytes_max` limits the table that Redis would allocate, four bytes a cell.
pub fn length(first: &[u8], second: &[u8], table_bytes_max: u64) -> Result<usize, Error> {
    check_size(first, second, table_bytes_max)?;
    let columns = Columns::new(first, second)?;
    let mut row = zeroed(columns.words_in_row)?;
    row.fill(u64::MAX);
    for &byte in first {
        next_row(&mut row, columns.equal_to(byte));
    }
    Ok(count_growth(&row, second.len()))
}

impl<'a> Lcs<'a> {
    /// Computes all that an answer may need; `table_bytes_max` as in `length`.
    pub fn new(first: &'a [u8], second: &'a [u8], table_bytes_max: u64) -> Result<Lcs<'a>, Error> {
        check_size(first, second, table_bytes_max)?;
        let columns = Columns::new(first, second)?;
        let words_in_row = columns.words_in_row;
        let words = first
            .len()
            .checked_mul(words_in_row)
            .ok_or(Error::OutOfMemory)?;
        let mut rows = zeroed(words)?;
        let mut row = zeroed(words_in_row)?;
        row.fill(u64::MAX);
        if words_in_row > 0 {
            for (&byte, kept) in first.iter().zip(rows.chunks_exact_mut(words_in_row)) {
                next_row(&mut row, columns.equal_to(byte));
                kept.copy_from_slice(&row);
            }
        }
        let length = count_growth(&row, second.len());
        Ok(Lcs {
            first,
            second,
            length,
            rows,
            words_in_row,
        })
    }

    /// How many bytes the subsequence has.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The subsequence itself.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.length];
        let mut end = bytes.len();
        for found in self.matches() {
            let part = &self.first[found.first];
            bytes[end - part.len()..end].copy_from_slice(part);
            end -= part.len();
        }
        assert_eq!(end, 0, "the matches make up the whole subsequence");
        bytes
    }

    /// The runs of bytes that it consists of, from the last to the first.
    ///
    /// A run is contiguous in both strings.
    pub fn matches(&self) -> impl Iterator<Item = Match> {
        // Rows and columns count from 1: zero is the empty prefix.
        let (mut row, mut column) = (self.first.len(), self.second.len());
        std::iter::from_fn(move || {
            while row > 0 && column > 0 && self.first[row - 1] != self.second[column - 1] {
                if self.grows(row, column) {
                    row -= 1;
                } else {
                    column -= 1;
                }
            }
            let pairs = self.first[..row]
                .iter()
                .rev()
                .zip(self.second[..column].iter().rev());
            let run = pairs.take_while(|(first, second)| first == second).count();
            row -= run;
            column -= run;
            let found = Match {
                first: row..row + run,
                second: column..column + run,
            };
            (run > 0).then_some(found)
        })
    }

    /// Whether the length grows from the column before to this one.
    fn grows(&self, row: usize, column: usize) -> bool {
        let at = column - 1;
        self.rows[(row - 1) * self.words_in_row + at / 64] >> (at % 64) & 1 == 0
    }
}

/// Refuses what Redis refuses: it holds each length in 32 bits, and a row and a column for nothing.
fn check_size(first: &[u8], second: &[u8], table_bytes_max: u64) -> Result<(), Error> {
    const LENGTH_MAX: u64 = u32::MAX as u64 - 2;
    let (rows, columns) = (first.len() as u64, second.len() as u64);
    if rows > LENGTH_MAX || columns > LENGTH_MAX {
        return Err(Error::TooLong);
    }
    let table_bytes = u128::from(rows + 1) * u128::from(columns + 1) * size_of::<u32>() as u128;
    if table_bytes > u128::from(table_bytes_max) {
        Err(Error::OverLimit)
    } else {
        Ok(())
    }
}

/// The row below one, given the columns whose byte is that of the row.
fn next_row(row: &mut [u64], equal: &[u64]) {
    let mut carry = false;
    for (word, &equal) in row.iter_mut().zip(equal) {
        let common = *word & equal;
        let (sum, over) = word.overflowing_add(common);
        let (sum, over_again) = sum.overflowing_add(u64::from(carry));
        *word = sum | (*word & !equal);
        carry = over || over_again;
    }
}

/// The zeros in the row's bits that stand for columns.
fn count_growth(row: &[u64], columns: usize) -> usize {
    let ones: usize = row.iter().map(|word| word.count_ones() as usize).sum();
    let growing = row.len() * 64 - ones;
    // Bits past the last column have no equal byte, and so stay ones unless a carry comes by.
    growing
        - (columns..row.len() * 64)
            .filter(|at| row[at / 64] >> (at % 64) & 1 == 0)
            .count()
}

/// For each byte value of the first string, the columns of the second that hold it.
struct Columns {
    masks: Vec<u64>,
    words_in_row: usize,
    /// Where the mask of a value is; values that the second string lacks share one without bits.
    mask_of: [usize; 256],
}

impl Columns {
    fn new(first: &[u8], second: &[u8]) -> Result<Columns, Error> {
        let words_in_row = second.len().div_ceil(64);
        // Masks are made for what is in both, so that there are at most as many as rows.
        let mut in_second = [false; 256];
        second
            .iter()
            .for_each(|&byte| in_second[usize::from(byte)] = true);
        let mut mask_of = [0; 256];
        let mut masks_made = 1;
        for &byte in first {
            let mask = &mut mask_of[usize::from(byte)];
            if *mask == 0 && in_second[usize::from(byte)] {
                *mask = masks_made;
                masks_made += 1;
            }
        }
        let mut masks = zeroed(masks_made * words_in_row)?;
        for (at, &byte) in second.iter().enumerate() {
            let mask = mask_of[usize::from(byte)];
            if mask != 0 {
                masks[mask * words_in_row + at / 64] |= 1 << (at % 64);
            }
        }
        Ok(Columns {
            masks,
            words_in_row,
            mask_of,
        })
    }

    fn equal_to(&self, byte: u8) -> &[u64] {
        let start = self.mask_of[usize::from(byte)] * self.words_in_row;
        &self.masks[start..start + self.words_in_row]
    }
}

/// Words from the system, which may refuse them: the sizes come from clients.
fn zeroed(words: usize) -> Result<Vec<u64>, Error> {
    let mut memory = Vec::new();
    memory
        .try_reserve_exact(words)
        .map_err(|_| Error::OutOfMemory)?;
    memory.resize(words, 0);
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(first: &str, second: &str, expected: &str, runs: &[(usize, usize, usize)]) {
        let lcs = Lcs::new(first.as_bytes(), second.as_bytes(), u64::MAX).unwrap();
        assert_eq!(lcs.bytes(), expected.as_bytes(), "{first:?} and {second:?}");
        assert_eq!(lcs.length(), expected.len());
        let expected: Vec<Match> = runs
            .iter()
            .map(|&(first, second, run)| Match {
                first: first..first + run,
                second: second..second + run,
            })
            .collect();
        assert_eq!(
            lcs.matches().collect::<Vec<_>>(),
            expected,
            "{first:?} and {second:?}"
        );
    }

    #[test]
    fn answers_of_redis() {
        check("", "", "", &[]);
        check("abc", "", "", &[]);
        check("", "abc", "", &[]);
        check("abc", "xyz", "", &[]);
        check("abc", "abc", "abc", &[(0, 0, 3)]);
        check("ohmytext", "mynewtext", "mytext", &[(4, 5, 4), (2, 0, 2)]);
        // Two as long as each other: which one is found is part of the answer.
        check("ab", "ba", "b", &[(1, 0, 1)]);
        check("abab", "baba", "bab", &[(1, 0, 3)]);
        check("abcb", "bacbb", "bcb", &[(3, 4, 1), (2, 2, 1), (1, 0, 1)]);
    }

    /// The table and the walk as the description above has them.
    fn naive(first: &[u8], second: &[u8]) -> Vec<u8> {
        let mut table = vec![vec![0u32; second.len() + 1]; first.len() + 1];
        for row in 1..=first.len() {
            for column in 1..=second.len() {
                table[row][column] = if first[row - 1] == second[column - 1] {
                    table[row - 1][column - 1] + 1
                } else {
                    table[row - 1][column].max(table[row][column - 1])
                };
            }
        }
        let (mut row, mut column) = (first.len(), second.len());
        let mut found = Vec::new();
        while row > 0 && column > 0 {
            if first[row - 1] == second[column - 1] {
                found.push(first[row - 1]);
                row -= 1;
                column -= 1;
            } else if table[row - 1][column] > table[row][column - 1] {
                row -= 1;
            } else {
                column -= 1;
            }
        }
        found.reverse();
        found
    }

    proptest! {
        #[test]
        fn agrees_with_the_table(first in "[abc]{0,200}", second in "[abcd]{0,200}") {
            let (first, second) = (first.as_bytes(), second.as_bytes());
            let lcs = Lcs::new(first, second, u64::MAX).unwrap();
            let expected = naive(first, second);
            prop_assert_eq!(lcs.bytes(), expected.clone());
            prop_assert_eq!(lcs.length(), expected.len());
            prop_assert_eq!(length(first, second, u64::MAX), Ok(expected.len()));
            // A run ends only where the strings or the equality do.
            for found in lcs.matches() {
                prop_assert_eq!(&first[found.first.clone()], &second[found.second.clone()]);
                let before = (found.first.start.checked_sub(1), found.second.start.checked_sub(1));
                if let (Some(row), Some(column)) = before {
                    prop_assert_ne!(first[row], second[column]);
                }
            }
        }
    }

    #[test]
    fn limits() {
        let (first, second) = ([b'a'; 9], [b'a'; 99]);
        assert_eq!(length(&first, &second, 4000), Ok(9));
        assert_eq!(length(&first, &second, 3999), Err(Error::OverLimit));
        assert_eq!(
            Lcs::new(&first, &second, 3999).err(),
            Some(Error::OverLimit)
        );
        assert_eq!(length(b"", b"", 4), Ok(0));
        assert_eq!(length(b"", b"", 3), Err(Error::OverLimit));
    }
}
